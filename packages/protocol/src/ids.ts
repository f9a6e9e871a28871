import {
  isAttempt,
  isBootId,
  isChannel,
  isChannelRef,
  isClosureHash,
  isControlId,
  isFreezeId,
  isHostName,
  isJournalId,
  isOffset,
  isProbeName,
  isRolloutId,
  isSeq,
  isSha256,
} from "@nixwave/effects";
import { z } from "zod";

/** Longer than any id: keeps what a message repeats, and what the patterns look at, short. */
const ID_LENGTH_MAX = 512;

function id<T extends string>(is: (text: string) => text is T, expected: string) {
  return z
    .string({ error: `expected ${expected}` })
    .max(ID_LENGTH_MAX, { error: `expected ${expected}, of at most ${ID_LENGTH_MAX} characters` })
    .refine(is, {
      error: (issue) => `expected ${expected}, not ${JSON.stringify(issue.input)}`,
      // Without it zod would go on to the pattern with a text of any length.
      when: (payload) => payload.issues.length === 0,
    });
}

/** One schema per id of packages/effects; each narrows to the brand. */
export const hostName = id(isHostName, "a host name such as web-1 (RFC 1123, lower case)");
export const channel = id(isChannel, "a channel such as stable (a-z, 0-9, _ and -)");
export const channelRef = id(isChannelRef, "a release ref of 40 lower-case hex digits");
export const rolloutIdText = id(isRolloutId, "a rollout id, <channel>@<40 hex digits>");
export const closureHash = id(isClosureHash, "a closure, <32 characters of Nix base32>-<name>");
const DOTTED = "of 1 to 128 of a-z, A-Z, 0-9, dot, _ and -, and no name that every object has";
export const probeName = id(isProbeName, `a probe name ${DOTTED}`);
export const controlId = id(isControlId, `a control id ${DOTTED}`);
export const journalId = id(isJournalId, "a journal id of 32 lower-case hex digits");
export const bootId = id(isBootId, "a boot id of 1 to 64 letters, digits and dashes");
export const freezeId = id(isFreezeId, "a freeze id of 16 lower-case hex digits");
export const sha256Text = id(isSha256, "a SHA-256 of 64 lower-case hex digits");

const FROM_1 = { error: "expected a whole number from 1" };
const FROM_0 = { error: "expected a whole number from 0" };
export const seq = z.number(FROM_1).refine(isSeq, FROM_1);
/** The last number given; 0 where none was. */
export const lastSeq = z.union([seq, z.literal(0)], FROM_0);
export const attempt = z.number(FROM_1).refine(isAttempt, FROM_1);
export const offset = z.number(FROM_0).refine(isOffset, FROM_0);

/** A whole number from 0. */
export const count = z.int(FROM_0).min(0, FROM_0);

/** A number as a query or a path spells it. */
const digits = z.codec(
  z.string().regex(/^\d{1,15}$/, { error: "expected a whole number" }),
  z.number(),
  { decode: (text) => Number(text), encode: (value) => String(value) },
);
export const inQuery = <T extends z.ZodType<number, number>>(schema: T) => digits.pipe(schema);
