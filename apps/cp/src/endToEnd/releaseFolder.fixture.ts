import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Channel, type HostName, type Instant, instant, type Release } from "@nixwave/effects";
import {
  addChannel,
  addReleases,
  channel as channelName,
  type EnrolmentKey,
  encodeEnrolmentKeys,
  encodeFleetHosts,
  type FleetFile,
  type FleetHost,
  formatFinding,
  generateKey,
  hostName,
  initRepository,
  keySigner,
  readFleet,
  resolve,
  type Signer,
  setFleetFiles,
} from "@nixwave/protocol";

/** Who signs what into which directory: one key for every role, as `nixwave init` makes it. */
interface Owner {
  readonly signer: Signer;
  readonly hosts: Map<HostName, FleetHost>;
  readonly channels: Set<Channel>;
}
/** Days. The clock of a test may pass a year in a second. */
const VALID = 3650;
const owners = new Map<string, Owner>();

/** The root of a repository that `signedRepository` made. */
export const rootFileIn = (directory: string): string => join(directory, "metadata/1.root.json");

async function must<T>(
  found: Promise<{ ok: true; value: T } | { ok: false; error: { reason: string } }>,
): Promise<T> {
  const result = await found;
  if (!result.ok) throw new Error(result.error.reason);
  return result.value;
}

/** Makes a repository without channels and hosts, where there is none. */
export async function signedRepository(directory: string, now: Instant): Promise<Owner> {
  const known = owners.get(directory);
  if (known !== undefined && existsSync(rootFileIn(directory))) return known;
  const signer = keySigner(generateKey(), "ci");
  if (!signer.ok) throw new Error(signer.error);
  const owner = { signer: signer.value, hosts: new Map(), channels: new Set<Channel>() };
  owners.set(directory, owner);
  const hands = { directory, signers: [owner.signer], now };
  const validDays = { root: VALID, targets: VALID, snapshot: VALID, timestamp: VALID };
  await must(initRepository(hands, { channels: [], hosts: owner.hosts, validDays }));
  return owner;
}

/** A declaration, resolved, signed and put in place as `nixwave release` does it. `now` is the signer's clock, the real one by default. */
export async function putRelease(
  directory: string,
  declaration: unknown,
  about: { readonly createdAt: number; readonly note: string; readonly now?: Instant },
): Promise<Release> {
  const read = readFleet({ file: "fleet.json", text: JSON.stringify(declaration, null, 2) });
  if (!read.ok) throw new Error(read.error.map(formatFinding).join("\n"));
  const resolved = resolve(read.value, {
    revision: null,
    createdAt: instant(about.createdAt),
    createdBy: "ci",
    note: about.note,
  });
  if (!resolved.ok) throw new Error(resolved.error.map(formatFinding).join("\n"));
  const { releases } = resolved.value;
  const now = about.now ?? instant(Date.now());
  const owner = await signedRepository(directory, now);
  const hands = { directory, signers: [owner.signer], now };
  const keys = [owner.signer.publicKey];
  for (const { release } of releases) {
    const { channel } = release;
    if (!owner.channels.has(channel)) {
      await must(addChannel(hands, { channel, keys, threshold: 1 }));
      owner.channels.add(channel);
    }
    for (const { host } of release.hosts) owner.hosts.set(host, { channel, sshHostKey: null });
  }
  const hosts = encodeFleetHosts(owner.hosts);
  await must(setFleetFiles(hands, new Map([["hosts.json", hosts]])));
  const files = releases.map(({ release, files: own }) => ({
    channel: release.channel,
    files: own,
  }));
  await must(addReleases(hands, files));
  const release = releases[0]?.release;
  if (release === undefined) throw new Error("the declaration has a channel");
  return release;
}

/** Declares hosts by the public lines of their SSH host keys, null for those that join with a token, and whose tokens are taken. */
export async function signHosts(
  directory: string,
  declared: Readonly<Record<string, string | null>>,
  tokenKeys: readonly EnrolmentKey[] = [],
): Promise<void> {
  const now = instant(Date.now());
  const owner = await signedRepository(directory, now);
  const hands = { directory, signers: [owner.signer], now };
  const channel = channelName.parse("stable");
  if (!owner.channels.has(channel)) {
    const keys = [owner.signer.publicKey];
    await must(addChannel(hands, { channel, keys, threshold: 1 }));
    owner.channels.add(channel);
  }
  for (const [name, sshHostKey] of Object.entries(declared))
    owner.hosts.set(hostName.parse(name), { channel, sshHostKey });
  const files = new Map<FleetFile, Uint8Array>([
    ["hosts.json", encodeFleetHosts(owner.hosts)],
    ["enrolment.json", encodeEnrolmentKeys(tokenKeys)],
  ]);
  await must(setFleetFiles(hands, files));
}
