import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Channel, err, type Instant, instant, ok, type Result } from "@nixwave/effects";
import { decodeEnrolmentKeys, decodeRevocations } from "../identity/fleetEnrolment.ts";
import { currentPath } from "../releaseFiles.ts";
import { type Expiry, expiredProblem, type TrustProblem, trustProblem } from "./attack.ts";
import { trustClient } from "./client.ts";
import { type FetchFile, fetchBytes } from "./fetchFile.ts";
import { type FleetFile, fleetTarget, metadataPath } from "./layout.ts";
import { METADATA_BYTES_MAX, type Metadata, signersOf } from "./metadata.ts";
import { nameOfKey } from "./publicKey.ts";
import { authorityOf } from "./signing.ts";
import { expiriesOf, type Trusted } from "./trusted.ts";
import { TrustedReleases } from "./trustedReleases.ts";

/** A key of a role, and whether its signature is on the file. */
export interface AuditedKey {
  readonly keyId: string;
  readonly name: string;
  readonly signed: boolean;
}
export interface AuditedRole {
  readonly role: string;
  readonly version: number;
  readonly threshold: number;
  readonly keys: readonly AuditedKey[];
  readonly expiry: Expiry;
  readonly expired: boolean;
}
export interface AuditedChannel {
  readonly channel: Channel;
  /** Null for a channel that never had a release. */
  readonly release: {
    readonly ref: string;
    readonly createdAt: Instant;
    readonly createdBy: string;
    readonly hosts: number;
    /** Hosts whose closure is covered by digest; for the others a cache's key is as strong as a release key. */
    readonly covered: number;
  } | null;
}
/** What `nixwave verify` prints. It is sound if `problems` is empty. */
export interface Audit {
  readonly at: Instant;
  readonly rootVersion: number;
  readonly roles: readonly AuditedRole[];
  readonly channels: readonly AuditedChannel[];
  readonly problems: readonly TrustProblem[];
}

/** A repository has few roles; each can have expired once. */
const EXPIRED_MAX = 300;

/**
 * Verifies a repository as a client would that never saw it, from `root` or else from its first root, and says who signed what.
 * What has expired is a problem, and the rest is shown as it was the moment before.
 */
export async function audit(
  fetch: FetchFile,
  root: Uint8Array | null,
  now: Instant,
): Promise<Result<Audit, TrustProblem>> {
  const path = metadataPath("root", 1);
  const first = root === null ? await fetchBytes(fetch, path, METADATA_BYTES_MAX.root) : ok(root);
  if (!first.ok) return first;
  if (first.value === null) return err(trustProblem("missing", path, "is not there"));
  let at = now;
  for (let round = 0; round < EXPIRED_MAX; round += 1) {
    const verified = await verifyOnce(fetch, first.value, at);
    const over = verified.ok ? expiryIn(verified.value) : verified.error.expired;
    if (over !== null && over.expiresAt <= at) {
      at = instant(over.expiresAt - 1);
      continue;
    }
    if (!verified.ok) return verified;
    return ok(await describe(verified.value, fetch, { now, at }));
  }
  return err(trustProblem("freeze-expired", path, "more roles have expired than a repository has"));
}

async function verifyOnce(fetch: FetchFile, root: Uint8Array, now: Instant) {
  const directory = await mkdtemp(join(tmpdir(), "nixwave-verify-"));
  try {
    return await trustClient({ directory, root, fetch, channels: "all" }).refresh(now);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function expiryIn({ channels }: Trusted): Expiry | null {
  for (const kept of channels.values()) {
    if (!kept.ok && kept.error.expired !== null) return kept.error.expired;
  }
  return null;
}

async function describe(
  trusted: Trusted,
  fetch: FetchFile,
  { now, at }: { now: Instant; at: Instant },
): Promise<Audit> {
  const releases = new TrustedReleases(trusted, fetch);
  const problems = expiriesOf(trusted)
    .filter(({ expiresAt }) => expiresAt <= now)
    .map((expiry) => expiredProblem(`${expiry.role}.json`, expiry));
  const channels: AuditedChannel[] = [];
  for (const [channel, kept] of trusted.channels) {
    if (!kept.ok) {
      problems.push(kept.error);
      continue;
    }
    const described = await describeChannel(releases, channel, at);
    if (described.ok) channels.push(described.value);
    else problems.push(described.error);
  }
  problems.push(...(await fleetProblems(releases)));
  const expiries = new Map(expiriesOf(trusted).map((expiry) => [expiry.role, expiry]));
  const roles = filesOf(trusted).flatMap(([role, file]) => {
    const expiry = expiries.get(role);
    return expiry === undefined ? [] : [describeRole(trusted, { role, file, expiry }, now)];
  });
  const rootVersion = trusted.root.file.signed.version;
  return { at: now, rootVersion, roles, channels, problems: onceEach(problems) };
}

/** What is wrong with the files of `fleet/`: a control plane that can't read one of them lets nobody in by it. */
async function fleetProblems(releases: TrustedReleases): Promise<readonly TrustProblem[]> {
  const problems: TrustProblem[] = [];
  const hosts = await releases.hosts();
  if (!hosts.ok) problems.push(hosts.error);
  const read = async (file: FleetFile, decode: (bytes: Uint8Array) => Result<unknown, string>) => {
    const bytes = await releases.fleetFile(file);
    if (!bytes.ok) problems.push(bytes.error);
    const decoded = bytes.ok && bytes.value !== null ? decode(bytes.value.value) : null;
    if (decoded?.ok === false) {
      problems.push(trustProblem("malformed", fleetTarget(file), decoded.error));
    }
  };
  await read("enrolment.json", decodeEnrolmentKeys);
  await read("revocations.json", decodeRevocations);
  return problems;
}

/** A file that several channels rest on is wrong once. */
const onceEach = (problems: readonly TrustProblem[]): readonly TrustProblem[] => [
  ...new Map(problems.map((problem) => [`${problem.code} ${problem.reason}`, problem])).values(),
];

async function describeChannel(
  releases: TrustedReleases,
  channel: Channel,
  now: Instant,
): Promise<Result<AuditedChannel, TrustProblem>> {
  const role = releases.trusted.channels.get(channel);
  const released =
    role?.ok === true && Object.hasOwn(role.value.file.signed.targets, currentPath(channel));
  if (!released) return ok({ channel, release: null });
  const ref = await releases.currentRef(channel);
  if (!ref.ok) return ref;
  const release = await releases.release({ channel, ref: ref.value }, now);
  if (!release.ok) return release;
  const { hosts, createdAt, createdBy } = release.value.value;
  const covered = hosts.filter(({ closureDigest }) => closureDigest !== null).length;
  return ok({
    channel,
    release: { ref: ref.value, createdAt, createdBy, hosts: hosts.length, covered },
  });
}

type Versioned = Metadata<{ readonly version: number }>;

function filesOf(trusted: Trusted): [string, Versioned][] {
  const files: [string, Versioned][] = [
    ["root", trusted.root.file],
    ["targets", trusted.targets.file],
    ["snapshot", trusted.snapshot.file],
    ["timestamp", trusted.timestamp.file],
  ];
  for (const [channel, kept] of trusted.channels) {
    if (kept.ok) files.push([channel, kept.value.file]);
  }
  return files;
}

function describeRole(
  trusted: Trusted,
  { role, file, expiry }: { role: string; file: Versioned; expiry: Expiry },
  now: Instant,
): AuditedRole {
  const by = authorityOf(role, trusted.root.file.signed, trusted.targets.file.signed);
  const signed = by === null ? [] : signersOf(file, by.keys, by);
  const keys = (by?.keyids ?? []).flatMap((keyId) => {
    const key = by?.keys[keyId];
    return key === undefined
      ? []
      : [{ keyId, name: nameOfKey(key), signed: signed.includes(keyId) }];
  });
  const { version } = file.signed;
  const expired = expiry.expiresAt <= now;
  return { role, version, threshold: by?.threshold ?? 0, keys, expiry, expired };
}
