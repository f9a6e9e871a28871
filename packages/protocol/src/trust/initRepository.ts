import { addSecs, type Channel, ok } from "@nixwave/effects";
import { sha256 } from "../hash.ts";
import { encodeFleetHosts, type FleetHosts, wrongHostKey } from "./fleetHosts.ts";
import {
  fleetTarget,
  hashedTargetPath,
  metadataBytes,
  metadataPath,
  targetPath,
} from "./layout.ts";
import {
  expiresText,
  isChannelRole,
  type Metadata,
  type Root,
  SPEC_VERSION,
  type Targets,
  TOP_ROLES,
  type TopRole,
} from "./metadata.ts";
import { inFolder, place, readIfThere, syncFolder } from "./place.ts";
import { keyIdOf, type TufKey } from "./publicKey.ts";
import { type Found, repositoryProblem } from "./repositoryState.ts";
import { metaFileOf, type Outcome, VALID_DAYS } from "./settle.ts";
import { type Authority, type Hands, isComplete, withSignatures } from "./signing.ts";

/** The keys of a role, and how many of them must sign. */
export interface RoleSpec {
  readonly keys: readonly TufKey[];
  readonly threshold: number;
}

export interface InitOptions {
  readonly channels: readonly Channel[];
  readonly hosts: FleetHosts;
  /** Roles with keys of their own; every other one gets the signers' keys and threshold 1. */
  readonly roles?: ReadonlyMap<string, RoleSpec>;
  /** Days; a channel's are those of `targets`. */
  readonly validDays?: Partial<Record<TopRole, number>>;
}

/** Makes a repository. It refuses where there is one, and where the signers present can't complete every role. */
export async function initRepository(hands: Hands, options: InitOptions): Found<Outcome> {
  const { directory, signers } = hands;
  try {
    if ((await readIfThere(inFolder(directory, metadataPath("timestamp", 0)))) !== null) {
      return repositoryProblem("refused", `${directory}: holds a repository already`);
    }
    const wrong = options.channels.find((channel) => !isChannelRole(channel));
    if (wrong !== undefined) {
      const reason = `no channel can be called ${wrong}: it is a name of the repository's own`;
      return repositoryProblem("refused", reason);
    }
    const key = wrongHostKey(options.hosts);
    if (key !== null) return repositoryProblem("refused", key);
    const specs: Specs = (role) =>
      options.roles?.get(role) ?? { keys: signers.map(({ publicKey }) => publicKey), threshold: 1 };
    const files = await firstFiles(hands, options, specs);
    if (!files.ok) return files;
    const hosts = encodeFleetHosts(options.hosts);
    const target = fleetTarget("hosts.json");
    await place(inFolder(directory, hashedTargetPath(target, sha256(hosts))), hosts);
    await place(inFolder(directory, targetPath(target)), hosts);
    for (const [role, file] of files.value) {
      await place(inFolder(directory, metadataPath(role, 1)), metadataBytes(file));
    }
    await syncFolder(inFolder(directory, "metadata"));
    return ok({ live: new Map([...files.value.keys()].map((role) => [role, 1])), waiting: [] });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return repositoryProblem("not-stored", `${directory}: could not be written: ${why}`);
  }
}

type FirstFiles = ReadonlyMap<string, Metadata<{ readonly version: number }>>;

/** Version 1 of every role, signed, in the order in which they are put in place: the timestamp last. */
async function firstFiles(
  { signers, now }: Hands,
  { channels, hosts, validDays }: InitOptions,
  specs: Specs,
): Found<FirstFiles> {
  const dated = (kind: TopRole): Dated => {
    const days = validDays?.[kind] ?? VALID_DAYS[kind];
    const expires = expiresText(addSecs(now, days * 86_400));
    return { spec_version: SPEC_VERSION, version: 1, expires, "x-nixwave-valid-days": days };
  };
  const files = new Map<string, Metadata<{ readonly version: number }>>();
  const add = async <T extends { readonly version: number }>(
    role: string,
    signed: T,
  ): Found<Metadata<T>> => {
    const by = toAuthority(specs(role));
    const file = await withSignatures(signers, { signed, signatures: [] }, [by]);
    if (file.ok) files.set(role, file.value);
    if (!file.ok || isComplete(file.value, by)) return file;
    const reason = `role ${role} needs ${by.threshold} of its keys to sign at once when a repository is made: raise the threshold afterwards`;
    return repositoryProblem("refused", reason);
  };
  for (const channel of channels) {
    const empty: Targets = { _type: "targets", ...dated("targets"), targets: {} };
    const file = await add(channel, empty);
    if (!file.ok) return file;
  }
  const top = targetsOf(channels, specs, encodeFleetHosts(hosts), dated("targets"));
  const targets = await add("targets", top);
  if (!targets.ok) return targets;
  const named = [...files].map(([role, file]) => [`${role}.json`, metaFileOf(file)] as const);
  const meta = Object.fromEntries(named);
  const snapshot = await add("snapshot", { _type: "snapshot", ...dated("snapshot"), meta });
  if (!snapshot.ok) return snapshot;
  const root = await add("root", rootOf(specs, dated("root")));
  if (!root.ok) return root;
  const over = { "snapshot.json": metaFileOf(snapshot.value) };
  const timestamp = await add("timestamp", {
    _type: "timestamp",
    ...dated("timestamp"),
    meta: over,
  });
  return timestamp.ok ? ok(files) : timestamp;
}

type Specs = (role: string) => RoleSpec;
type Dated = Pick<Root, "spec_version" | "version" | "expires" | "x-nixwave-valid-days">;

const toAuthority = ({ keys, threshold }: RoleSpec): Authority => ({
  ...roleKeysOf({ keys, threshold }),
  keys: Object.fromEntries(keys.map((key) => [keyIdOf(key), key])),
});
const roleKeysOf = ({ keys, threshold }: RoleSpec) => ({
  keyids: [...new Set(keys.map(keyIdOf))],
  threshold,
});

function rootOf(specs: Specs, dated: Dated): Root {
  const keys = TOP_ROLES.flatMap((role) => specs(role).keys);
  return {
    _type: "root",
    ...dated,
    consistent_snapshot: true,
    keys: Object.fromEntries(keys.map((key) => [keyIdOf(key), key])),
    roles: {
      root: roleKeysOf(specs("root")),
      targets: roleKeysOf(specs("targets")),
      snapshot: roleKeysOf(specs("snapshot")),
      timestamp: roleKeysOf(specs("timestamp")),
    },
  };
}

function targetsOf(
  channels: readonly Channel[],
  specs: Specs,
  hosts: Uint8Array,
  dated: Dated,
): Targets {
  const keys = channels.flatMap((channel) => specs(channel).keys);
  return {
    _type: "targets",
    ...dated,
    targets: {
      [fleetTarget("hosts.json")]: { length: hosts.length, hashes: { sha256: sha256(hosts) } },
    },
    delegations: {
      keys: Object.fromEntries(keys.map((key) => [keyIdOf(key), key])),
      roles: channels.map((channel) => delegationOf(channel, specs(channel))),
    },
  };
}

/** A channel's role: its own folder, and no other role is asked after it. */
export function delegationOf(channel: Channel, spec: RoleSpec) {
  const paths: [string] = [`${channel}/*`];
  return { ...roleKeysOf(spec), name: channel, terminating: true as const, paths };
}
