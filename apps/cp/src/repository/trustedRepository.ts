import { join } from "node:path";
import {
  addSecs,
  type Channel,
  err,
  type Instant,
  ok,
  type Release,
  type Result,
} from "@nixwave/effects";
import {
  channelsOf,
  type Expiry,
  expiredProblem,
  expiriesOf,
  type FetchFile,
  fetchFromDirectory,
  mirror,
  type ReleaseSource,
  stillValid,
  type TrustClient,
  type Trusted,
  TrustedReleases,
  type TrustProblem,
  trustClient,
  type Verified,
  versionsOf,
} from "@nixwave/protocol";
import type { FleetFacts, FleetTrust } from "../fleetTrust.ts";
import type { Clock, Logger } from "../ports.ts";
import { type FleetTexts, factsOf, keepFleet, keptFleet } from "./keptFleet.ts";
import { type Origin, REMOTE_SECS } from "./origin.ts";

export interface RepositoryPorts {
  readonly dataDir: string;
  /** The root.json that the operator gave; null to go on from the one remembered. */
  readonly root: Uint8Array | null;
  readonly origin: Origin;
  readonly clock: Clock;
  readonly log: Logger;
}

export const mirrorOf = (dataDir: string): string => join(dataDir, "mirror");
export const trustOf = (dataDir: string): string => join(dataDir, "trust");

/** Stands for the print of an origin that gave none. */
const AWAY = "away";

/** A state that was verified, and copied as far as it is whole. */
interface Copied {
  readonly releases: TrustedReleases;
  readonly missed: ReadonlyMap<Channel, TrustProblem>;
}

/** Says nothing against what was verified before: it stays good until it expires. */
const isPassing = ({ code }: TrustProblem): boolean =>
  code === "unreachable" || code === "unreadable";

/**
 * The signed repository, verified from a root by the code that agents use, and mirrored: releases are read from the mirror, so that
 * nothing is planned that agents could not fetch and verify here.
 */
export class TrustedRepository implements ReleaseSource, FleetTrust {
  readonly #ports: RepositoryPorts;
  readonly #client: TrustClient;
  readonly #whole = new Set<string>();
  readonly #listeners = new Set<(facts: FleetFacts) => void>();
  #from: FetchFile;
  #copied: Copied | null = null;
  #problem: TrustProblem | null = null;
  #complained: string | null = null;
  #print: string | null = null;
  #lookAgainAt = 0;
  #facts: FleetFacts | null = null;
  #texts: string | null = null;

  private constructor(ports: RepositoryPorts) {
    this.#ports = ports;
    this.#from = ports.origin.fetch;
    this.#client = trustClient({
      directory: trustOf(ports.dataDir),
      root: ports.root,
      fetch: (path, bytesMax) => this.#from(path, bytesMax),
      channels: "all",
    });
  }

  static async open(ports: RepositoryPorts): Promise<TrustedRepository> {
    const repository = new TrustedRepository(ports);
    const kept = await keptFleet(repository.#fleetPath);
    if (kept !== null) await repository.#learn(kept);
    return repository;
  }

  get #fleetPath(): string {
    return join(this.#ports.dataDir, "fleet.json");
  }

  /** Looks at the origin where that may tell something new; changes whenever `channels` or `current` may answer otherwise. */
  async fingerprint(): Promise<string> {
    const now = this.#ports.clock.now();
    await this.#look(now);
    const { trusted } = this.#copied?.releases ?? { trusted: null };
    if (trusted === null) return JSON.stringify([this.#problem?.reason]);
    const over = expiriesOf(trusted).filter(({ expiresAt }) => expiresAt <= now);
    return JSON.stringify([
      this.#problem?.reason ?? null,
      [...versionsOf(trusted)],
      over.map(({ role }) => role),
      [...this.#wrongChannels()].map(([channel, { reason }]) => [channel, reason]),
    ]);
  }

  async channels(): Promise<Result<readonly Channel[], TrustProblem>> {
    const copied = this.#usable();
    if (!copied.ok) return copied;
    const { trusted } = copied.value.releases;
    // A channel that was delegated to and has released nothing yet is none to look at.
    return ok(
      channelsOf(trusted).filter((channel) => {
        const role = trusted.channels.get(channel);
        return role?.ok !== true || Object.keys(role.value.file.signed.targets).length > 0;
      }),
    );
  }

  async current(channel: Channel): Promise<Result<Verified<Release>, TrustProblem>> {
    const releases = this.#of(channel);
    return releases.ok ? await releases.value.current(channel, this.#ports.clock.now()) : releases;
  }

  async held(channel: Channel): Promise<Result<readonly Verified<Release>[], TrustProblem>> {
    const releases = this.#of(channel);
    return releases.ok ? await releases.value.held(channel, this.#ports.clock.now()) : releases;
  }

  facts(): FleetFacts | null {
    return this.#facts;
  }

  onChange(call: (facts: FleetFacts) => void): () => void {
    this.#listeners.add(call);
    return () => void this.#listeners.delete(call);
  }

  /** What is wrong with the repository as a whole; null while nothing is, or before the first look. */
  get problem(): TrustProblem | null {
    return this.#problem;
  }

  /** When each role of the state verified last ends to be valid, the first to end first. */
  get expiries(): readonly Expiry[] {
    if (this.#copied !== null) return expiriesOf(this.#copied.releases.trusted);
    const { expired } = this.#problem ?? { expired: null };
    return expired === null ? [] : [expired];
  }

  async #look(now: Instant): Promise<void> {
    const { origin } = this.#ports;
    let print: string;
    try {
      print = await origin.print(now);
    } catch (cause) {
      const isNews = this.#print !== AWAY || now >= this.#lookAgainAt;
      this.#print = AWAY;
      const reason = cause instanceof Error ? cause.message : String(cause);
      const away = { code: "unreachable", file: ".", reason, expired: null } as const;
      if (isNews) await this.#standOn(away, now);
      return;
    }
    if (print === this.#print && now < this.#lookAgainAt) return;
    this.#print = print;
    this.#from = origin.fetch;
    await this.#standOn(await this.#bring(now), now);
  }

  /** After a start while the origin is away, what was mirrored in an earlier life is verified again and stood on. */
  async #standOn(problem: TrustProblem | null, now: Instant): Promise<void> {
    this.#problem = problem;
    this.#lookAgainAt = this.#isClean ? Number.POSITIVE_INFINITY : addSecs(now, REMOTE_SECS);
    const reason = problem?.reason ?? null;
    if (reason !== null && reason !== this.#complained) {
      const { code } = problem ?? { code: null };
      this.#ports.log.log("warn", "the repository can't be trusted or read", { code, reason });
    }
    if (reason === null && this.#complained !== null) {
      this.#ports.log.log("info", "the repository is verified again", {});
    }
    this.#complained = reason;
    if (problem === null || !isPassing(problem) || this.#copied !== null) return;
    this.#from = fetchFromDirectory(mirrorOf(this.#ports.dataDir));
    const own = await this.#bring(now);
    // What the mirror has against it is told only where it was verified once: an empty mirror is no news.
    if (own?.code === "freeze-expired") this.#problem = own;
  }

  get #isClean(): boolean {
    return this.#problem === null && this.#wrongChannels().size === 0;
  }

  async #bring(now: Instant): Promise<TrustProblem | null> {
    const refreshed = await this.#client.refresh(now);
    if (!refreshed.ok) return refreshed.error;
    if (this.#isCopied(refreshed.value)) return null;
    const directory = mirrorOf(this.#ports.dataDir);
    const missed = await mirror(refreshed.value, this.#from, directory, this.#whole);
    if (!missed.ok) return missed.error;
    const releases = new TrustedReleases(refreshed.value, fetchFromDirectory(directory));
    const texts = await fleetTexts(releases);
    if (!texts.ok) return texts.error;
    const wrong = await this.#learn(texts.value);
    if (wrong !== null) {
      return {
        code: "malformed",
        file: wrong.split(":")[0] ?? wrong,
        reason: wrong,
        expired: null,
      };
    }
    this.#copied = { releases, missed: missed.value };
    return null;
  }

  /** The timestamp names everything but the root, by its hash. */
  #isCopied({ root, timestamp }: Trusted): boolean {
    if (this.#copied === null || this.#wrongChannels().size > 0) return false;
    const { trusted } = this.#copied.releases;
    return (
      Buffer.compare(trusted.timestamp.bytes, timestamp.bytes) === 0 &&
      Buffer.compare(trusted.root.bytes, root.bytes) === 0
    );
  }

  /** Null, or what is wrong with the files; then what was known stays. */
  async #learn(texts: FleetTexts): Promise<string | null> {
    const said = JSON.stringify(texts);
    if (said === this.#texts) return null;
    const facts = factsOf(texts);
    if (!facts.ok) return facts.error;
    await keepFleet(this.#fleetPath, texts);
    this.#texts = said;
    this.#facts = facts.value;
    for (const call of this.#listeners) call(facts.value);
    return null;
  }

  #wrongChannels(): ReadonlyMap<Channel, TrustProblem> {
    const wrong = new Map(this.#copied?.missed);
    for (const [channel, role] of this.#copied?.releases.trusted.channels ?? []) {
      if (!role.ok) wrong.set(channel, role.error);
    }
    return wrong;
  }

  #usable(): Result<Copied, TrustProblem> {
    const problem = this.#problem;
    if (problem !== null && (!isPassing(problem) || this.#copied === null)) return err(problem);
    if (this.#copied !== null) return ok(this.#copied);
    const reason = "the repository was not looked at yet";
    return err({ code: "unreadable", file: ".", reason, expired: null });
  }

  #of(channel: Channel): Result<TrustedReleases, TrustProblem> {
    const copied = this.#usable();
    if (!copied.ok) return copied;
    const wrong = this.#wrongChannels().get(channel);
    if (wrong !== undefined) return err(wrong);
    const { releases } = copied.value;
    const valid = stillValid(releases.trusted, channel, this.#ports.clock.now());
    return valid.ok ? ok(releases) : err(expiredProblem(`${valid.error.role}.json`, valid.error));
  }
}

const utf8 = new TextDecoder();

async function fleetTexts(releases: TrustedReleases): Promise<Result<FleetTexts, TrustProblem>> {
  const texts = { "hosts.json": null, "enrolment.json": null, "revocations.json": null };
  const read: { [F in keyof typeof texts]: string | null } = texts;
  for (const file of ["hosts.json", "enrolment.json", "revocations.json"] as const) {
    const bytes = await releases.fleetFile(file);
    if (!bytes.ok) return bytes;
    read[file] = bytes.value === null ? null : utf8.decode(bytes.value.value);
  }
  return ok(read);
}
