import {
  addSecs,
  type Channel,
  type ChannelRef,
  err,
  type HostName,
  type Instant,
  isChannelRef,
  ok,
  type Release,
  type Result,
} from "@nixwave/effects";
import { type ReadFile, readCurrent, readRelease, readReleaseForHost } from "../readRelease.ts";
import { type HostRelease, RELEASE_FILE_BYTES_MAX, type ReleaseProblem } from "../release.ts";
import { headPath } from "../releaseFiles.ts";
import { seals, type Verified } from "../verified.ts";
import { type TrustProblem, trustProblem } from "./attack.ts";
import { type FetchFile, fetchBytes, wrongBytes } from "./fetchFile.ts";
import { decodeFleetHosts, type FleetHosts, foreignHost } from "./fleetHosts.ts";
import {
  type FleetFile,
  fleetTarget,
  hashedTargetPath,
  isChannelTarget,
  isPartPath,
  targetPath,
} from "./layout.ts";
import type { Targets } from "./metadata.ts";
import { channelIn, type Trusted } from "./trusted.ts";

/** A release made later than this from now would be the newest for ever: a clock that was set wrong, or worse. */
const AHEAD_SECS_MAX = 86_400;
/** Above a file's signed length so much is read, to tell a wrong file from one that never ends. */
const SLACK_BYTES = 64 * 1024;

type Read<T> = Promise<Result<T, TrustProblem>>;
export interface Named {
  readonly channel: Channel;
  readonly ref: ChannelRef;
}

/** What a verified state of a repository holds. Each file is fetched when it is asked for, and verified before it is decoded. */
export class TrustedReleases {
  readonly trusted: Trusted;
  readonly #fetch: FetchFile;
  readonly #kept: KeptFleetFiles | null;
  #hosts: Promise<Result<FleetHosts, TrustProblem>> | null = null;

  /** `kept` spares an agent the whole of fleet/hosts.json where it has not changed. */
  constructor(trusted: Trusted, fetch: FetchFile, kept: KeptFleetFiles | null = null) {
    this.trusted = trusted;
    this.#fetch = fetch;
    this.#kept = kept;
  }

  /** A file of `fleet/`; null if the repository has none. */
  async fleetFile(file: FleetFile): Read<Verified<Uint8Array> | null> {
    const target = fleetTarget(file);
    const entry = entryOf(this.trusted.targets.file.signed, target);
    if (entry === null) return ok(null);
    const kept = (await this.#kept?.read(file)) ?? null;
    if (kept !== null && wrongBytes(kept, entry) === null) return ok(seals(kept));
    const bytes = await this.#target(target, entry);
    if (!bytes.ok) return bytes;
    await this.#kept?.write(file, bytes.value);
    return ok(seals(bytes.value));
  }

  /** `fleet/hosts.json`; a repository without one has no hosts. */
  hosts(): Read<FleetHosts> {
    this.#hosts ??= this.#readHosts();
    return this.#hosts;
  }

  /** The ref that the channel's current.json names. */
  async currentRef(channel: Channel): Read<ChannelRef> {
    return await this.#through(channel, (read) => readCurrent(read, channel));
  }

  /** A whole release, current or held: what a CP decides by. */
  async release({ channel, ref }: Named, now: Instant): Read<Verified<Release>> {
    const hosts = await this.hosts();
    if (!hosts.ok) return hosts;
    const release = await this.#through(channel, (read) => readRelease(read, { channel, ref }));
    if (!release.ok) return release;
    const file = headPath(channel, ref);
    for (const { host } of release.value.value.hosts) {
      const foreign = foreignHost(hosts.value, host, channel);
      if (foreign !== null) return err(trustProblem("wrong-channel", file, foreign));
    }
    return inTime(release.value, file, now);
  }

  /** The release that the channel's current.json names. */
  async current(channel: Channel, now: Instant): Read<Verified<Release>> {
    const ref = await this.currentRef(channel);
    return ref.ok ? await this.release({ channel, ref: ref.value }, now) : ref;
  }

  /** Every release that the channel's role still signs and that verifies, the oldest first: for recovery. */
  async held(channel: Channel, now: Instant): Read<readonly Verified<Release>[]> {
    const refs = this.heldRefs(channel);
    if (!refs.ok) return refs;
    const releases: Verified<Release>[] = [];
    for (const ref of refs.value) {
      const release = await this.release({ channel, ref }, now);
      if (release.ok) releases.push(release.value);
    }
    return ok(releases.sort((a, b) => a.value.createdAt - b.value.createdAt));
  }

  /** One host's part of a release: what an agent acts on. */
  async releaseForHost(
    named: Named & { host: HostName },
    now: Instant,
  ): Read<Verified<HostRelease>> {
    const { channel, ref, host } = named;
    const hosts = await this.hosts();
    if (!hosts.ok) return hosts;
    const file = headPath(channel, ref);
    const foreign = foreignHost(hosts.value, host, channel);
    if (foreign !== null) return err(trustProblem("wrong-channel", file, foreign));
    const release = await this.#through(channel, (read) => readReleaseForHost(read, named));
    return release.ok ? inTime(release.value, file, now) : release;
  }

  /** The refs that the channel's role still signs: for recovery, and for an agent that is a release behind. */
  heldRefs(channel: Channel): Result<readonly ChannelRef[], TrustProblem> {
    const role = channelIn(this.trusted, channel);
    if (!role.ok) return role;
    const names = Object.keys(role.value.file.signed.targets);
    return ok(names.map((name) => name.slice(channel.length + 1, -5)).filter(isChannelRef));
  }

  async #readHosts(): Read<FleetHosts> {
    const bytes = await this.fleetFile("hosts.json");
    if (!bytes.ok) return bytes;
    if (bytes.value === null) return ok(new Map());
    const hosts = decodeFleetHosts(bytes.value.value);
    if (hosts.ok) return hosts;
    return err(trustProblem("malformed", fleetTarget("hosts.json"), hosts.error));
  }

  /** Gives a reader of releases the files that the channel's role signs, and remembers what was wrong with them. */
  async #through<T>(
    channel: Channel,
    readBy: (read: ReadFile) => Promise<Result<T, ReleaseProblem>>,
  ): Read<T> {
    const role = channelIn(this.trusted, channel);
    if (!role.ok) return role;
    const targets = role.value.file.signed;
    const refused: TrustProblem[] = [];
    const outcome = await readBy(async (path) => {
      const bytes = await this.#read(channel, path, targets);
      if (bytes.ok) return bytes.value;
      refused.push(bytes.error);
      throw new Error(bytes.error.reason);
    });
    if (outcome.ok) return outcome;
    return err(refused[0] ?? { ...outcome.error, expired: null });
  }

  async #read(channel: Channel, path: string, targets: Targets): Read<Uint8Array | null> {
    if (isChannelTarget(path, channel)) {
      const entry = entryOf(targets, path);
      return entry === null ? ok(null) : await this.#target(path, entry);
    }
    // Buckets and constraints: their name is their hash, and readRelease compares both with the head.
    return isPartPath(path, channel)
      ? await fetchBytes(this.#fetch, targetPath(path), RELEASE_FILE_BYTES_MAX)
      : ok(null);
  }

  async #target(target: string, entry: Entry): Read<Uint8Array> {
    const path = hashedTargetPath(target, entry.hashes.sha256);
    const bytesMax = Math.min(entry.length + SLACK_BYTES, RELEASE_FILE_BYTES_MAX);
    const bytes = await fetchBytes(this.#fetch, path, bytesMax);
    if (!bytes.ok) return bytes;
    if (bytes.value === null) return err(trustProblem("missing", path, "is not there"));
    const wrong = wrongBytes(bytes.value, entry);
    if (wrong !== null) return err(trustProblem("wrong-length-or-hash", path, wrong));
    return ok(bytes.value);
  }
}

/** Where fleet files are kept between two refreshes. What is read is verified like what is fetched. */
export interface KeptFleetFiles {
  read(file: FleetFile): Promise<Uint8Array | null>;
  write(file: FleetFile, bytes: Uint8Array): Promise<void>;
}

type Entry = Targets["targets"][string];
const entryOf = ({ targets }: Targets, path: string): Entry | null =>
  (Object.hasOwn(targets, path) ? targets[path] : null) ?? null;

function inTime<T extends { readonly createdAt: Instant }>(
  release: Verified<T>,
  file: string,
  now: Instant,
): Result<Verified<T>, TrustProblem> {
  const { createdAt } = release.value;
  if (createdAt <= addSecs(now, AHEAD_SECS_MAX)) return ok(release);
  const made = new Date(createdAt).toISOString();
  const reason = `was made at ${made}, more than a day from now: look at the clocks of this machine and of who released it`;
  return err(trustProblem("future-dated", file, reason));
}
