import { type Channel, isChannel, ok, type Result, type Sha256 } from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import { decodeEnrolmentKeys, decodeRevocations } from "../identity/fleetEnrolment.ts";
import { readCurrent, readRelease } from "../readRelease.ts";
import { currentPath, headPath, type ReleaseFile } from "../releaseFiles.ts";
import { canonical } from "./canonical.ts";
import {
  change,
  type Draft,
  type Edited,
  editChannel,
  edited,
  editRoot,
  editTargets,
  refused,
  unknownRole,
} from "./draft.ts";
import { decodeFleetHosts, foreignHost, wrongHostKey } from "./fleetHosts.ts";
import { delegationOf, type RoleSpec } from "./initRepository.ts";
import {
  type FleetFile,
  fleetTarget,
  hashedTargetPath,
  isChannelTarget,
  isPartPath,
  targetPath,
} from "./layout.ts";
import { isChannelRole, SPEC_VERSION, type Targets } from "./metadata.ts";
import { inFolder, placeIfOther } from "./place.ts";
import { keyIdOf } from "./publicKey.ts";
import { fleetFileOf, releaseOf } from "./released.ts";
import { type Found, type Pending, pendingFiles } from "./repositoryState.ts";
import { nextOf, type Outcome } from "./settle.ts";
import { delegationsOf, type Hands } from "./signing.ts";

/** How many releases of a channel stay signed: enough for recovery and for agents that come back, few enough to be quick. */
export const HELD_RELEASES_MAX = 200;

/** What was shown to whoever signs, by role: nothing else is signed for it. */
export type SeenPending = ReadonlyMap<string, Sha256>;
export const seenPending = (pending: Pending): SeenPending =>
  new Map([...pendingFiles(pending)].map(([role, { signed }]) => [role, digestOf(signed)]));
const digestOf = (signed: unknown): Sha256 => sha256(canonical(signed) ?? "");

/**
 * Adds the signatures of those present to what waits, of these roles or of all; what is complete with them goes live. Nothing else
 * signs what others have made.
 */
export const signRepository = (
  hands: Hands,
  roles: readonly string[] | "all" = "all",
  seen: SeenPending | null = null,
): Found<Outcome> =>
  change(hands, async ({ pending, touched }) => {
    const now = seenPending(pending);
    for (const [role, digest] of seen ?? []) {
      if (now.get(role) === digest) continue;
      return refused(`${role}: what waits is not what was shown any more: look at it again`);
    }
    for (const role of roles === "all" ? pendingFiles(pending).keys() : roles) touched.add(role);
    return edited;
  });

/** Takes back what waits for signatures, of these roles. */
export const dropPending = (hands: Hands, roles: readonly string[]): Found<Outcome> =>
  change(hands, async (draft) => {
    for (const role of roles) {
      if (role === "root") draft.pending.root = null;
      else if (role === "targets") draft.pending.targets = null;
      else if (isChannel(role) && draft.pending.channels.has(role)) {
        draft.pending.channels.delete(role);
      } else return refused(`nothing of ${role} waits`);
    }
    return edited;
  });

/** Signs snapshot and timestamp anew, and those of `roles` too: from cron, before they expire. */
export const refreshRepository = (hands: Hands, roles: readonly string[] = []): Found<Outcome> =>
  change(
    hands,
    async (draft) => {
      for (const role of roles) {
        const done = await renewRole(hands, draft, role);
        if (!done.ok) return done;
      }
      return edited;
    },
    true,
  );

async function renewRole(hands: Hands, draft: Draft, role: string): Promise<Edited> {
  if (role === "snapshot" || role === "timestamp") return edited;
  if (role === "root") return editRoot(hands, draft, () => edited);
  if (role === "targets") return editTargets(hands, draft, () => edited);
  if (!isChannel(role)) return unknownRole(draft, role);
  if (!draft.pending.channels.has(role)) {
    return await editChannel(hands, draft, role, async () => edited);
  }
  return refused(
    `a release of ${role} waits for signatures, and renews the role when it is complete`,
  );
}

/** Delegates to a new channel. Its first file is signed by its own keys: it waits where they are not present. */
export const addChannel = (
  hands: Hands,
  { channel, keys, threshold }: { channel: Channel } & RoleSpec,
): Found<Outcome> =>
  change(hands, async (draft) => {
    if (!isChannelRole(channel)) return refused(`no channel can be called ${channel}`);
    if (threshold > keys.length || threshold < 1) {
      return refused(`channel ${channel} has ${keys.length} keys: expected a threshold up to that`);
    }
    const done = editTargets(hands, draft, (targets) => {
      if (delegationsOf(targets).has(channel))
        return refused(`channel ${channel} is there already`);
      const delegations = (targets.delegations ??= { keys: {}, roles: [] });
      for (const key of keys) delegations.keys[keyIdOf(key)] = key;
      delegations.roles.push(delegationOf(channel, { keys, threshold }));
      return edited;
    });
    if (!done.ok) return done;
    const empty: Targets = {
      _type: "targets",
      spec_version: SPEC_VERSION,
      version: 1,
      expires: "1970-01-01T00:00:00Z",
      targets: {},
    };
    draft.pending.channels.set(channel, nextOf(empty, 1, hands.now));
    draft.touched.add(channel);
    return edited;
  });

/** Puts files of `fleet/` in place of the former ones. */
export const setFleetFiles = (
  hands: Hands,
  files: ReadonlyMap<FleetFile, Uint8Array>,
): Found<Outcome> =>
  change(hands, async (draft) => {
    for (const [file, bytes] of files) {
      const wrong = wrongFleetFile(file, bytes);
      if (wrong !== null) return refused(`${fleetTarget(file)}: ${wrong}`);
      if (file === "hosts.json") {
        const torn = await tornRelease(hands, draft, bytes);
        if (torn !== null) return refused(`${fleetTarget(file)}: ${torn}`);
      }
      const target = fleetTarget(file);
      await placeTarget(hands, target, bytes);
      const done = editTargets(hands, draft, ({ targets }) => {
        targets[target] = entryFor(bytes);
        return edited;
      });
      if (!done.ok) return done;
    }
    return edited;
  });

/**
 * Clients refuse a release as a whole if one of its hosts is not its channel's: taking a host away would stop all others. Also of what
 * waits, which may go live with a signature that is made elsewhere.
 */
async function tornRelease(
  { directory }: Hands,
  { live, pending }: Draft,
  bytes: Uint8Array,
): Promise<string | null> {
  const hosts = decodeFleetHosts(bytes);
  if (!hosts.ok) return hosts.error;
  for (const [files, which] of [
    [live.channels, "current"],
    [pending.channels, "waiting"],
  ] as const) {
    for (const [channel, file] of files) {
      const release = await releaseOf(directory, channel, file);
      for (const { host } of release?.hosts ?? []) {
        if (foreignHost(hosts.value, host, channel) === null) continue;
        return `host ${host} is in the ${which} release of ${channel}: release ${channel} without it first`;
      }
    }
  }
  return null;
}

/** What clients would refuse, or find out too late. */
function wrongFleetFile(file: FleetFile, bytes: Uint8Array): string | null {
  if (file === "hosts.json") {
    const hosts = decodeFleetHosts(bytes);
    return hosts.ok ? wrongHostKey(hosts.value) : hosts.error;
  }
  const decode = file === "enrolment.json" ? decodeEnrolmentKeys : decodeRevocations;
  const decoded: Result<unknown, string> = decode(bytes);
  return decoded.ok ? null : decoded.error;
}

/** A release as writeRelease gives it. */
export interface ReleaseFiles {
  readonly channel: Channel;
  readonly files: readonly ReleaseFile[];
}

export const addRelease = (
  hands: Hands,
  channel: Channel,
  files: readonly ReleaseFile[],
): Found<Outcome> => addReleases(hands, [{ channel, files }]);

/**
 * Adds releases of several channels, under one snapshot. They are looked at as clients will look at them, hosts of other channels
 * included: what they would refuse is refused here, and then nothing is added.
 */
export const addReleases = (hands: Hands, releases: readonly ReleaseFiles[]): Found<Outcome> =>
  change(hands, async (draft) => {
    for (const release of releases) {
      const added = await addOne(hands, draft, release);
      if (!added.ok) return added;
    }
    return edited;
  });

async function addOne(
  hands: Hands,
  draft: Draft,
  { channel, files }: ReleaseFiles,
): Promise<Edited> {
  if (!draft.live.channels.has(channel)) return unknownRole(draft, channel);
  const foreign = files.find(
    ({ path }) => !isChannelTarget(path, channel) && !isPartPath(path, channel),
  );
  if (foreign !== undefined)
    return refused(`${foreign.path}: is no file of a release of ${channel}`);
  const byPath = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const sound = await lookAt(hands, draft, channel, byPath);
  if (!sound.ok) return sound;
  return await editChannel(hands, draft, channel, async (signed) => {
    for (const [path, bytes] of byPath) {
      if (isPartPath(path, channel)) {
        await placeIfOther(inFolder(hands.directory, targetPath(path)), bytes);
        continue;
      }
      await placeTarget(hands, path, bytes);
      // Again at the end: the order in the file is the order of the releases.
      delete signed.targets[path];
      signed.targets[path] = entryFor(bytes);
    }
    const heads = Object.keys(signed.targets).filter((path) => path !== currentPath(channel));
    for (const old of heads.slice(0, -HELD_RELEASES_MAX)) delete signed.targets[old];
    return edited;
  });
}

/** By the hosts that are live: a release may go live before what waits does. */
async function lookAt(
  { directory }: Hands,
  { live }: Draft,
  channel: Channel,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<Edited> {
  const read = async (path: string) => files.get(path) ?? null;
  const ref = await readCurrent(read, channel);
  if (!ref.ok) return refused(ref.error.reason);
  const release = await readRelease(read, { channel, ref: ref.value });
  if (!release.ok) return refused(release.error.reason);
  const target = fleetTarget("hosts.json");
  const bytes = await fleetFileOf(directory, target, live.targets);
  const hosts = bytes === null ? ok(new Map()) : decodeFleetHosts(bytes);
  if (!hosts.ok) return refused(`${target}: ${hosts.error}`);
  for (const { host } of release.value.value.hosts) {
    const foreign = foreignHost(hosts.value, host, channel);
    if (foreign !== null) return refused(`${headPath(channel, ref.value)}: ${foreign}`);
  }
  return edited;
}

const entryFor = (bytes: Uint8Array) => ({
  length: bytes.length,
  hashes: { sha256: sha256(bytes) },
});

const placeTarget = ({ directory }: Hands, target: string, bytes: Uint8Array): Promise<void> =>
  placeIfOther(inFolder(directory, hashedTargetPath(target, sha256(bytes))), bytes);
