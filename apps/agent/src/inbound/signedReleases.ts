import { join } from "node:path";
import {
  addSecs,
  type Channel,
  type ChannelRef,
  err,
  type Instant,
  instant,
  ok,
  type Result,
} from "@nixwave/effects";
import {
  ATTACKS,
  expiriesOf,
  type FetchFile,
  type KeptFleetFiles,
  type ReleaseFile,
  stillValid,
  type TrustClient,
  type Trusted,
  TrustedReleases,
  trustClient,
} from "@nixwave/protocol";
import type { ControlPlane } from "../controlPlane.ts";
import type { Journal } from "../journal/journal.ts";
import { CALLED_OFF, type Disk } from "../ports.ts";
import type {
  FoundRelease,
  HostReleases,
  ReleaseRefusal,
  TrustState,
  TrustTrouble,
  WantedRelease,
} from "../releases.ts";
import { once, repositoryFiles } from "./repositoryFiles.ts";

export interface SignedReleasesParts {
  readonly stateDir: string;
  /** The root.json that came with the host. */
  readonly root: Uint8Array;
  readonly channel: Channel;
  readonly journal: Journal;
  readonly controlPlane: ControlPlane;
  readonly disk: Disk;
}

type Refreshed = Promise<Result<Trusted, ReleaseRefusal>>;

/**
 * Releases that the repository's keys vouch for, verified by this host alone from the root that came with it; the highest versions
 * ever seen are remembered beside the journal, and outlive it.
 */
export class SignedReleases implements HostReleases {
  readonly #channel: Channel;
  readonly #journal: Journal;
  readonly #client: TrustClient;
  readonly #fetch: FetchFile;
  readonly #keptFleetFiles: KeptFleetFiles;
  readonly #closed = new AbortController();
  #trusted: { readonly state: Trusted; readonly current: ChannelRef | null } | null = null;
  #trouble: TrustTrouble | null = null;

  constructor({ stateDir, root, channel, journal, controlPlane, disk }: SignedReleasesParts) {
    const directory = join(stateDir, "trust");
    this.#channel = channel;
    this.#journal = journal;
    this.#fetch = repositoryFiles(journal, controlPlane, this.#closed.signal);
    this.#client = trustClient({ directory, root, fetch: this.#fetch, channels: [channel] });
    this.#keptFleetFiles = keptBeside(directory, disk);
  }

  get state(): TrustState | null {
    const state = this.#trusted?.state;
    if (state === undefined) return null;
    return {
      verifiedAt: state.verifiedAt,
      rootVersion: state.root.file.signed.version,
      signedAt: signedAt(state),
      expiries: expiriesOf(state),
    };
  }

  get trouble(): TrustTrouble | null {
    return this.#trouble;
  }

  close(): void {
    this.#closed.abort(CALLED_OFF);
  }

  readonly refresh = async (now: Instant): Promise<Result<null, ReleaseRefusal>> => {
    const refreshed = await this.#refreshed(now);
    return refreshed.ok ? ok(null) : refreshed;
  };

  async find(wanted: WantedRelease, now: Instant): Promise<Result<FoundRelease, ReleaseRefusal>> {
    const trusted = await this.#trustedFor(wanted.ref, now);
    if (!trusted.ok) return trusted;
    const files: ReleaseFile[] = [];
    const releases = this.#releases(trusted.value, files);
    const found = await this.#findIn(releases, wanted, now);
    return found.ok ? ok({ release: found.value, files }) : this.#refuse(found.error, now);
  }

  async #findIn(releases: TrustedReleases, wanted: WantedRelease, now: Instant) {
    const { channel, ref } = wanted;
    const current = await releases.currentRef(channel);
    if (!current.ok) return current;
    if (current.value !== ref) {
      const held = releases.heldRefs(channel);
      return held.ok ? err(notCurrent(wanted, current.value, held.value)) : held;
    }
    return await releases.releaseForHost(wanted, now);
  }

  /** What is known already, if it names this very release as current and is valid still; else what is newest now. */
  async #trustedFor(ref: ChannelRef, now: Instant): Refreshed {
    const known = this.#trusted;
    if (known?.current === ref && stillValid(known.state, this.#channel, now).ok)
      return ok(known.state);
    return await this.#refreshed(now);
  }

  async #refreshed(now: Instant): Refreshed {
    const refreshed = await this.#client.refresh(now);
    if (!refreshed.ok) return this.#refuse(refreshed.error, now);
    const own = refreshed.value.channels.get(this.#channel);
    // Its own channel can't be trusted: what was known of it before is still the newest that can.
    if (own?.ok === false) return this.#refuse(own.error, now);
    const state = refreshed.value;
    const current = await this.#releases(state, []).currentRef(this.#channel);
    this.#trusted = { state, current: current.ok ? current.value : null };
    if (!current.ok) return this.#refuse(current.error, now);
    this.#trouble = null;
    return refreshed;
  }

  #refuse({ code, reason }: ReleaseRefusal, now: Instant): Result<never, ReleaseRefusal> {
    this.#trouble = { code, reason, at: now };
    return err({ code, reason });
  }

  /** Reads a verified state, from the files of the last release where they are kept; `files` takes what was read. */
  #releases(trusted: Trusted, files: ReleaseFile[]): TrustedReleases {
    const fetch: FetchFile = async (path, bytesMax) => {
      const kept = this.#journal.releaseFile(path);
      const arriving = kept === null ? await this.#fetch(path, bytesMax) : once(kept);
      return arriving === null ? null : noted(arriving, path, files);
    };
    return new TrustedReleases(trusted, fetch, this.#keptFleetFiles);
  }
}

/** The fleet's own files are kept elsewhere. */
async function* noted(
  arriving: AsyncIterable<Uint8Array>,
  path: string,
  files: ReleaseFile[],
): AsyncIterable<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of arriving) {
    chunks.push(chunk);
    yield chunk;
  }
  if (!path.startsWith("targets/fleet/")) files.push({ path, bytes: Buffer.concat(chunks) });
}

/**
 * A release that is signed still but no longer current is an older state: its time is over, and a fresh host has no other way to
 * know it. One that is not signed at all is nothing.
 */
function notCurrent(
  { channel, ref }: WantedRelease,
  current: ChannelRef,
  held: readonly ChannelRef[],
): ReleaseRefusal {
  if (held.includes(ref)) {
    const reason = `dispatch.ref is ${ref}, and ${channel}/current.json names ${current}: ${ATTACKS.rollback}`;
    return { code: "rollback", reason };
  }
  const reason = `dispatch.ref is ${ref}, which no key of channel ${channel} signs: the current release is ${current}`;
  return { code: "unsigned", reason };
}

/** Metadata say until when they are valid, and ours for how long. Null for those of another tool: their end is no proof of what time it is. */
function signedAt({ timestamp }: Trusted): Instant | null {
  const { expires, "x-nixwave-valid-days": days } = timestamp.file.signed;
  return days === undefined ? null : addSecs(instant(Date.parse(expires)), -days * 86_400);
}

/** What is read is verified like what is fetched, so that a text that was damaged is only fetched again. */
function keptBeside(directory: string, disk: Disk): KeptFleetFiles {
  const path = (file: string) => join(directory, `fleet-${file}.kept`);
  return {
    read: async (file) => {
      const text = disk.readText(path(file));
      return text === null ? null : Buffer.from(text);
    },
    write: async (file, bytes) => disk.writeAtomically(path(file), Buffer.from(bytes).toString()),
  };
}
