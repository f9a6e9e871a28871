import { err, ok, type Result } from "./result.ts";

/**
 * Every id of the system, registered here and made only by a parse function or a constructor of this file.
 * The casts in this file are the only ones: a brand exists nowhere at run time.
 */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** RFC 1123 name in lower case; also the certificate's subject; compared exactly. */
export type HostName = Brand<string, "HostName">;
/** A release train: `[a-z0-9][a-z0-9_-]{0,63}`. */
export type Channel = Brand<string, "Channel">;
/** 40 lower-case hex digits: SHA-256 of the release head's bytes, cut. Names one content for ever. */
export type ChannelRef = Brand<string, "ChannelRef">;
/** `<channel>@<ref>`, made only by `rolloutId`; never taken apart again (hazard 12). */
export type RolloutId = Brand<string, "RolloutId">;
/** A store path's base name, `<32 nix-base32>-<name>`; the pattern keeps paths and shell out. */
export type ClosureHash = Brand<string, "ClosureHash">;
/** `[a-zA-Z0-9._-]{1,128}`, but no name that every object has: `__proto__`, `constructor`. */
export type ProbeName = Brand<string, "ProbeName">;
/** As a ProbeName. */
export type ControlId = Brand<string, "ControlId">;
/** Random, made with an agent's journal; a new one means that the agent has forgotten. */
export type JournalId = Brand<string, "JournalId">;
/** The kernel's id of one boot, `[a-zA-Z0-9-]{1,64}`. */
export type BootId = Brand<string, "BootId">;
/** Names one freeze, so that it can be lifted. */
export type FreezeId = Brand<string, "FreezeId">;
/** SHA-256 in 64 lower-case hex digits. */
export type Sha256 = Brand<string, "Sha256">;
/** Counts a host's events within one stream, from 1, without gaps; only the agent mints it. */
export type Seq = Brand<number, "Seq">;
/** One try of a host at a rollout, from 1; the CP raises it. */
export type Attempt = Brand<number, "Attempt">;
/** A position in the CP's log, from 0. */
export type Offset = Brand<number, "Offset">;

/** Why a text is not the id it was taken for: enough for one clear sentence. */
export interface BadId {
  readonly kind: "BadId";
  readonly type: string;
  readonly value: string;
  readonly expected: string;
}

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
const CHANNEL = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const CHANNEL_REF = /^[0-9a-f]{40}$/;
const ROLLOUT_ID = /^[a-z0-9][a-z0-9_-]{0,63}@[0-9a-f]{40}$/;
const CLOSURE_HASH = /^[0-9a-df-np-sv-z]{32}-[a-zA-Z0-9+._?=][a-zA-Z0-9+._?=-]{0,210}$/;
const DOTTED_NAME = /^[a-zA-Z0-9._-]{1,128}$/;
const JOURNAL_ID = /^[0-9a-f]{32}$/;
const BOOT_ID = /^[a-zA-Z0-9-]{1,64}$/;
const FREEZE_ID = /^[0-9a-f]{16}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Records keep evidence under such names. As a key, `__proto__` vanishes, and `constructor` is found where nobody put it: a probe
 * of that name would have an answer before it gave one.
 */
const isDottedName = (text: string): boolean =>
  DOTTED_NAME.test(text) && !Object.hasOwn(Object.prototype, text);

export const isHostName = (text: string): text is HostName => HOST_NAME.test(text);
export const isChannel = (text: string): text is Channel => CHANNEL.test(text);
export const isChannelRef = (text: string): text is ChannelRef => CHANNEL_REF.test(text);
export const isRolloutId = (text: string): text is RolloutId => ROLLOUT_ID.test(text);
export const isClosureHash = (text: string): text is ClosureHash => CLOSURE_HASH.test(text);
export const isProbeName = (text: string): text is ProbeName => isDottedName(text);
export const isControlId = (text: string): text is ControlId => isDottedName(text);
export const isJournalId = (text: string): text is JournalId => JOURNAL_ID.test(text);
export const isBootId = (text: string): text is BootId => BOOT_ID.test(text);
export const isFreezeId = (text: string): text is FreezeId => FREEZE_ID.test(text);
export const isSha256 = (text: string): text is Sha256 => SHA256.test(text);
export const isSeq = (value: number): value is Seq => Number.isSafeInteger(value) && value >= 1;
export const isAttempt = (value: number): value is Attempt =>
  Number.isSafeInteger(value) && value >= 1;
export const isOffset = (value: number): value is Offset =>
  Number.isSafeInteger(value) && value >= 0;

type Parser<T> = (text: string) => Result<T, BadId>;

function parser<T extends string>(
  type: string,
  is: (text: string) => text is T,
  expected: string,
): Parser<T> {
  return (text) => (is(text) ? ok(text) : err({ kind: "BadId", type, value: text, expected }));
}

export const parseHostName: Parser<HostName> = parser(
  "host name",
  isHostName,
  "an RFC 1123 name in lower case, such as web-1",
);
export const parseChannel: Parser<Channel> = parser(
  "channel",
  isChannel,
  "1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit",
);
export const parseChannelRef: Parser<ChannelRef> = parser(
  "release ref",
  isChannelRef,
  "40 lower-case hex digits",
);
export const parseRolloutId: Parser<RolloutId> = parser(
  "rollout id",
  isRolloutId,
  "<channel>@<40 hex digits>",
);
export const parseClosureHash: Parser<ClosureHash> = parser(
  "closure",
  isClosureHash,
  "a store path's base name: 32 characters of Nix base32, a dash, a name",
);
export const parseProbeName: Parser<ProbeName> = parser(
  "probe name",
  isProbeName,
  "1 to 128 of a-z, A-Z, 0-9, dot, _ and -, and no name that every object has, such as __proto__",
);
export const parseControlId: Parser<ControlId> = parser(
  "control id",
  isControlId,
  "1 to 128 of a-z, A-Z, 0-9, dot, _ and -, and no name that every object has, such as __proto__",
);
export const parseJournalId: Parser<JournalId> = parser(
  "journal id",
  isJournalId,
  "32 lower-case hex digits",
);
export const parseBootId: Parser<BootId> = parser(
  "boot id",
  isBootId,
  "1 to 64 letters, digits and dashes",
);
export const parseFreezeId: Parser<FreezeId> = parser(
  "freeze id",
  isFreezeId,
  "16 lower-case hex digits",
);
export const parseSha256: Parser<Sha256> = parser("SHA-256", isSha256, "64 lower-case hex digits");

/** The one constructor of rollout ids (hazards 11 and 14). */
export const rolloutId = (channel: Channel, ref: ChannelRef): RolloutId =>
  `${channel}@${ref}` as RolloutId;

export const FIRST_ATTEMPT: Attempt = 1 as Attempt;
/** Behind the last that there is comes none: whoever claims to be there waits for the next release, and breaks nothing. */
export const nextAttempt = (attempt: Attempt): Attempt =>
  isAttempt(attempt + 1) ? ((attempt + 1) as Attempt) : attempt;
/** The number after the last one given; 0 stands for "none yet". */
export const nextSeq = (last: Seq | 0): Seq => (last + 1) as Seq;
