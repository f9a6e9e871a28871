import { type Channel, err, isChannel, ok, type Result } from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import { decodeEnrolmentKeys, decodeRevocations } from "../identity/fleetEnrolment.ts";
import { readCurrent, readRelease } from "../readRelease.ts";
import { currentPath, headPath, type ReleaseFile } from "../releaseFiles.ts";
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
import {
  isChannelRole,
  isTopRole,
  type Metadata,
  type RoleKeys,
  type Root,
  SPEC_VERSION,
  type Targets,
} from "./metadata.ts";
import { inFolder, placeIfOther, readIfThere } from "./place.ts";
import { keyIdOf, nameOfKey, readTufKey, type TufKey } from "./publicKey.ts";
import {
  type Found,
  type Live,
  type Pending,
  type RepositoryProblem,
  readLive,
  readPending,
  repositoryProblem,
} from "./repositoryState.ts";
import { nextOf, type Outcome, settle } from "./settle.ts";
import { delegationsOf, type Hands, type Waiting, waitingOf } from "./signing.ts";

/** How many releases of a channel stay signed: enough for recovery and for agents that come back, few enough to be quick. */
export const HELD_RELEASES_MAX = 200;

interface Draft {
  readonly live: Live;
  readonly pending: Pending;
}
type Edited = Result<null, RepositoryProblem>;
const edited: Edited = ok(null);

/** Adds the signatures of those present to whatever waits; what is complete with them goes live. */
export const signRepository = (hands: Hands): Found<Outcome> => change(hands, async () => edited);

/** Signs snapshot and timestamp anew, and those of `roles` too: from cron, before they expire. */
export const refreshRepository = (hands: Hands, roles: readonly string[] = []): Found<Outcome> =>
  change(
    hands,
    async (draft) => {
      for (const role of roles) {
        if (role === "root") editRoot(hands, draft, () => edited);
        else if (role === "targets") editTargets(hands, draft, () => edited);
        else if (isChannel(role) && draft.live.channels.has(role)) {
          await editChannel(hands, draft, role, async () => edited);
        } else if (role !== "snapshot" && role !== "timestamp") return unknownRole(draft, role);
      }
      return edited;
    },
    true,
  );

/** Makes a key count for a role. */
export const addKey = (hands: Hands, { role, key }: { role: string; key: TufKey }) =>
  changeKeys(hands, role, (keys) => withKey(keys, role, key));

/** Makes a key count no more for a role. */
export const removeKey = (hands: Hands, { role, keyId }: { role: string; keyId: string }) =>
  changeKeys(hands, role, (keys) => withoutKey(keys, role, keyId));

/** Puts a key in another's place, in one version. */
export const rotateKey = (
  hands: Hands,
  { role, keyId, key }: { role: string; keyId: string; key: TufKey },
): Found<Outcome> =>
  changeKeys(hands, role, (keys) => {
    const added = withKey(keys, role, key);
    return added.ok ? withoutKey(added.value, role, keyId) : added;
  });

/** How many of a role's keys must sign. */
export const setThreshold = (
  hands: Hands,
  { role, threshold }: { role: string; threshold: number },
): Found<Outcome> =>
  changeKeys(hands, role, (keys) => {
    const most = Object.keys(keys.keys).length;
    if (Number.isInteger(threshold) && threshold >= 1 && threshold <= most) {
      return ok({ ...keys, threshold });
    }
    return refused(`role ${role} has ${most} keys: expected a threshold from 1 to ${most}`);
  });

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

/** Clients refuse a release as a whole if one of its hosts is not its channel's: taking a host away would stop all others. */
async function tornRelease(
  { directory }: Hands,
  { live }: Draft,
  bytes: Uint8Array,
): Promise<string | null> {
  const hosts = decodeFleetHosts(bytes);
  if (!hosts.ok) return hosts.error;
  const read = (path: string) => readIfThere(inFolder(directory, targetPath(path)));
  for (const channel of live.channels.keys()) {
    const ref = await readCurrent(read, channel);
    const release = ref.ok ? await readRelease(read, { channel, ref: ref.value }) : ref;
    if (!release.ok) continue;
    for (const { host } of release.value.value.hosts) {
      if (foreignHost(hosts.value, host, channel) === null) continue;
      return `host ${host} is in the current release of ${channel}: release ${channel} without it first`;
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

/**
 * Adds a release as writeRelease gives it. It is looked at as clients will look at it, hosts of other channels included: what they
 * would refuse is refused here.
 */
export const addRelease = (
  hands: Hands,
  channel: Channel,
  files: readonly ReleaseFile[],
): Found<Outcome> =>
  change(hands, async (draft) => {
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
  });

/** What lives and what waits, for `nixwave key list` and for whoever signs: they should see what they sign. */
export async function openRepository(
  directory: string,
): Found<{ live: Live; pending: Pending; waiting: readonly Waiting[] }> {
  try {
    const live = await readLive(directory);
    if (!live.ok) return live;
    const pending = await readPending(directory, live.value);
    if (!pending.ok) return pending;
    const waiting = waitingOf(live.value, pending.value);
    return ok({ live: live.value, pending: pending.value, waiting });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return repositoryProblem("damaged", `${directory}: could not be read: ${why}`);
  }
}

async function change(
  hands: Hands,
  edit: (draft: Draft) => Promise<Edited>,
  renew = false,
): Found<Outcome> {
  const opened = await openRepository(hands.directory);
  if (!opened.ok) return opened;
  try {
    const done = await edit(opened.value);
    return done.ok ? await settle(hands, opened.value, renew) : done;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return repositoryProblem("not-stored", `${hands.directory}: could not be written: ${why}`);
  }
}

/** The next root: on top of one that waits already, whose signatures are then asked for again. */
function editRoot({ now }: Hands, { live, pending }: Draft, edit: (root: Root) => Edited): Edited {
  const signed = structuredClone((pending.root ?? live.root).signed);
  const done = edit(signed);
  if (done.ok) pending.root = nextOf(signed, live.root.signed.version + 1, now);
  return done;
}

function editTargets(
  { now }: Hands,
  { live, pending }: Draft,
  edit: (targets: Targets) => Edited,
): Edited {
  const signed = structuredClone((pending.targets ?? live.targets).signed);
  const done = edit(signed);
  if (done.ok) pending.targets = nextOf(signed, live.targets.signed.version + 1, now);
  return done;
}

/** Always on top of what is live: a release that nobody wanted to sign is not signed along with the next one. */
async function editChannel(
  { now }: Hands,
  { live, pending }: Draft,
  channel: Channel,
  edit: (targets: Targets) => Promise<Edited>,
): Promise<Edited> {
  const file: Metadata<Targets> | undefined = live.channels.get(channel);
  if (file === undefined) return unknownRole({ live, pending }, channel);
  const signed = structuredClone(file.signed);
  const done = await edit(signed);
  if (done.ok) pending.channels.set(channel, nextOf(signed, file.signed.version + 1, now));
  return done;
}

interface KeysOfRole {
  readonly keys: Readonly<Record<string, TufKey>>;
  readonly threshold: number;
}
type EditKeys = (keys: KeysOfRole) => Result<KeysOfRole, RepositoryProblem>;

const changeKeys = (hands: Hands, role: string, edit: EditKeys): Found<Outcome> =>
  change(hands, async (draft) => {
    if (isTopRole(role)) {
      return editRoot(hands, draft, (root) =>
        editRole(root.keys, root.roles[role], Object.values(root.roles), edit),
      );
    }
    return editTargets(hands, draft, ({ delegations }) => {
      const delegated = delegations?.roles.find(({ name }) => name === role);
      if (delegations === undefined || delegated === undefined) return unknownRole(draft, role);
      return editRole(delegations.keys, delegated, delegations.roles, edit);
    });
  });

/** Changes one role in place, and drops keys that no role has any more. */
function editRole(
  all: Record<string, TufKey>,
  role: RoleKeys,
  roles: readonly RoleKeys[],
  edit: EditKeys,
): Edited {
  const own = Object.entries(all).filter(([id]) => role.keyids.includes(id));
  const next = edit({ keys: Object.fromEntries(own), threshold: role.threshold });
  if (!next.ok) return next;
  Object.assign(all, next.value.keys);
  role.keyids = Object.keys(next.value.keys);
  role.threshold = next.value.threshold;
  const used = new Set(roles.flatMap(({ keyids }) => keyids));
  for (const id of Object.keys(all)) if (!used.has(id)) delete all[id];
  return edited;
}

function withKey(of: KeysOfRole, role: string, key: TufKey): Result<KeysOfRole, RepositoryProblem> {
  const known = readTufKey(key);
  if (!known.ok) return refused(`key ${nameOfKey(key)}: ${known.error}`);
  const id = keyIdOf(key);
  if (Object.hasOwn(of.keys, id)) return refused(`role ${role} has key ${nameOfKey(key)} already`);
  return ok({ ...of, keys: { ...of.keys, [id]: key } });
}

function withoutKey(
  of: KeysOfRole,
  role: string,
  keyId: string,
): Result<KeysOfRole, RepositoryProblem> {
  const left = Object.entries(of.keys).filter(([id]) => id !== keyId);
  if (left.length === Object.keys(of.keys).length) {
    const names = Object.values(of.keys).map(nameOfKey).join(", ");
    return refused(`role ${role} has no key ${keyId}: expected one of ${names}`);
  }
  if (left.length < of.threshold) {
    return refused(
      `role ${role} would have ${left.length} keys, and ${of.threshold} must sign: lower the threshold, or add a key first`,
    );
  }
  return ok({ ...of, keys: Object.fromEntries(left) });
}

async function lookAt(
  { directory }: Hands,
  { live, pending }: Draft,
  channel: Channel,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<Edited> {
  const read = async (path: string) => files.get(path) ?? null;
  const ref = await readCurrent(read, channel);
  if (!ref.ok) return refused(ref.error.reason);
  const release = await readRelease(read, { channel, ref: ref.value });
  if (!release.ok) return refused(release.error.reason);
  const target = fleetTarget("hosts.json");
  const entry = (pending.targets ?? live.targets).signed.targets[target];
  const path = entry === undefined ? null : hashedTargetPath(target, entry.hashes.sha256);
  const bytes = path === null ? null : await readIfThere(inFolder(directory, path));
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

const refused = (reason: string) => err<RepositoryProblem>({ code: "refused", reason });

function unknownRole({ live }: Draft, role: string) {
  const known = ["root", "targets", "snapshot", "timestamp", ...live.channels.keys()].join(", ");
  return refused(`there is no role or channel ${role}: expected one of ${known}`);
}
