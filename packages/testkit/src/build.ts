import {
  type BootId,
  type Channel,
  type ChannelRef,
  type ClosureHash,
  type HostName,
  type Instant,
  instant,
  type JournalId,
  type Policy,
  type ProbeName,
  parseBootId,
  parseChannel,
  parseChannelRef,
  parseClosureHash,
  parseHostName,
  parseJournalId,
  parseProbeName,
  type Result,
  type RolloutId,
  rolloutId,
  type Terms,
} from "@nixwave/effects";

/** Short names for tests: `closure("new")` is a real store base name that ends in `-new`. */
function must<T>(parsed: Result<T, { readonly value: string; readonly expected: string }>): T {
  if (!parsed.ok) throw new Error(`"${parsed.error.value}" is not ${parsed.error.expected}`);
  return parsed.value;
}

/** Letters and digits that Nix's base32 knows; the others of a name are left out of the hash. */
const NOT_BASE32 = /[^0-9a-df-np-sv-z]/g;

export const hostName = (text: string): HostName => must(parseHostName(text));
export const channelName = (text: string): Channel => must(parseChannel(text));
export const closure = (name: string): ClosureHash =>
  must(parseClosureHash(`${name.replace(NOT_BASE32, "").padEnd(32, "0").slice(0, 32)}-${name}`));
/** `ref("a1")` is a1 followed by zeros. */
export const ref = (digits: string): ChannelRef => must(parseChannelRef(digits.padEnd(40, "0")));
export const journal = (digits: string): JournalId => must(parseJournalId(digits.padEnd(32, "0")));
export const bootId = (text: string): BootId => must(parseBootId(text));
export const probeName = (text: string): ProbeName => must(parseProbeName(text));
/** `rollout("stable@a1")`. */
export function rollout(text: string): RolloutId {
  const [channel = "", digits = ""] = text.split("@");
  return rolloutId(channelName(channel), ref(digits));
}

/** The short name back again, for output that people read. */
export const closureName = (hash: ClosureHash | null): string =>
  hash === null ? "none" : hash.slice(33);
export const rolloutName = (id: RolloutId): string => id.replace(/0+$/, "");

/** Noon of a day that no test depends on. */
export const START: Instant = instant(Date.UTC(2026, 0, 5, 12));

/** A policy whose numbers are quick to reason about, overridden where a test is about one of them. */
export function policy(over: Partial<Policy> = {}): Policy {
  return {
    onHealthFailure: "rollback-and-halt",
    healthFailureThresholdSecs: 60,
    activationTimeoutSecs: 900,
    realiseTimeoutSecs: 21_600,
    rollbackTimeoutSecs: 900,
    probeReportSecs: 60,
    lostSecs: 900,
    offlineGraceSecs: 3600,
    maxFailures: 0,
    deferredCounts: "waiting",
    ...over,
  };
}

export const terms = (over: Partial<Policy> = {}, soakSecs = 600, wave = 1): Terms => ({
  policy: policy(over),
  wave,
  soakSecs,
  closureDigest: null,
});
