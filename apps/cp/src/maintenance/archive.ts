import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable, pipeline as through } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import type { Offset, Sha256 } from "@nixwave/effects";
import { offset as offsetSchema, sha256Text } from "@nixwave/protocol";
import { z } from "zod";
import type { EventLog } from "../log/eventLog.ts";
import { FIRST_OFFSET, GENESIS, offsetAfter, segmentHash } from "../log/segment.ts";
import { putInPlace } from "../store/database.ts";

/** A segment's own line in an archive, before its `count` lines of the log; zstdcat shows both. */
const headLine = z.object({
  segment: z.object({
    firstOffset: offsetSchema,
    count: z.int().min(1),
    version: z.int(),
    prevHash: sha256Text,
    hash: sha256Text,
  }),
});
type Head = z.output<typeof headLine>["segment"];

export const archiveDir = (dataDir: string): string => join(dataDir, "archive");

/** Wide enough that names sort as offsets do. */
const DIGITS = 12;
const NAME = /^log-(\d{12,})\.ndjson\.zst$/;
const SUFFIX = ".ndjson.zst";
const nameOf = (first: Offset): string => `log-${String(first).padStart(DIGITS, "0")}${SUFFIX}`;

/**
 * The log's beginning up to an offset, as one file that verifies by itself and continues the file before. It has its name only when all of
 * it is on the disk, so that rows may go once this has resolved; a try that a crash cut short is made again and gives the same bytes.
 */
export async function writeArchive(
  dir: string,
  log: Pick<EventLog, "segments">,
  { from, before }: { readonly from: Offset; readonly before: Offset },
): Promise<{ readonly path: string; readonly aside: readonly string[] }> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const aside = await putAside(dir, log, from);
  const path = join(dir, nameOf(from));
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  // One segment at a time: the writer goes on between two of them.
  await pipeline(
    Readable.from(textsOf(log, { from, before })),
    createZstdCompress(),
    createWriteStream(partial, { mode: 0o600 }),
  );
  putInPlace(partial, path);
  return { path, aside };
}

/**
 * Archives of what the log still has are tries whose rows did not go. One that says something else was written before a backup came back
 * or an empty database took the place of a lost one: nobody else has its lines any more, so it stays, under a name that no check goes by.
 */
async function putAside(
  dir: string,
  log: Pick<EventLog, "segments">,
  from: Offset,
): Promise<readonly string[]> {
  const aside: string[] = [];
  for (const { first, path } of archivesIn(dir)) {
    if (first < from) continue;
    const { ends, fault } = await readArchive(path, { next: first, hash: null });
    const last = ends.at(-1);
    if (fault === null && (last === undefined || endsIn(log, last))) continue;
    const to = freeName(path);
    putInPlace(path, to);
    aside.push(to);
  }
  return aside;
}

/** The hash covers all that was before, so one that is the same says that all of it is. */
function endsIn(log: Pick<EventLog, "segments">, { next, hash }: End): boolean {
  for (const segment of log.segments(offsetAfter(next, -1))) return segment.hash === hash;
  return false;
}

function freeName(path: string): string {
  for (let count = 1; ; count += 1) {
    const name = path.replace(SUFFIX, `.aside-${count}${SUFFIX}`);
    if (!existsSync(name)) return name;
  }
}

function* textsOf(
  log: Pick<EventLog, "segments">,
  { from, before }: { readonly from: Offset; readonly before: Offset },
): Generator<string> {
  for (const { lines, ...segment } of log.segments(from)) {
    if (segment.firstOffset >= before) return;
    yield `${JSON.stringify({ segment })}\n${lines}`;
  }
}

/** What the archives say of the log before its beginning: up to where they are whole, and what is wrong with them. */
export interface CheckedArchives {
  readonly files: number;
  readonly lines: number;
  readonly faults: readonly string[];
  /** Not here, so not verified: whoever moved them has them. */
  readonly missing: readonly string[];
}

/**
 * Verifies every archive that is here, by its own chain and as the continuation of the one before; the last one must end in what the
 * log's first segment continues.
 */
export async function checkArchives(
  dir: string,
  log: { readonly offset: Offset; readonly hash: Sha256 },
): Promise<CheckedArchives> {
  const faults: string[] = [];
  const missing: string[] = [];
  /** Where segments ended, and with which hash: what comes next continues one of them. */
  const ends = new Map<number, Sha256>([[FIRST_OFFSET, GENESIS]]);
  let next: number = FIRST_OFFSET;
  let lines = 0;
  const files = archivesIn(dir);
  const gap = (to: Offset): void =>
    void (next < to && missing.push(`the archive from offset ${next} to ${to - 1}`));
  for (const { first, path } of files) {
    if (first >= log.offset) continue;
    gap(first);
    const continued = ends.get(first) ?? null;
    if (continued === null && first < next)
      faults.push(`${path}: it begins in the middle of what the archive before it has`);
    // A file before it that reaches further was written before a backup came back: from here on this one says what happened.
    for (const end of ends.keys()) if (end > first) ends.delete(end);
    // After a gap its first segment is believed as the beginning: what it continues is not here.
    const read = await readArchive(path, { next: first, hash: continued });
    if (read.fault !== null) faults.push(`${path}: ${read.fault}`);
    for (const place of read.ends) ends.set(place.next, place.hash);
    const end = read.ends.at(-1)?.next ?? first;
    lines += end - first - Math.max(0, next - first);
    next = end;
  }
  gap(log.offset);
  lines -= Math.max(0, next - log.offset);
  if (faults.length === 0 && next >= log.offset && ends.get(log.offset) !== log.hash)
    faults.push(`${dir}: its last archive does not end in what the log at ${log.offset} continues`);
  return { files: files.length, lines, faults, missing };
}

/** For people: nothing where nothing was ever archived. */
export function sayArchives(
  { files, lines, faults, missing }: CheckedArchives,
  beginsAt: Offset,
): readonly string[] {
  if (beginsAt === FIRST_OFFSET) return [];
  return [
    `the log begins at ${beginsAt}: ${lines} lines before that verify in ${files} archive files`,
    ...missing.map((what) => `${what} is not here and was not verified`),
    ...faults.map((fault) => `${fault}. Take a copy of this archive from elsewhere.`),
  ];
}

interface Place {
  readonly next: Offset;
  readonly hash: Sha256 | null;
}
interface End extends Place {
  readonly hash: Sha256;
}

function archivesIn(dir: string): readonly { readonly first: Offset; readonly path: string }[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .sort()
    .flatMap((name) => {
      const first = NAME.exec(name)?.[1];
      return first === undefined
        ? []
        : [{ first: offsetSchema.parse(Number(first)), path: join(dir, name) }];
    });
}

/** Where each of its segments ends, as far as they continue each other. */
async function readArchive(
  path: string,
  begin: Place,
): Promise<{ readonly ends: readonly End[]; readonly fault: string | null }> {
  const ends: End[] = [];
  try {
    for await (const { head, lines } of segmentsIn(path)) {
      const what = faultOf(head, lines, ends.at(-1) ?? begin);
      if (what !== null)
        return { ends, fault: `the segment at offset ${head.firstOffset} ${what}` };
      ends.push({ next: offsetAfter(head.firstOffset, head.count), hash: head.hash });
    }
    return { ends, fault: null };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const { next } = ends.at(-1) ?? begin;
    return { ends, fault: `it can't be read after offset ${next} (${why})` };
  }
}

function faultOf(head: Head, lines: string, { next, hash }: Place): string | null {
  if (head.firstOffset !== next) return `should begin at ${next}`;
  if (hash !== null && head.prevHash !== hash) return "does not continue the segment before it";
  return segmentHash({ ...head, lines }) === head.hash ? null : "has lines that were not hashed";
}

async function* segmentsIn(path: string) {
  let head: Head | null = null;
  let lines: string[] = [];
  for await (const text of linesIn(path)) {
    if (head === null) {
      head = headLine.parse(JSON.parse(text)).segment;
      continue;
    }
    lines.push(`${text}\n`);
    if (lines.length < head.count) continue;
    yield { head, lines: lines.join("") };
    head = null;
    lines = [];
  }
  if (head !== null) throw new Error("it ends in the middle of a segment");
}

async function* linesIn(path: string): AsyncGenerator<string> {
  const input = createZstdDecompress();
  // Who reads the lines is told of an error; who has stopped at an earlier fault must not end the process by a later one.
  through(createReadStream(path), input, () => undefined);
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } finally {
    input.destroy();
  }
}
