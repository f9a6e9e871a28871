import type { Channel, Instant, Release } from "@nixwave/effects";
import {
  decodeEnrolmentKeys,
  decodeFleetHosts,
  decodeRevocations,
  type FleetFile,
  type FleetHosts,
  fleetFileOf,
  fleetTarget,
  type Live,
  type Metadata,
  nameOfKey,
  type Pending,
  type RoleKeys,
  releaseOf,
  type Targets,
  type TufKey,
  thumbprint,
} from "@nixwave/protocol";
import { changesOf } from "../release/changes.ts";
import { age } from "../render/duration.ts";
import { changesScreen } from "../render/release.ts";
import { harmless, type Style } from "../render/style.ts";

/** What a person is about to sign, by role: each against what is live. */
export interface Inspected {
  readonly role: string;
  readonly version: number;
  readonly lines: readonly string[];
}

interface Repository {
  readonly directory: string;
  readonly live: Live;
  readonly pending: Pending;
}

/** Everything that waits and that people sign; snapshot and timestamp only name the rest. */
export async function inspect(
  style: Style,
  { directory, live, pending }: Repository,
  now: Instant,
): Promise<readonly Inspected[]> {
  const inspected: Inspected[] = [];
  const add = (role: string, { signed }: Metadata<Dated>, lines: readonly string[]): void => {
    const ends = Date.parse(signed.expires);
    const valid = `valid for ${age((ends - now) / 1000)} from now`;
    const said = lines.length === 0 ? ["signed anew; what it says stays as it is"] : lines;
    inspected.push({ role, version: signed.version, lines: [...said, valid].map(harmless) });
  };
  if (pending.root !== null) {
    const { signed } = pending.root;
    const roles = Object.entries(signed.roles).flatMap(([role, keys]) =>
      keyLines(
        role,
        { keys: live.root.signed.keys, of: roleIn(live.root.signed.roles, role) },
        { keys: signed.keys, of: keys },
      ),
    );
    add("root", pending.root, roles);
  }
  if (pending.targets !== null) {
    const lines = await targetsLines(directory, live.targets, pending.targets);
    add("targets", pending.targets, lines);
  }
  for (const [channel, file] of pending.channels) {
    const lines = await channelLines(style, {
      directory,
      channel,
      before: live.channels.get(channel) ?? null,
      file,
    });
    add(channel, file, lines);
  }
  return inspected;
}

interface Dated {
  readonly version: number;
  readonly expires: string;
}
interface KeysOf {
  readonly keys: Readonly<Record<string, TufKey>>;
  readonly of: RoleKeys | null;
}

const roleIn = (roles: Readonly<Record<string, RoleKeys>>, role: string): RoleKeys | null =>
  roles[role] ?? null;

/** Which keys count from now on, and how many. */
function keyLines(role: string, before: KeysOf, after: KeysOf): readonly string[] {
  const name = ({ keys }: KeysOf, id: string) =>
    keys[id] === undefined ? id : nameOfKey(keys[id]);
  const was = before.of?.keyids ?? [];
  const is = after.of?.keyids ?? [];
  const lines = [
    ...is.filter((id) => !was.includes(id)).map((id) => `${role}: key ${name(after, id)} counts`),
    ...was
      .filter((id) => !is.includes(id))
      .map((id) => `${role}: key ${name(before, id)} counts no more`),
  ];
  const [old, next] = [before.of?.threshold, after.of?.threshold];
  if (old !== next)
    lines.push(`${role}: ${next} of ${is.length} keys must sign, before ${old ?? "none"}`);
  return lines;
}

async function targetsLines(
  directory: string,
  before: Metadata<Targets>,
  after: Metadata<Targets>,
): Promise<readonly string[]> {
  const lines: string[] = [];
  const delegated = ({ signed }: Metadata<Targets>) =>
    new Map((signed.delegations?.roles ?? []).map((role) => [role.name, role]));
  const [was, is] = [delegated(before), delegated(after)];
  const keysOf = ({ signed }: Metadata<Targets>) => signed.delegations?.keys ?? {};
  for (const name of new Set([...was.keys(), ...is.keys()])) {
    lines.push(
      ...keyLines(
        `channel ${name}`,
        { keys: keysOf(before), of: was.get(name) ?? null },
        { keys: keysOf(after), of: is.get(name) ?? null },
      ),
    );
  }
  for (const file of ["hosts.json", "enrolment.json", "revocations.json"] as const) {
    const target = fleetTarget(file);
    if (
      before.signed.targets[target]?.hashes.sha256 === after.signed.targets[target]?.hashes.sha256
    )
      continue;
    const said = [before, after].map(async (at) =>
      READ[file](await fleetFileOf(directory, target, at)),
    );
    const [old = new Map(), next = new Map()] = await Promise.all(said);
    lines.push(...mapLines(target, old, next));
  }
  return lines;
}

type Said = ReadonlyMap<string, string>;
const nothing: Said = new Map();

/** What each file says, a line per subject; bytes that are gone or broken say nothing, and are refused where they are signed. */
const READ: Readonly<Record<FleetFile, (bytes: Uint8Array | null) => Said>> = {
  "hosts.json": (bytes) => {
    const hosts = bytes === null ? null : decodeFleetHosts(bytes);
    return hosts?.ok === true ? hostsSaid(hosts.value) : nothing;
  },
  "enrolment.json": (bytes) => {
    const keys = bytes === null ? null : decodeEnrolmentKeys(bytes);
    if (keys?.ok !== true) return nothing;
    return new Map(
      keys.value.map(({ name, key }) => [
        `key ${name}`,
        `may sign join tokens (${thumbprint(key).slice(0, 12)})`,
      ]),
    );
  },
  "revocations.json": (bytes) => {
    const revoked = bytes === null ? null : decodeRevocations(bytes);
    if (revoked?.ok !== true) return nothing;
    return new Map(
      [...revoked.value].map(([host, { before, reason }]) => [
        host,
        `${before === null ? "is refused" : `is refused with a certificate from before ${new Date(before).toISOString()}`}: ${reason}`,
      ]),
    );
  },
};

const hostsSaid = (hosts: FleetHosts): Said =>
  new Map(
    [...hosts].map(([host, { channel, sshHostKey }]) => [
      host,
      `belongs to ${channel}, and enrols ${sshHostKey === null ? "with a token" : `by ${sshHostKey}`}`,
    ]),
  );

function mapLines(target: string, before: Said, after: Said): readonly string[] {
  const lines: string[] = [];
  for (const [subject, text] of after) {
    if (before.get(subject) !== text) lines.push(`${target}: ${subject} ${text}`);
  }
  for (const subject of before.keys()) {
    if (!after.has(subject)) lines.push(`${target}: ${subject} is taken out`);
  }
  return lines;
}

async function channelLines(
  style: Style,
  of: {
    directory: string;
    channel: Channel;
    before: Metadata<Targets> | null;
    file: Metadata<Targets>;
  },
): Promise<readonly string[]> {
  const { directory, channel, before, file } = of;
  const previous = before === null ? null : await releaseOf(directory, channel, before);
  const release: Release | null = await releaseOf(directory, channel, file);
  const lines: string[] = [];
  if (release !== null && release.ref !== previous?.ref) {
    lines.push(
      `made by ${release.createdBy} at ${new Date(release.createdAt).toISOString()}${release.note === "" ? "" : `: ${release.note}`}`,
    );
    lines.push(...changesScreen({ ...style, colour: false }, changesOf(release, previous)));
  }
  const own = new Set([`${channel}/current.json`, `${channel}/${release?.ref ?? ""}.json`]);
  const [was, is] = [before?.signed.targets ?? {}, file.signed.targets];
  const others = Object.keys(is).filter(
    (path) => !own.has(path) && was[path]?.hashes.sha256 !== is[path]?.hashes.sha256,
  );
  for (const path of others) lines.push(`${path} is signed too, and was not before`);
  return lines;
}
