import { createPrivateKey, createPublicKey } from "node:crypto";
import { type Channel, type Instant, instant, type Release } from "@nixwave/effects";
import { currentPath, headPath, type WrittenRelease } from "@nixwave/protocol";
import { type ForgedKey, Forger, forgeKey, type Role } from "@nixwave/protocol/attacks.fixture";
import type { SeededRandom } from "@nixwave/testkit";
import type { HostPlan } from "./scenario.ts";

const CHANNEL_ROLES = ["stable", "edge"] as const;
export type ChannelRole = (typeof CHANNEL_ROLES)[number];
const utf8 = new TextEncoder();
const DAY_MS = 86_400_000;
const ONLINE = ["timestamp", "snapshot"] as const;
/** What is before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The same key for the same seed: metadata name their keys, and a world is the same bit for bit. */
function keyOf(random: SeededRandom): ForgedKey {
  const key = Buffer.concat([PKCS8, random.bytes(32)]);
  const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
  return forgeKey({ privateKey, publicKey: createPublicKey(privateKey) });
}

/** Metadata have no milliseconds. */
const wholeSecs = (at: Instant): Instant => instant(Math.floor(at / 1000) * 1000);

const isChannelRole = (role: Role): role is ChannelRole => role === "stable" || role === "edge";

/** The scenarios' channels are those that the fixture has a role for. */
export function roleOf(channel: Channel): ChannelRole {
  const name: string = channel;
  if (name === "stable" || name === "edge") return name;
  throw new Error(`a signed world has the channels stable and edge, and not ${channel}`);
}

/** Whoever holds keys, and signs a whole repository with them: in memory, and with real signatures. */
export class Owner extends Forger {
  readonly files = new Map<string, Uint8Array>();
  /** Every timestamp.json that there was, the oldest first: the other files stay where they are. */
  readonly timestamps: Uint8Array[] = [];
  /** "channel version" → what that version of the channel's role names as current. */
  readonly currents = new Map<string, Release>();
  readonly #random: SeededRandom;
  #made = 0;

  constructor(random: SeededRandom, hosts: readonly HostPlan[], now: Instant) {
    super();
    // Nothing is written there.
    super.remove();
    this.#random = random;
    this.signsAt = wholeSecs(now);
    for (const role of ["root", "targets", "snapshot", "timestamp", "stable", "edge"] as const)
      this.keys[role] = [this.#newKey()];
    // Two people sign a channel's releases, so that one of them alone is a thief of half of what it takes.
    for (const role of CHANNEL_ROLES) {
      this.keys[role].push(this.#newKey());
      this.thresholds[role] = 2;
    }
    for (const name of Object.keys(this.hosts)) delete this.hosts[name];
    for (const { name, channel } of hosts) this.hosts[name] = { channel, sshHostKey: null };
  }

  override put(path: string, bytes: Uint8Array | string): void {
    this.files.set(path, typeof bytes === "string" ? utf8.encode(bytes) : bytes);
  }

  override read(path: string): Uint8Array {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw new Error(`${path} was never written`);
    return bytes;
  }

  override writeTimestamp(by?: ForgedKey[]): void {
    super.writeTimestamp(by);
    this.timestamps.push(this.read("metadata/timestamp.json"));
  }

  begin(): void {
    this.writeHosts();
    this.writeRoot();
    this.writeAll();
  }

  /** A release of the channel, signed and current from now on; by another channel's keys only where somebody attacks. */
  publish(
    { release, files }: WrittenRelease,
    now: Instant,
    role: ChannelRole = roleOf(release.channel),
  ): void {
    for (const { path, bytes } of files) {
      const isTarget =
        path === currentPath(release.channel) || path === headPath(release.channel, release.ref);
      if (isTarget) this.target(role, path, bytes);
      else this.put(`targets/${path}`, bytes);
    }
    this.signs(role, now);
    this.currents.set(`${role} ${this.versions[role]}`, release);
  }

  /** The next version of a channel's role, and of what names it. */
  signs(role: ChannelRole, now: Instant): void {
    this.signsAt = wholeSecs(now);
    this.next(role).writeChannel(role);
    this.writeSnapshot();
    this.writeTimestamp();
  }

  /** Signs anew what is published, valid for so long: `nixwave refresh`. */
  refresh(now: Instant, validMs: number | null): void {
    const { timestamp } = this.days;
    if (validMs !== null) this.days.timestamp = validMs / DAY_MS;
    this.signsAt = wholeSecs(now);
    this.next().writeSnapshot();
    this.writeTimestamp();
    this.days.timestamp = timestamp;
  }

  /** The keys of timestamp and snapshot were stolen: a new root with others. */
  rotate(now: Instant): void {
    const old = this.keys.root;
    for (const role of ONLINE) this.keys[role] = [this.#newKey()];
    this.signsAt = wholeSecs(now);
    this.versions.root += 1;
    this.writeRoot(old);
    this.next().writeSnapshot();
    this.writeTimestamp();
  }

  /** This role's keys were stolen too: it has others, and signs anew what it had signed, past what the thief has. */
  replace(role: "targets" | ChannelRole, thief: Owner, now: Instant): void {
    const before = this.currents.get(`${role} ${this.versions[role]}`);
    this.keys[role] = this.keys[role].map(() => this.#newKey());
    this.versions[role] = Math.max(this.versions[role], thief.versions[role]);
    this.signsAt = wholeSecs(now);
    this.next("targets", role);
    if (isChannelRole(role)) this.writeChannel(role);
    if (before !== undefined) this.currents.set(`${role} ${this.versions[role]}`, before);
    this.writeTargets();
    this.rotate(now);
  }

  /** Somebody with these of its keys, and keys of his own for the rest, who goes on from what is published. */
  impostor(stolen: readonly Role[]): Impostor {
    return new Impostor(this, stolen, this.#random.stream(`impostor ${(this.#made += 1)}`));
  }

  #newKey(): ForgedKey {
    return keyOf(this.#random.stream(`key ${(this.#made += 1)}`));
  }
}

class Impostor extends Owner {
  /** The top-level targets give one channel's role, with this one's own keys, whatever any channel has. */
  delegateAll(name: ChannelRole): void {
    this.next("targets", name).writeChannel(name);
    const roles = [{ ...this.role(name), name, terminating: true, paths: ["*/*"] }];
    const keys = Object.fromEntries(this.keys[name].map(({ id, json }) => [id, json]));
    const body = { targets: this.targets.targets, delegations: { keys, roles } };
    this.writeNamed("targets", this.sign("targets", "targets", body));
    this.writeSnapshot();
    this.writeTimestamp();
  }

  constructor(of: Owner, stolen: readonly Role[], random: SeededRandom) {
    super(random, [], of.signsAt);
    Object.assign(this.hosts, of.hosts);
    Object.assign(this.versions, of.versions);
    Object.assign(this.meta, of.meta);
    for (const role of ["targets", "stable", "edge"] as const)
      Object.assign(this.targets[role], of.targets[role]);
    for (const role of stolen) this.keys[role] = of.keys[role];
    for (const [path, bytes] of of.files) this.files.set(path, bytes);
  }
}

/** Newer than every honest one, so that nothing but trust stands against it. */
export const laterThan = (releases: Iterable<Release>): Instant =>
  instant(Math.max(0, ...[...releases].map(({ createdAt }) => createdAt)) + 1000);
