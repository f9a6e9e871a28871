import {
  CUT_OFF,
  type JournalTables,
  type KeptOutbox,
  type KeptRecords,
  KNOWN_GOOD_MAX,
  sealed,
} from "@nixwave/agent";
import {
  type HostRollout,
  isInFlight,
  isSettled,
  isSha256,
  type RolloutId,
  type Seq,
  type Sha256,
} from "@nixwave/effects";

/** Rows are replaced, never changed: so a copy of the lists is a copy of the journal. */
interface RecordRow {
  readonly record: HostRollout;
  readonly inForce: boolean;
  readonly ackedOrder: number | null;
  readonly lastHash: Sha256 | null;
  readonly keptWhole: boolean;
}

interface LineRow {
  readonly position: number;
  readonly rolloutId: RolloutId;
  readonly seq: Seq;
  readonly kind: string;
  readonly line: string;
  readonly bytes: number;
  readonly isSent: boolean;
  readonly acked: boolean;
  readonly refused: string | null;
}

interface Rows {
  /** In the order in which they were opened. */
  readonly records: Map<RolloutId, RecordRow>;
  lines: LineRow[];
  nextPosition: number;
  readonly meta: Map<string, string>;
  knownGood: readonly string[];
  files: ReadonlyMap<string, Uint8Array>;
}

const copyOf = (rows: Rows): Rows => ({
  ...rows,
  records: new Map(rows.records),
  lines: [...rows.lines],
  meta: new Map(rows.meta),
});

const empty = (): Rows => ({
  records: new Map(),
  lines: [],
  nextPosition: 1,
  meta: new Map(),
  knownGood: [],
  files: new Map(),
});

/**
 * A journal's tables without a database: what SqliteTables answers, these answer. World for world both give the same
 * chronicle, which a test holds (stores.test.ts), and one world in ten runs on SQLite's files anyway.
 */
export class MemoryTables implements JournalTables {
  readonly place = ":memory:";
  readonly records: KeptRecords;
  readonly outbox: KeptOutbox;
  #rows: Rows;

  constructor(rows: Rows = empty()) {
    this.#rows = rows;
    this.records = recordsIn(() => this.#rows);
    this.outbox = new MemoryOutbox(() => this.#rows);
  }

  copy(): MemoryTables {
    return new MemoryTables(copyOf(this.#rows));
  }

  meta(): ReadonlyMap<string, string> {
    return this.#rows.meta;
  }

  putMeta(key: string, text: string | null): void {
    if (text === null) this.#rows.meta.delete(key);
    else this.#rows.meta.set(key, text);
  }

  knownGood(): readonly string[] {
    return this.#rows.knownGood;
  }

  addKnownGood(closure: string): void {
    const others = this.#rows.knownGood.filter((each) => each !== closure);
    this.#rows.knownGood = [...others, closure].slice(-KNOWN_GOOD_MAX);
  }

  releaseFile(path: string): Uint8Array | null {
    return this.#rows.files.get(path) ?? null;
  }

  keepRelease(
    _: RolloutId,
    files: readonly { readonly path: string; readonly bytes: Uint8Array }[],
  ): void {
    this.#rows.files = new Map(files.map(({ path, bytes }) => [path, bytes]));
  }

  /** For people who look at one host; a world has its chronicle. */
  addTransition(): void {}

  clearTransitions(): void {}

  transaction(_: "full" | "normal", write: () => void): void {
    const before = copyOf(this.#rows);
    try {
      write();
    } catch (error) {
      this.#rows = before;
      throw error;
    }
  }

  close(): void {}
}

/** No world opens as many records as are pruned. */
function recordsIn(rows: () => Rows): KeptRecords {
  const list = (): RecordRow[] => [...rows().records.values()];
  const acknowledged = (): RecordRow[] =>
    list()
      .filter(({ ackedOrder }) => ackedOrder !== null)
      .sort((a, b) => (b.ackedOrder ?? 0) - (a.ackedOrder ?? 0));
  const current = (): HostRollout | null => {
    let found: RecordRow | null = null;
    for (const row of rows().records.values())
      if (row.inForce && (found === null || (row.ackedOrder ?? 0) > (found.ackedOrder ?? 0)))
        found = row;
    return found?.record ?? null;
  };
  return {
    put: (record, isAcknowledged) => {
      const known = rows().records.get(record.rolloutId);
      const order = isAcknowledged
        ? 1 + Math.max(0, ...list().map(({ ackedOrder }) => ackedOrder ?? 0))
        : (known?.ackedOrder ?? null);
      rows().records.set(record.rolloutId, {
        record,
        inForce: record.kind !== "Pending" && !isSettled(record),
        ackedOrder: order,
        lastHash: known?.lastHash ?? null,
        keptWhole: known?.keptWhole ?? true,
      });
    },
    get: (rolloutId) => rows().records.get(rolloutId)?.record ?? null,
    current,
    previousOf: (rolloutId) => {
      const found = acknowledged().find(({ record }) => record.rolloutId !== rolloutId)?.record;
      if (found === undefined) return null;
      return { rolloutId: found.rolloutId, journalId: found.journalId, lastSeq: found.lastSeq };
    },
    replayable: () => {
      const newest = acknowledged().slice(0, 2);
      const oldest = list().findIndex((row) => newest.includes(row));
      return list()
        .filter((row, place) => row.inForce || newest.includes(row) || place >= oldest)
        .map(({ record }) => record.rolloutId);
    },
    streams: () =>
      list()
        .filter(({ keptWhole }) => keptWhole)
        .map(({ record: { rolloutId, attempt, lastSeq } }) => ({ rolloutId, attempt, lastSeq })),
    all: () => list().map(({ record }) => record),
    prune: () => undefined,
    clear: () => rows().records.clear(),
    isQuiet: () => {
      const inForce = current();
      return inForce === null || !isInFlight(inForce);
    },
  };
}

class MemoryOutbox implements KeptOutbox {
  readonly #rows: () => Rows;

  constructor(rows: () => Rows) {
    this.#rows = rows;
  }

  append(...[record, event]: Parameters<KeptOutbox["append"]>): void {
    const { rolloutId } = record;
    const rows = this.#rows();
    const row = rows.records.get(rolloutId);
    if (row === undefined) throw new Error(`a line of ${rolloutId} comes before its record`);
    const { hash, ...line } = sealed(record, event, row.lastHash);
    const taken = rows.lines.some((each) => each.rolloutId === rolloutId && each.seq === line.seq);
    if (taken || !isSha256(hash)) throw new Error(`${line.seq} of ${rolloutId} was given before`);
    const { kind } = event;
    const fresh = { ...line, position: rows.nextPosition, rolloutId, kind };
    rows.nextPosition += 1;
    rows.lines.push({ ...fresh, isSent: false, acked: false, refused: null });
    rows.records.set(rolloutId, { ...row, lastHash: hash });
  }

  nextBatch(limits: Parameters<KeptOutbox["nextBatch"]>[0]): readonly LineRow[] {
    const batch: LineRow[] = [];
    let bytes = 0;
    for (const row of this.#rows().lines) {
      if (row.acked || limits.without.has(row.rolloutId)) continue;
      bytes += row.bytes + 1;
      if (batch.length === limits.lines || (batch.length > 0 && bytes > limits.bytes)) break;
      batch.push(row);
    }
    return batch;
  }

  markSent(batch: Parameters<KeptOutbox["markSent"]>[0]): void {
    const sent = new Set(batch.map(({ position }) => position));
    this.#change(({ position, isSent }) => !isSent && sent.has(position), { isSent: true });
  }

  lastSent(rolloutId: RolloutId): number {
    const sent = this.#rows().lines.filter((row) => row.isSent || row.acked);
    return sent.findLast((row) => row.rolloutId === rolloutId)?.seq ?? 0;
  }

  acknowledge(streams: Parameters<KeptOutbox["acknowledge"]>[0]): void {
    for (const [rolloutId, answer] of Object.entries(streams)) {
      const isOf = (row: LineRow): boolean => row.rolloutId === rolloutId;
      for (const { seq, code } of answer.refused)
        this.#change((row) => isOf(row) && row.seq === seq, { acked: true, refused: code });
      this.#change((row) => isOf(row) && row.seq <= answer.ackedThrough && !row.acked, {
        acked: true,
      });
      const { expected } = answer;
      if (expected === undefined) continue;
      this.#unmark(rolloutId, expected);
      if (this.#rows().lines.some((row) => isOf(row) && row.seq === expected)) continue;
      this.#change((row) => isOf(row) && !row.acked, { acked: true, refused: CUT_OFF });
    }
  }

  replay(from: Parameters<KeptOutbox["replay"]>[0]): void {
    for (const [rolloutId, seq] of Object.entries(from)) this.#unmark(rolloutId, seq);
  }

  prune(keep: readonly string[]): void {
    const rows = this.#rows();
    const isGone = (row: LineRow): boolean =>
      row.acked && row.refused === null && !keep.includes(row.rolloutId);
    for (const { rolloutId } of rows.lines.filter(isGone)) {
      const row = rows.records.get(rolloutId);
      if (row !== undefined) rows.records.set(rolloutId, { ...row, keptWhole: false });
    }
    rows.lines = rows.lines.filter((row) => !isGone(row));
  }

  clear(): void {
    this.#rows().lines = [];
  }

  forgetSize(): void {}

  size(): { readonly rows: number; readonly bytes: number } {
    const { lines } = this.#rows();
    return { rows: lines.length, bytes: lines.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  counts(): ReturnType<KeptOutbox["counts"]> {
    const unacknowledged = this.#rows().lines.filter(({ acked }) => !acked).length;
    return { ...this.size(), unacknowledged, refused: this.refused().length };
  }

  refused(): ReturnType<KeptOutbox["refused"]> {
    return this.#rows().lines.flatMap(({ rolloutId, seq, kind, refused: code }) =>
      code === null ? [] : [{ rolloutId, seq, kind, code }],
    );
  }

  hasUnacknowledged(kind: string): boolean {
    return this.#rows().lines.some((row) => !row.acked && row.kind === kind);
  }

  #change(which: (row: LineRow) => boolean, to: Partial<LineRow>): void {
    const { lines } = this.#rows();
    for (const [place, row] of lines.entries()) if (which(row)) lines[place] = { ...row, ...to };
  }

  #unmark(rolloutId: string, from: number): void {
    const isMeant = (row: LineRow): boolean => row.rolloutId === rolloutId && row.seq >= from;
    this.#change(isMeant, { acked: false, refused: null });
  }
}
