import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";

/** The text of a file, or null where there is none. Throws a sentence where it can't be read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw new Error(`${path}: the file can't be read (${codeOf(cause)}).`, { cause });
  }
}

type Place = (partial: string, path: string) => void;

/** Beside it first, on the disk, then in place: after a power cut there is the whole file or none. */
function put(path: string, { text, mode, place }: { text: string; mode: number; place: Place }) {
  const partial = `${path}.${process.pid}.partial`;
  rmSync(partial, { force: true });
  writeFileSync(partial, text, { mode, flag: "wx", flush: true });
  try {
    place(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}

const PRIVATE = 0o600;
const PUBLIC = 0o644;

/** Writes a private key; it never replaces a file that is there (EEXIST). */
export const createPrivate = (path: string, text: string): void =>
  put(path, { text, mode: PRIVATE, place: linkSync });
export const replacePrivate = (path: string, text: string): void =>
  put(path, { text, mode: PRIVATE, place: renameSync });
export const createPublic = (path: string, text: string): void =>
  put(path, { text, mode: PUBLIC, place: linkSync });
