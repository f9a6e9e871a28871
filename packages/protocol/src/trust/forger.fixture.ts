import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Channel, type Instant, instant, type Release } from "@nixwave/effects";
import { Metadata, MetadataKind, Signature } from "@tufjs/models";
import * as ids from "../ids.ts";
import { content, host } from "../release.fixture.ts";
import { currentPath, headPath, writeRelease } from "../releaseFiles.ts";
import { trustClient } from "./client.ts";
import { type FetchFile, fetchFromDirectory } from "./fetchFile.ts";
import { scratchFolder } from "./scratch.fixture.ts";
import { TrustedReleases } from "./trustedReleases.ts";

export const NOW = instant(Date.parse("2026-11-24T12:00:00Z"));
export const stable = ids.channel.parse("stable");
export const edge = ids.channel.parse("edge");
const utf8 = new TextEncoder();

/** A key as TUF tools other than ours would make it: hex of the raw key, id over its canonical JSON. */
export interface ForgedKey {
  readonly id: string;
  readonly json: { keytype: string; scheme: string; keyval: { public: string } };
  readonly key: KeyObject;
}
export function forgeKey({ publicKey, privateKey } = generateKeyPairSync("ed25519")): ForgedKey {
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(12).toString("hex");
  const json = { keytype: "ed25519", scheme: "ed25519", keyval: { public: raw } };
  const text = `{"keytype":"ed25519","keyval":{"public":"${raw}"},"scheme":"ed25519"}`;
  return { id: hash(utf8.encode(text)), json, key: privateKey };
}

const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const ROLES = ["root", "targets", "snapshot", "timestamp", "stable", "edge"] as const;
export type Role = (typeof ROLES)[number];
type Kind = "root" | "targets" | "snapshot" | "timestamp";
const KINDS = {
  root: MetadataKind.Root,
  targets: MetadataKind.Targets,
  snapshot: MetadataKind.Snapshot,
  timestamp: MetadataKind.Timestamp,
} as const;

/** Signs whatever it is told to, with @tufjs/models: an owner, a thief of keys, or a mirror that lies. */
export class Forger {
  readonly directory = scratchFolder();
  readonly versions: Record<Role, number> = {
    root: 1,
    targets: 1,
    snapshot: 1,
    timestamp: 1,
    stable: 1,
    edge: 1,
  };
  readonly keys: Record<Role, ForgedKey[]> = {
    root: [forgeKey()],
    targets: [forgeKey()],
    snapshot: [forgeKey()],
    timestamp: [forgeKey()],
    stable: [forgeKey()],
    edge: [forgeKey()],
  };
  readonly thresholds: Record<Role, number> = {
    root: 1,
    targets: 1,
    snapshot: 1,
    timestamp: 1,
    stable: 1,
    edge: 1,
  };
  /** When it signs: where validity begins. */
  signsAt: Instant = NOW;
  /** Days from then on. */
  readonly days: Record<Role, number> = {
    root: 365,
    targets: 90,
    snapshot: 7,
    timestamp: 7,
    stable: 90,
    edge: 90,
  };
  /** Whether metadata say for how long they are made valid, as ours do and those of other tools do not. */
  saysValidDays = true;
  /** Targets by the role that signs them. */
  readonly targets: {
    targets: Record<string, unknown>;
    stable: Record<string, unknown>;
    edge: Record<string, unknown>;
  } = {
    targets: {},
    stable: {},
    edge: {},
  };
  readonly hosts: Record<string, { channel: string; sshHostKey: string | null }> = {
    a: { channel: "stable", sshHostKey: "ssh-ed25519 AAAA a" },
    b: { channel: "stable", sshHostKey: null },
    c: { channel: "edge", sshHostKey: null },
  };
  readonly meta: Record<string, unknown> = {};

  /** A repository with a release in each channel, all of version 1. */
  static honest(): Forger {
    const forger = new Forger();
    forger.writeHosts();
    forger.release(stable, [host("a", 1), host("b", 2)]);
    forger.release(edge, [host("c", 1)]);
    forger.writeRoot();
    forger.writeAll();
    return forger;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
  put(path: string, bytes: Uint8Array | string): void {
    const file = join(this.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  read(path: string): Uint8Array {
    return readFileSync(join(this.directory, path));
  }

  target(role: "targets" | "stable" | "edge", path: string, bytes: Uint8Array): void {
    const slash = path.lastIndexOf("/") + 1;
    this.put(`targets/${path.slice(0, slash)}${hash(bytes)}.${path.slice(slash)}`, bytes);
    this.targets[role][path] = { length: bytes.length, hashes: { sha256: hash(bytes) } };
  }
  writeHosts(): void {
    const bytes = utf8.encode(JSON.stringify({ schemaVersion: 1, hosts: this.hosts }));
    this.target("targets", "fleet/hosts.json", bytes);
  }
  release(
    channel: Channel,
    hosts: Release["hosts"],
    more: Partial<Release> = {},
    signer: "stable" | "edge" | "targets" = channel === stable ? "stable" : "edge",
  ) {
    const written = writeRelease(content(hosts, { createdAt: NOW, channel, ...more }));
    for (const { path, bytes } of written.files) {
      const isTarget =
        path === currentPath(channel) || path === headPath(channel, written.release.ref);
      if (isTarget) this.target(signer, path, bytes);
      else this.put(`targets/${path}`, bytes);
    }
    return written.release;
  }

  /** Signs with every key of the role, or with those given. */
  sign(
    kind: Kind,
    role: Role,
    more: Record<string, unknown>,
    by: ForgedKey[] = this.keys[role],
  ): Uint8Array {
    const expires = new Date(this.signsAt + Math.round(this.days[role] * 86_400) * 1000)
      .toISOString()
      .replace(".000Z", "Z");
    const signed = {
      _type: kind,
      spec_version: "1.0.31",
      version: this.versions[role],
      expires,
      ...(this.saysValidDays
        ? { "x-nixwave-valid-days": Math.max(1, Math.ceil(this.days[role])) }
        : {}),
      ...more,
    };
    const json = { signed, signatures: [] };
    const metadata =
      kind === "root"
        ? Metadata.fromJSON(KINDS.root, json)
        : kind === "targets"
          ? Metadata.fromJSON(KINDS.targets, json)
          : kind === "snapshot"
            ? Metadata.fromJSON(KINDS.snapshot, json)
            : Metadata.fromJSON(KINDS.timestamp, json);
    for (const { id, key } of by) {
      metadata.sign(
        (bytes) => new Signature({ keyID: id, sig: sign(null, bytes, key).toString("hex") }),
      );
    }
    return utf8.encode(JSON.stringify(metadata.toJSON()));
  }

  role(name: Role) {
    return { keyids: this.keys[name].map(({ id }) => id), threshold: this.thresholds[name] };
  }
  rootBody(): Record<string, unknown> {
    const tops = ["root", "targets", "snapshot", "timestamp"] as const;
    const keys = tops.flatMap((role) => this.keys[role]);
    return {
      consistent_snapshot: true,
      keys: Object.fromEntries(keys.map(({ id, json }) => [id, json])),
      roles: Object.fromEntries(tops.map((role) => [role, this.role(role)])),
    };
  }
  /** By the keys of the root, and those before them where given. */
  writeRoot(also: ForgedKey[] = []): void {
    const bytes = this.sign("root", "root", this.rootBody(), [...this.keys.root, ...also]);
    this.put(`metadata/${this.versions.root}.root.json`, bytes);
  }

  writeChannel(role: "stable" | "edge", by?: ForgedKey[]): void {
    this.writeNamed(role, this.sign("targets", role, { targets: this.targets[role] }, by));
  }
  writeTargets(by?: ForgedKey[]): void {
    const roles = (["stable", "edge"] as const).map((name) => ({
      ...this.role(name),
      name,
      terminating: true,
      paths: [`${name}/*`],
    }));
    const keys = [...this.keys.stable, ...this.keys.edge].map(({ id, json }) => [id, json]);
    const delegations = { keys: Object.fromEntries(keys), roles };
    this.writeNamed(
      "targets",
      this.sign("targets", "targets", { targets: this.targets.targets, delegations }, by),
    );
  }
  /** Places a file and names it in the next snapshot. */
  writeNamed(role: Role, bytes: Uint8Array): void {
    this.put(`metadata/${this.versions[role]}.${role}.json`, bytes);
    this.meta[`${role}.json`] = metaOf(bytes, this.versions[role]);
  }
  writeSnapshot(by?: ForgedKey[]): void {
    const bytes = this.sign("snapshot", "snapshot", { meta: { ...this.meta } }, by);
    this.put(`metadata/${this.versions.snapshot}.snapshot.json`, bytes);
  }
  writeTimestamp(by?: ForgedKey[]): void {
    const bytes = this.read(`metadata/${this.versions.snapshot}.snapshot.json`);
    const meta = { "snapshot.json": metaOf(bytes, this.versions.snapshot) };
    this.put("metadata/timestamp.json", this.sign("timestamp", "timestamp", { meta }, by));
  }
  /** Everything below the root. */
  writeAll(): void {
    this.writeChannel("stable");
    this.writeChannel("edge");
    this.writeTargets();
    this.writeSnapshot();
    this.writeTimestamp();
  }
  /** The next version of these, and of what names them. */
  next(...roles: Role[]): this {
    for (const role of new Set<Role>([...roles, "snapshot", "timestamp"])) this.versions[role] += 1;
    return this;
  }

  root(): Uint8Array {
    return this.read("metadata/1.root.json");
  }
}

const metaOf = (bytes: Uint8Array, version: number) => ({
  version,
  length: bytes.length,
  hashes: { sha256: hash(bytes) },
});

/** A client with a memory of its own, as a CP (all channels) has it. */
export function clientOf(forger: Forger, fetch: FetchFile = fetchFromDirectory(forger.directory)) {
  const directory = scratchFolder();
  const client = trustClient({ directory, root: forger.root(), fetch, channels: "all" });
  const releases = async (now = NOW) => {
    const trusted = await client.refresh(now);
    return trusted.ok ? new TrustedReleases(trusted.value, fetch) : trusted.error;
  };
  /** The code of what is wrong with a channel, or `ok`: what a CP and an agent come to. */
  const judge = async (channel = stable, now = NOW): Promise<string> => {
    const trusted = await releases(now);
    if (!(trusted instanceof TrustedReleases)) return trusted.code;
    const ref = await trusted.currentRef(channel);
    if (!ref.ok) return ref.error.code;
    const release = await trusted.release({ channel, ref: ref.value }, now);
    return release.ok ? "ok" : release.error.code;
  };
  return {
    client,
    directory,
    releases,
    judge,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
