import { type Channel, err, type Instant, isChannel, ok, type Result } from "@nixwave/effects";
import { type Expiry, type TrustProblem, trustProblem } from "./attack.ts";
import { metadataPath } from "./layout.ts";
import {
  expiryOf,
  type Metadata,
  type Root,
  type Snapshot,
  type Targets,
  type Timestamp,
} from "./metadata.ts";

/** A metadata file with the bytes that it came in, for who serves it on. */
export interface Kept<T> {
  readonly file: Metadata<T>;
  readonly bytes: Uint8Array;
}

/** One state of a repository, all of it verified together: by the gate and by tuf-js, at `verifiedAt`. */
export interface Trusted {
  readonly verifiedAt: Instant;
  readonly root: Kept<Root>;
  readonly timestamp: Kept<Timestamp>;
  readonly snapshot: Kept<Snapshot>;
  readonly targets: Kept<Targets>;
  /** Each channel that was asked for; one that can't be trusted takes no other with it. */
  readonly channels: ReadonlyMap<Channel, Result<Kept<Targets>, TrustProblem>>;
}

/** The channels that the repository has, in the order of their names. */
export function channelsOf({ targets }: Pick<Trusted, "targets">): readonly Channel[] {
  const roles = targets.file.signed.delegations?.roles ?? [];
  return roles.flatMap(({ name }) => (isChannel(name) ? [name] : [])).sort();
}

/** The channel's role, verified; `unknown-role` for a channel that the repository does not have. */
export function channelIn(trusted: Trusted, channel: Channel): Result<Kept<Targets>, TrustProblem> {
  const kept = trusted.channels.get(channel);
  if (kept !== undefined) return kept;
  const file = metadataPath("targets", trusted.targets.file.signed.version);
  const known = channelsOf(trusted).join(", ") || "none";
  return err(
    trustProblem(
      "unknown-role",
      file,
      `delegates to no channel ${channel}: expected one of ${known}`,
    ),
  );
}

/** Every role's version: what a mirror or a dispatch may be compared by. */
export function versionsOf(trusted: Trusted): ReadonlyMap<string, number> {
  return new Map(partsOf(trusted).map(([role, { signed }]) => [role, signed.version]));
}

/** When each role ends to be valid, the first to end first. */
export function expiriesOf(trusted: Trusted): readonly Expiry[] {
  return partsOf(trusted)
    .map(([role, { signed }]) => expiryFor(role, signed))
    .sort((a, b) => a.expiresAt - b.expiresAt);
}

type Dated = { readonly expires: string; readonly "x-nixwave-valid-days"?: number | undefined };

export const expiryFor = (role: string, signed: Dated): Expiry => ({
  role,
  expiresAt: expiryOf(signed),
  validDays: signed["x-nixwave-valid-days"] ?? null,
});

/** A state that was verified is worth no new activation once a part of it has expired. The channel's own part only, if one is given. */
export function stillValid(
  trusted: Trusted,
  channel: Channel | null,
  now: Instant,
): Result<null, Expiry> {
  const parts = new Set<string>(["root", "targets", "snapshot", "timestamp"]);
  if (channel !== null) parts.add(channel);
  const over = expiriesOf(trusted).find(
    ({ role, expiresAt }) => parts.has(role) && expiresAt <= now,
  );
  return over === undefined ? ok(null) : err(over);
}

const DAY_MS = 86_400_000;

/** Whether a quarter of its validity or less is left: time to run `nixwave refresh`, or to sign anew. */
export function isDue({ expiresAt, validDays }: Expiry, now: Instant): boolean {
  const left = expiresAt - now;
  return left <= 0 || (validDays !== null && left <= (validDays * DAY_MS) / 4);
}

function partsOf(trusted: Trusted): [string, Metadata<Dated & { version: number }>][] {
  const parts: [string, Metadata<Dated & { version: number }>][] = [
    ["root", trusted.root.file],
    ["targets", trusted.targets.file],
    ["snapshot", trusted.snapshot.file],
    ["timestamp", trusted.timestamp.file],
  ];
  for (const [channel, kept] of trusted.channels) {
    if (kept.ok) parts.push([channel, kept.value.file]);
  }
  return parts;
}
