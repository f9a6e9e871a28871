import { addSecs, type Channel, type Instant, type Release } from "@nixwave/effects";
import { writeRelease } from "@nixwave/protocol";
import { channelName, closure, type SeededRandom } from "@nixwave/testkit";
import { type ChannelRole, laterThan, type Owner, roleOf } from "./owner.fixture.ts";

/** What a mirror does to whoever reads from it; each is one of the attacks that TUF is made against. */
export const MIRROR_ATTACKS = [
  "rollback",
  "freeze",
  "mix-and-match",
  "fast-forward",
  "endless-data",
  "wrong-length",
  "wrong-hash",
  "foreign-signature",
  "malicious-mirror",
  "own-root",
  "one-of-two",
  "wrong-channel",
  "unknown-role",
  "future-dated",
] as const;
export type MirrorAttackName = (typeof MIRROR_ATTACKS)[number];

/** One attack under way: what it serves in place of the repository. */
export interface MirrorAttack {
  readonly name: MirrorAttackName;
  read(path: string): Uint8Array | null;
  /** A release that nobody signed who may, for a control plane to hand out. */
  readonly evil: Release | null;
  /** What the owner has to do once it is found out. */
  readonly mend: (now: Instant) => void;
}

export interface Struck {
  readonly owner: Owner;
  readonly releases: readonly Release[];
  readonly random: SeededRandom;
  readonly now: Instant;
}

type Files = ReadonlyMap<string, Uint8Array>;
type Begin = (struck: Struck) => Omit<MirrorAttack, "name">;

const TIMESTAMP = "metadata/timestamp.json";
/** What is frozen is valid for so long still. */
const FROZEN_MS = 30_000;
const FAST = 2_000_000_000;
/** Nobody comes to read it: who signs a file of another channel is refused for its name. */
const FOREIGN = new Uint8Array(2).fill(32);
const YEAR_SECS = 365 * 86_400;
/** Above what any role may have. */
const ENDLESS = new Uint8Array(6_000_000).fill(32);

export const startAttack = (name: MirrorAttackName, struck: Struck): MirrorAttack => ({
  name,
  ...BEGIN[name](struck),
});

const nothing = (): void => undefined;

/** Honest but for some files. */
const served = (
  { files }: { readonly files: Files },
  instead: (path: string, honest: Uint8Array | null) => Uint8Array | null,
) => ({
  read: (path: string) => instead(path, files.get(path) ?? null),
  evil: null,
  mend: nothing,
});

/** Nothing else than what these files say. */
const only = (files: Files, evil: Release | null) => ({
  read: (path: string) => files.get(path) ?? null,
  evil,
  mend: nothing,
});

const isRole = (path: string): boolean =>
  /^metadata\/\d+\.(stable|edge|targets|snapshot)\.json$/.test(path);

/** The version before this one of the same role; null where there is none. */
function before(path: string, files: Files): Uint8Array | null {
  const found = /^metadata\/(\d+)\.(.*)$/.exec(path);
  if (found === null) return null;
  return files.get(`metadata/${Number(found[1]) - 1}.${found[2]}`) ?? null;
}

function evilRelease(
  { releases, random }: Struck,
  over: { readonly createdAt?: Instant; readonly channel?: Channel } = {},
): ReturnType<typeof writeRelease> | null {
  const like = releases.at(-1);
  if (like === undefined) return null;
  const { rolloutId: _, ref: __, ...content } = like;
  return writeRelease({
    ...content,
    createdAt: laterThan(releases),
    ...over,
    note: "evil",
    hosts: like.hosts.map((listed) => ({
      ...listed,
      closure: closure(`evil-${random.between(1, 9)}`),
    })),
  });
}

/** Its versions are far from the owner's: what a host has seen of them is never taken for one of those. */
const APART = 1000;

/** Who keeps the keys of one role, and of timestamp and snapshot; the owner replaces them all. */
function insider({ owner }: Struck, role: "targets" | ChannelRole) {
  const thief = owner.impostor(["timestamp", "snapshot", role]);
  thief.versions[role] += APART;
  return { thief, mend: (now: Instant) => owner.replace(role, thief, now) };
}

/** The channel of the newest release is struck, and the only one there is before the first. */
const victimOf = ({ releases }: Struck): ChannelRole =>
  roleOf(releases.at(-1)?.channel ?? channelName("stable"));

/** Before there is a release to make another like it, the role alone. */
function signedBy(
  thief: Owner,
  role: ChannelRole,
  evil: ReturnType<typeof evilRelease>,
  now: Instant,
): Release | null {
  if (evil === null) thief.signs(role, now);
  else thief.publish(evil, now, role);
  return evil?.release ?? null;
}

const BEGIN: Readonly<Record<MirrorAttackName, Begin>> = {
  rollback: ({ owner, random }) => {
    const old = owner.timestamps.slice(0, -1);
    const instead = old.length === 0 ? owner.read(TIMESTAMP) : random.pick(old);
    return served(owner, (path, honest) => (path === TIMESTAMP ? instead : honest));
  },
  freeze: ({ owner, now }) => {
    owner.refresh(now, FROZEN_MS);
    const frozen = new Map(owner.files);
    // The owner does what it always does, and nobody sees it.
    owner.refresh(now, null);
    return only(frozen, null);
  },
  "mix-and-match": ({ owner, random, releases }) => {
    const role = random.pick(["snapshot", ...releases.map(({ channel }) => channel)]);
    return served(owner, (path, honest) =>
      path.endsWith(`.${role}.json`) ? (before(path, owner.files) ?? honest) : honest,
    );
  },
  "fast-forward": ({ owner }) => {
    const thief = owner.impostor(["timestamp", "snapshot"]);
    thief.versions.timestamp = thief.versions.snapshot = FAST;
    thief.writeSnapshot();
    thief.writeTimestamp();
    return { ...only(thief.files, null), mend: (now) => owner.rotate(now) };
  },
  "endless-data": ({ owner, random }) => {
    const isTimestamp = random.chance(0.5);
    return served(owner, (path, honest) =>
      (isTimestamp ? path === TIMESTAMP : isRole(path)) && honest !== null ? ENDLESS : honest,
    );
  },
  "wrong-length": ({ owner, random }) => {
    const isTarget = random.chance(0.5);
    return served(owner, (path, honest) =>
      (isTarget ? path.startsWith("targets/") : isRole(path)) && honest !== null
        ? honest.subarray(0, -1)
        : honest,
    );
  },
  "wrong-hash": ({ owner, random }) => {
    const isTarget = random.chance(0.5);
    return served(owner, (path, honest) =>
      (isTarget ? path.startsWith("targets/") : isRole(path)) && honest !== null
        ? honest.map((byte, at) => (at === 9 ? byte ^ 1 : byte))
        : honest,
    );
  },
  "foreign-signature": (struck) => {
    const { owner } = struck;
    const thief = owner.impostor(["timestamp", "snapshot"]);
    const evil = evilRelease(struck);
    if (evil !== null) thief.publish(evil, struck.now);
    return { ...only(thief.files, evil?.release ?? null), mend: (now) => owner.rotate(now) };
  },
  "malicious-mirror": (struck) => {
    const own = struck.owner.impostor([]);
    const evil = evilRelease(struck);
    own.next("targets", "stable", "edge").writeAll();
    if (evil !== null) own.publish(evil, struck.now);
    return only(own.files, evil?.release ?? null);
  },
  "own-root": (struck) => {
    const own = struck.owner.impostor([]);
    const evil = evilRelease(struck);
    own.versions.root += 1;
    own.writeRoot();
    own.next("targets", "stable", "edge").writeAll();
    if (evil !== null) own.publish(evil, struck.now);
    return only(own.files, evil?.release ?? null);
  },
  "one-of-two": (struck) => {
    const { owner } = struck;
    const role = victimOf(struck);
    const thief = owner.impostor(["timestamp", "snapshot"]);
    thief.keys[role] = owner.keys[role].slice(0, 1);
    const evil = signedBy(thief, role, evilRelease(struck), struck.now);
    return { ...only(thief.files, evil), mend: (now) => owner.rotate(now) };
  },
  "wrong-channel": (struck) => {
    const role = victimOf(struck);
    const { thief, mend } = insider(struck, role);
    const other = role === "stable" ? "edge" : "stable";
    thief.target(role, `${other}/current.json`, FOREIGN);
    const made = evilRelease(struck, { channel: channelName(other) });
    return { ...only(thief.files, signedBy(thief, role, made, struck.now)), mend };
  },
  "unknown-role": (struck) => {
    const role = victimOf(struck);
    const { thief, mend } = insider(struck, "targets");
    thief.delegateAll(role);
    const evil = signedBy(thief, role, evilRelease(struck), struck.now);
    return { ...only(thief.files, evil), mend };
  },
  "future-dated": (struck) => {
    const role = victimOf(struck);
    const { thief, mend } = insider(struck, role);
    const ahead = addSecs(struck.now, YEAR_SECS);
    const made = evilRelease(struck, { createdAt: ahead });
    return { ...only(thief.files, signedBy(thief, role, made, ahead)), mend };
  },
};
