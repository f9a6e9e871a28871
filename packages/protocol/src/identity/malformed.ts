import { err, ok, type Result } from "@nixwave/effects";

/**
 * Thrown by the readers of this folder where bytes are not what they must be, and caught in `reading` only. A Result per byte
 * would hide what a format looks like.
 */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** Throws Malformed with a sentence that says what was expected. */
export function expects(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Malformed(sentence);
}

/** Runs a reader; bytes that are not what they must be become the sentence, and any other error stays our bug. */
export function reading<T>(read: () => T): Result<T, string> {
  try {
    return ok(read());
  } catch (error) {
    if (error instanceof Malformed) return err(error.message);
    throw error;
  }
}

/** A refusal for people and programs: a stable code, and one sentence that says what was expected and what to do. */
export interface Refusal<Code extends string> {
  readonly code: Code;
  readonly sentence: string;
}

export const refuse = <Code extends string>(code: Code, sentence: string) =>
  err({ code, sentence });
