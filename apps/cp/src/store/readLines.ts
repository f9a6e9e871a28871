import type { Result, Sha256 } from "@nixwave/effects";
import { BATCH_LINES_MAX, decodeLine, type Line, type LineRefusal } from "@nixwave/protocol";
import { sha256 } from "../log/hash.ts";

export interface ReadLine {
  readonly decoded: Result<Line, LineRefusal>;
  readonly hash: Sha256;
}

/** A batch is read whole before its first line is folded, and the batches of some hosts are decided together. */
const LINES_MAX = 4 * BATCH_LINES_MAX;

/** Agents' lines as they were read last: the writer judges a line before its stream takes it, and the fold wants the same line again. */
export class ReadLines {
  readonly #lines = new Map<string, ReadLine>();

  read(text: string): ReadLine {
    const known = this.#lines.get(text);
    if (known !== undefined) return known;
    const line = { decoded: decodeLine(text), hash: sha256(text) };
    if (this.#lines.size >= LINES_MAX) this.#lines.clear();
    this.#lines.set(text, line);
    return line;
  }
}
