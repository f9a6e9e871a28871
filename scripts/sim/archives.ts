import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { check, isClean, openDatabase, sayChecked } from "@nixwave/cp";

/** A segment as an archive's own line and those after it say. */
export interface StoredSegment {
  readonly firstOffset: number;
  readonly count: number;
  readonly version: number;
  readonly lines: string;
  readonly prevHash: string;
  readonly hash: string;
}

interface ReadFile {
  /** Changes with the file. */
  readonly mark: string;
  readonly segments: readonly StoredSegment[];
}

/** Whatever their names: what was put aside is the log's beginning again where its database comes back. */
const SUFFIX = ".ndjson.zst";

/**
 * The archives of a world, read by none of the app's code. Nobody moves a file away here, so whatever has left the log is in one of them,
 * also when a backup came back, or nothing did, and a second history grew.
 */
export class Archives {
  readonly folder: string;
  readonly #root: string;
  #files: ReadonlyMap<string, ReadFile> = new Map();
  /** The hash of each segment that was ever seen in a file. */
  readonly #ever = new Set<string>();
  /** The beginning and the files that were last found to be one log. */
  #proven = "";

  constructor(root: string) {
    this.#root = root;
    this.folder = join(root, "archive");
  }

  /**
   * What lies before the log's first segment, in order; or what is wrong with it. Archives, checkpoint and log are held to each other by
   * putting back what was taken away: the database must fold from its first line on, as if nothing had ever left it.
   */
  before(
    log: readonly StoredSegment[],
    serialized: () => Uint8Array,
  ): readonly StoredSegment[] | string {
    this.remember();
    const here = new Set(log.map(({ hash }) => hash));
    for (const { segments } of this.#files.values())
      for (const { hash } of segments) here.add(hash);
    for (const hash of this.#ever)
      if (!here.has(hash)) return `the segment ${hash} was archived, and is nowhere any more`;
    const [first] = log;
    if (first === undefined || first.firstOffset === 0) return [];
    const segments = this.#before(first);
    if (segments[0]?.firstOffset !== 0)
      return `what the log continues at ${segments[0]?.firstOffset ?? first.firstOffset} is in no archive`;
    // Once for each beginning: what came since is folded from its checkpoint on, which was compared here.
    const wholeness = [first.hash, ...[...this.#files.values()].map(({ mark }) => mark)].join();
    if (wholeness === this.#proven) return segments;
    const what = this.#wrongWith(segments, serialized());
    if (what !== null) return `with the archives put back: ${what}`;
    this.#proven = wholeness;
    return segments;
  }

  /** What is in the files now must be in one of them for ever. */
  remember(): void {
    this.#read();
    for (const { segments } of this.#files.values())
      for (const { hash } of segments) this.#ever.add(hash);
  }

  #read(): void {
    const names = existsSync(this.folder) ? readdirSync(this.folder).sort() : [];
    const files = names
      .filter((name) => name.endsWith(SUFFIX))
      .map((name): [string, ReadFile] => {
        const path = join(this.folder, name);
        const { ino, size, mtimeMs } = statSync(path);
        const mark = `${ino} ${size} ${mtimeMs}`;
        const known = this.#files.get(name);
        return [name, known?.mark === mark ? known : { mark, segments: segmentsIn(path) }];
      });
    this.#files = new Map(files);
  }

  /** From the log's first segment back, each by the hash that the one after it continues: files of another history have none of these. */
  #before(first: StoredSegment): readonly StoredSegment[] {
    const byHash = new Map<string, StoredSegment>();
    for (const { segments } of this.#files.values())
      for (const segment of segments) byHash.set(segment.hash, segment);
    const found: StoredSegment[] = [];
    let segment = byHash.get(first.prevHash);
    for (; segment !== undefined; segment = byHash.get(segment.prevHash)) found.push(segment);
    return found.reverse();
  }

  #wrongWith(segments: readonly StoredSegment[], serialized: Uint8Array): string | null {
    const path = join(this.#root, "whole.db");
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    writeFileSync(path, serialized);
    const db = openDatabase(path);
    try {
      const insert = db.prepare(
        `INSERT INTO log_segments (first_offset, count, version, lines, prev_hash, hash)
          VALUES (@firstOffset, @count, @version, @lines, @prevHash, @hash)`,
      );
      db.transaction(() => {
        for (const segment of segments) insert.run(segment);
      })();
      const checked = check(db);
      return isClean(checked) ? null : sayChecked(checked).slice(0, 3).join("; ");
    } finally {
      db.close();
    }
  }
}

function segmentsIn(path: string): readonly StoredSegment[] {
  const texts = zstdDecompressSync(readFileSync(path)).toString("utf8").split("\n").slice(0, -1);
  const segments: StoredSegment[] = [];
  for (let place = 0; place < texts.length; ) {
    const { segment }: { readonly segment: Omit<StoredSegment, "lines"> } = JSON.parse(
      texts[place] ?? "",
    );
    const end = place + 1 + segment.count;
    const lines = texts.slice(place + 1, end).map((text) => `${text}\n`);
    segments.push({ ...segment, lines: lines.join("") });
    place = end;
  }
  return segments;
}
