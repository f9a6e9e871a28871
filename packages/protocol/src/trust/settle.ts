import { isDeepStrictEqual } from "node:util";
import { addSecs, type Instant, ok } from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import { metadataBytes } from "./layout.ts";
import {
  expiresText,
  expiryOf,
  type Metadata,
  type MetaFile,
  type Root,
  type Snapshot,
  SPEC_VERSION,
  type Targets,
  type Timestamp,
  type TopRole,
} from "./metadata.ts";
import { clearPublished, publish } from "./publish.ts";
import { type Found, type Live, type Pending, storePending } from "./repositoryState.ts";
import {
  authorityOf,
  delegationsOf,
  type Hands,
  isComplete,
  isCompleteRoot,
  signPending,
  type Waiting,
  waitingOf,
  withSignatures,
} from "./signing.ts";

/** What a change came to: the versions that went live, by role, and what waits for whom. */
export interface Outcome {
  readonly live: ReadonlyMap<string, number>;
  readonly waiting: readonly Waiting[];
}

/** Long for what people sign together, short for what a machine signs: it is how long a mirror can hold things back. */
export const VALID_DAYS = {
  root: 365,
  targets: 90,
  snapshot: 7,
  timestamp: 7,
} as const satisfies Record<TopRole, number>;
const DAY_SECS = 86_400;

/** A version of a file, unsigned, valid for as long as the version before it said. */
export function nextOf<T extends Root | Targets | Snapshot | Timestamp>(
  signed: T,
  version: number,
  now: Instant,
): Metadata<T> {
  const days = signed["x-nixwave-valid-days"] ?? VALID_DAYS[signed._type];
  const expires = expiresText(addSecs(now, days * DAY_SECS));
  return { signed: { ...signed, spec_version: SPEC_VERSION, version, expires }, signatures: [] };
}

/**
 * Signs what waits and lets go live what is complete: a channel's release by itself; changed keys only together with everything
 * that must be signed anew for them, so that no client ever meets half of a change. It throws what the disk throws.
 */
export async function settle(
  hands: Hands,
  { live, pending, touched }: { live: Live; pending: Pending; touched: ReadonlySet<string> },
  renew = false,
): Found<Outcome> {
  const filled = fillIn(live, pending, hands.now);
  const signed = await signPending(hands, {
    live,
    pending,
    roles: new Set([...touched, ...filled]),
  });
  if (!signed.ok) return signed;
  const chosen = choose(live, pending);
  const sealed = await seal(hands, { live, pending, chosen, renew });
  if (!sealed.ok) return sealed;
  // First what waits: if the power goes now, a signature that a person made is not asked for again.
  await storePending(hands.directory, pending);
  if (sealed.value === null) return ok({ live: new Map(), waiting: waitingOf(live, pending) });
  const next: Live = { ...chosen, ...sealed.value };
  const published = await publish(hands.directory, live, next);
  clearPublished(pending, next);
  await storePending(hands.directory, pending);
  return ok({ live: published, waiting: waitingOf(next, pending) });
}

/** Roles whose live file would no longer count under changed keys get a new version to be signed; says which. */
function fillIn(live: Live, pending: Pending, now: Instant): readonly string[] {
  const filled: string[] = [];
  const root = (pending.root ?? live.root).signed;
  if (
    pending.targets === null &&
    !isComplete(live.targets, authorityOf("targets", root, live.targets.signed))
  ) {
    pending.targets = nextOf(live.targets.signed, live.targets.signed.version + 1, now);
    filled.push("targets");
  }
  const targets = (pending.targets ?? live.targets).signed;
  for (const channel of delegationsOf(targets).keys()) {
    const file = live.channels.get(channel);
    if (file === undefined || pending.channels.has(channel)) continue;
    if (isComplete(file, authorityOf(channel, root, targets))) continue;
    pending.channels.set(channel, nextOf(file.signed, file.signed.version + 1, now));
    filled.push(channel);
  }
  return filled;
}

type Chosen = Pick<Live, "root" | "targets" | "channels">;

/** The newest of what fits together: root and targets with every channel complete under them. */
function choose(live: Live, pending: Pending): Chosen {
  const next = pending.root;
  const roots = next !== null && isCompleteRoot(next, live.root) ? [next, live.root] : [live.root];
  const tops = pending.targets === null ? [live.targets] : [pending.targets, live.targets];
  const renewed = renewedForKeys(live, pending);
  for (const root of roots) {
    for (const targets of tops) {
      const isNewest = root === (next ?? live.root) && targets === tops[0];
      const tooSoon = isNewest ? nobody : renewed;
      if (targets !== live.targets && tooSoon.has("targets")) continue;
      if (!isComplete(targets, authorityOf("targets", root.signed, targets.signed))) continue;
      const channels = channelsUnder({ root, targets }, { live, pending, tooSoon });
      if (channels !== null) return { root, targets, channels };
    }
  }
  // What is live need not be complete by itself: a repository that was damaged by hand stays as it is.
  return live;
}

const nobody: ReadonlySet<string> = new Set();

/**
 * Roles that wait only because other keys will count: what they say is live already. Under the keys of now they are complete with fewer
 * signatures, and published by themselves they would have to be signed again, for ever.
 */
function renewedForKeys(live: Live, pending: Pending): ReadonlySet<string> {
  const root = (pending.root ?? live.root).signed;
  const targets = (pending.targets ?? live.targets).signed;
  const renewed = new Set<string>();
  const look = (role: string, file: Metadata<Targets>, was: Metadata<Targets> | undefined) => {
    if (was === undefined || !saysTheSame(file.signed, was.signed)) return;
    if (!isComplete(was, authorityOf(role, root, targets))) renewed.add(role);
  };
  if (pending.targets !== null) look("targets", pending.targets, live.targets);
  for (const [channel, file] of pending.channels) look(channel, file, live.channels.get(channel));
  return renewed;
}

const saysTheSame = (a: Targets, b: Targets): boolean =>
  isDeepStrictEqual([a.targets, a.delegations], [b.targets, b.delegations]);

/** Each channel's newest complete file; null if one has none under these keys. */
function channelsUnder(
  { root, targets }: Pick<Live, "root" | "targets">,
  { live, pending, tooSoon }: { live: Live; pending: Pending; tooSoon: ReadonlySet<string> },
): Live["channels"] | null {
  const channels = new Map(live.channels);
  for (const channel of delegationsOf(targets.signed).keys()) {
    const by = authorityOf(channel, root.signed, targets.signed);
    const next = tooSoon.has(channel) ? undefined : pending.channels.get(channel);
    const files = [next, live.channels.get(channel)];
    const file = files.find((each) => each !== undefined && isComplete(each, by));
    if (file === undefined) return null;
    channels.set(channel, file);
  }
  return channels;
}

type Sealed = Pick<Live, "snapshot" | "timestamp">;

/**
 * Snapshot and timestamp over what was chosen; null if there is nothing to publish, or if one of them lacks signatures
 * and waits. The timestamp names the snapshot's bytes, so it is made once the snapshot is complete.
 */
async function seal(
  hands: Hands,
  {
    live,
    pending,
    chosen,
    renew,
  }: { live: Live; pending: Pending; chosen: Chosen; renew: boolean },
): Found<Sealed | null> {
  const { root, targets } = chosen;
  const roots = [live.root.signed, root.signed].map(({ keys, roles }) => ({ keys, roles }));
  const by = (role: "snapshot" | "timestamp") =>
    roots.map(({ keys, roles }) => ({ ...roles[role], keys }));
  const meta = { ...live.snapshot.signed.meta, ...metaOf(chosen) };
  const anew = renew || pending.snapshot !== null || !sameMeta(meta, live.snapshot.signed.meta);
  let snapshot = live.snapshot;
  if (anew || !isComplete(snapshot, authorityOf("snapshot", root.signed, targets.signed))) {
    const waits = pending.snapshot;
    const goesOn = waits !== null && sameMeta(waits.signed.meta, meta) && isFresh(waits, hands.now);
    const next = goesOn
      ? waits
      : nextOf({ ...live.snapshot.signed, meta }, live.snapshot.signed.version + 1, hands.now);
    const signed = await withSignatures(hands.signers, next, by("snapshot"));
    if (!signed.ok) return signed;
    pending.snapshot = signed.value;
    if (!isComplete(signed.value, by("snapshot")[1] ?? null)) return ok(null);
    snapshot = signed.value;
  }
  const named = { "snapshot.json": metaFileOf(snapshot) };
  const stale = snapshot !== live.snapshot || pending.timestamp !== null || renew;
  let timestamp = live.timestamp;
  if (stale || !isComplete(timestamp, authorityOf("timestamp", root.signed, targets.signed))) {
    const waits = pending.timestamp;
    const goesOn =
      waits !== null && sameMeta(waits.signed.meta, named) && isFresh(waits, hands.now);
    const next = goesOn
      ? waits
      : nextOf(
          { ...live.timestamp.signed, meta: named },
          live.timestamp.signed.version + 1,
          hands.now,
        );
    const signed = await withSignatures(hands.signers, next, by("timestamp"));
    if (!signed.ok) return signed;
    pending.timestamp = signed.value;
    if (!isComplete(signed.value, by("timestamp")[1] ?? null)) return ok(null);
    timestamp = signed.value;
  }
  const nothing = root === live.root && timestamp === live.timestamp;
  return ok(nothing ? null : { snapshot, timestamp });
}

const isFresh = (file: Metadata<{ expires: string }>, now: Instant): boolean =>
  expiryOf(file.signed) > now;

/** What a snapshot says of the files below it. A channel that is gone stays named: clients take its loss for a rollback. */
function metaOf({ targets, channels }: Chosen): Record<string, MetaFile> {
  const meta: Record<string, MetaFile> = { "targets.json": metaFileOf(targets) };
  for (const [channel, file] of channels) meta[`${channel}.json`] = metaFileOf(file);
  return meta;
}

export function metaFileOf(file: Metadata<{ version: number }>): MetaFile {
  const bytes = metadataBytes(file);
  const { version } = file.signed;
  return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
}

function sameMeta(
  a: Readonly<Record<string, MetaFile>>,
  b: Readonly<Record<string, MetaFile>>,
): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => a[name]?.hashes.sha256 === b[name]?.hashes.sha256)
  );
}
