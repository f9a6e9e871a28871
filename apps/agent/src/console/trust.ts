import { type Instant, type RejectCode, secsBetween } from "@nixwave/effects";
import { formatInstant, isDue } from "@nixwave/protocol";
import type { HostReleases } from "../releases.ts";

/** What this host trusts, for `status`. */
export interface TrustShown {
  /** Null until something was verified since the start. */
  readonly rootVersion: number | null;
  readonly verifiedAt: string | null;
  /** The first to end first; `due`: a quarter of its time or less is left. */
  readonly expiries: readonly {
    readonly role: string;
    readonly expiresAt: string;
    readonly due: boolean;
  }[];
  /** What could not be trusted at the last look; null: all of it could. */
  readonly trouble: {
    readonly code: RejectCode;
    readonly reason: string;
    readonly at: string;
  } | null;
}

export function shownTrust(
  { refresh, state, trouble }: HostReleases,
  now: Instant,
): TrustShown | null {
  if (refresh === null) return null;
  return {
    rootVersion: state?.rootVersion ?? null,
    verifiedAt: state === null ? null : formatInstant(state.verifiedAt),
    expiries: (state?.expiries ?? []).map((expiry) => ({
      role: expiry.role,
      expiresAt: formatInstant(expiry.expiresAt),
      due: secsBetween(now, expiry.expiresAt) <= 0 || isDue(expiry, now),
    })),
    trouble: trouble === null ? null : { ...trouble, at: formatInstant(trouble.at) },
  };
}

/** The root, what ends first, and what is wrong. */
export function trustRows({
  rootVersion,
  expiries,
  trouble,
}: TrustShown): readonly [string, string][] {
  const [first] = expiries;
  const trusts =
    rootVersion === null
      ? "nothing verified yet since the start"
      : `root version ${rootVersion}${first === undefined ? "" : `; ${first.role} is valid until ${first.expiresAt}${first.due ? ", which is soon: nixwave refresh" : ""}`}`;
  return [
    ["trusts", trusts],
    ...(trouble === null
      ? []
      : [["distrusts", `${trouble.code} at ${trouble.at}: ${trouble.reason}`] as [string, string]]),
  ];
}
