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
const nameOf = (first: Offset): string => `log-${String(first).padStart(DIGITS, "0")}.ndjson.zst`;

/**
 * The log's beginning up to an offset, as one file that verifies by itself and continues the file before. It has its name only when all of
 * it is on the disk, so that rows may go once this has resolved; a try that a crash cut short is made again and gives the same bytes.
 */
export async function writeArchive(
  dir: string,
  log: Pick<EventLog, "segments">,
  { from, before }: { readonly from: Offset; readonly before: Offset },
): Promise<string> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
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
  return path;
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
  let place: Place = { next: FIRST_OFFSET, hash: GENESIS };
  let lines = 0;
  const files = archivesIn(dir);
  const gap = (to: Offset): void =>
    void (place.next < to && missing.push(`the archive from offset ${place.next} to ${to - 1}`));
  for (const { first, path } of files) {
    if (first >= log.offset) continue;
    gap(first);
    // After a gap its first segment is believed as the beginning: what it continues is not here.
    const begin: Place = first === place.next ? place : { next: first, hash: null };
    const read = await readArchive(path, begin);
    if (read.fault !== null) faults.push(`${path}: ${read.fault}`);
    lines += read.place.next - first;
    place = read.place;
  }
  gap(log.offset);
  if (faults.length === 0 && place.next === log.offset && place.hash !== log.hash)
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

async function readArchive(
  path: string,
  begin: Place,
): Promise<{ readonly place: Place; readonly fault: string | null }> {
  let place = begin;
  try {
    for await (const { head, lines } of segmentsIn(path)) {
      const what = faultOf(head, lines, place);
      if (what !== null)
        return { place, fault: `the segment at offset ${head.firstOffset} ${what}` };
      place = { next: offsetAfter(head.firstOffset, head.count), hash: head.hash };
    }
    return { place, fault: null };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return { place, fault: `it can't be read after offset ${place.next} (${why})` };
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
