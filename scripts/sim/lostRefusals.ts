import { type EmitLog, type HostName, isJournalId, type JournalId } from "@nixwave/effects";
import { START } from "@nixwave/testkit";
import type { SimHost } from "./agentProcess.ts";
import type { LieName } from "./lies.ts";
import type { Fault } from "./scenario.ts";
import type { Refusal } from "./signedTruth.ts";

/** From when to when something was done that may have taken a line away. */
interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** An answer that was given while a lie was told may come when it is over. */
const ON_ITS_WAY_MS = 60_000;

/** Upon each of these an agent begins a new journal, and forgets what it had not sent. */
const ENDS_A_JOURNAL: ReadonlySet<LieName> = new Set<LieName>([
  "that its journal is an old one",
  "that its journal was set back",
  "that more is stored than it sent",
  "that more of it is stored than it wrote",
]);
/** What was acknowledged and not passed on is sent again only as far as the journal keeps it. */
const HIDES_LINES: ReadonlySet<LieName> = new Set<LieName>([
  "that its events are stored",
  "that more is stored than it sent",
]);
const DATABASE_LOST: ReadonlySet<Fault["kind"]> = new Set(["wiped", "restored", "set-back"]);

const EVERYTHING = {
  lines: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
  without: new Set<string>(),
};

/** For a journal that went with its host's disk: it is nobody's. */
function noJournalId(): JournalId {
  const id = "0".repeat(32);
  if (!isJournalId(id)) throw new Error("16 bytes of hex are a journal's id");
  return id;
}

/** Which refusals may be missing in the honest log: those alone whose line something took away, after it was written. */
export class LostRefusals {
  readonly #faults: readonly Fault[];
  readonly #nowMs: () => number;
  /** When each journal was given up for a new one, as its host's log has it. */
  readonly #ends = new Map<SimHost, Map<string, number>>();

  constructor(faults: readonly Fault[], nowMs: () => number) {
    this.#faults = faults;
    this.#nowMs = nowMs;
  }

  logged(host: SimHost, { fields }: EmitLog): void {
    const former = fields.find(([name]) => name === "former")?.[1];
    if (former === undefined) return;
    const ends = this.#ends.get(host) ?? new Map<string, number>();
    this.#ends.set(host, ends.set(former, this.#nowMs()));
  }

  mayBeLost({ host, rolloutId, journalId, seq, atMs }: Refusal): boolean {
    const journal = host.journal ?? host.disk.open(noJournalId);
    if (journal.facts().journalId !== journalId) {
      // A process that died with the commit of the new journal has logged nothing: then it was at any time since.
      const endedMs = this.#ends.get(host)?.get(journalId) ?? null;
      const ended = { fromMs: endedMs ?? atMs, untilMs: endedMs ?? Number.POSITIVE_INFINITY };
      return this.#isStruck(ended, (fault) => endOfJournals(fault, host.name));
    }
    const isIts = (line: { readonly rolloutId: string; readonly seq: number }): boolean =>
      line.rolloutId === rolloutId && line.seq === seq;
    // It went before it could tell.
    if (host.isGone && journal.outbox.nextBatch(EVERYTHING).some(isIts)) return true;
    const isCutOff = journal.outbox.refused().some(isIts);
    // What is cut off follows lines that were given away at any time before, and that the log has no more.
    const since = { fromMs: isCutOff ? 0 : atMs, untilMs: Number.POSITIVE_INFINITY };
    return this.#isStruck(since, (fault) =>
      isCutOff && DATABASE_LOST.has(fault.kind) ? at(fault.atMs) : hiding(fault, host.name),
    );
  }

  #isStruck(when: Span, spanOf: (fault: Fault) => Span | null): boolean {
    return this.#faults.some((fault) => {
      const span = spanOf(fault);
      return span !== null && span.fromMs <= when.untilMs && span.untilMs >= when.fromMs;
    });
  }
}

const at = (atMs: number, forMs = 0): Span => ({
  fromMs: START + atMs,
  untilMs: START + atMs + forMs + ON_ITS_WAY_MS,
});

/** That there are two writers, or a log that lost what it had, may be found at any time later. */
const since = (atMs: number): Span => ({
  fromMs: START + atMs,
  untilMs: Number.POSITIVE_INFINITY,
});

function endOfJournals(fault: Fault, host: HostName): Span | null {
  if (DATABASE_LOST.has(fault.kind)) return since(fault.atMs);
  if (fault.kind === "cloned") return fault.host === host ? since(fault.atMs) : null;
  if (fault.kind === "forgets") return fault.host === host ? at(fault.atMs) : null;
  return tells(fault, host, ENDS_A_JOURNAL);
}

const hiding = (fault: Fault, host: HostName): Span | null => tells(fault, host, HIDES_LINES);

const tells = (fault: Fault, host: HostName, lies: ReadonlySet<LieName>): Span | null =>
  fault.kind === "lies" && lies.has(fault.lie) && fault.hosts.some((name) => name === host)
    ? at(fault.atMs, fault.forMs)
    : null;
