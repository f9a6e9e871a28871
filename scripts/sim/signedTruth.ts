import type { Batch } from "@nixwave/cp";
import type { EmitLog, HostRollout, Release } from "@nixwave/effects";
import type { SimHost } from "./agentProcess.ts";
import type { SignedRepository } from "./signedRepository.ts";

/** What was refused by an agent, as its own log has it. */
interface Refusal {
  readonly host: SimHost;
  readonly rolloutId: string;
  readonly code: string;
  readonly reason: string;
}

/** What is read of a line of the log that may tell of a refusal. */
interface ToldLine {
  readonly kind: string;
  readonly host: string;
  readonly rolloutId: string;
  readonly line?: string;
}

/** A release that was read before a newer one became known may still be acknowledged: it was on its way. */
const ON_ITS_WAY_MS = 60_000;

/**
 * What the scenario's owner has signed, held against what agents do. Nothing is asked of the control plane, of a mirror or of the
 * agents' own verification.
 */
export class SignedTruth {
  readonly refusals: Refusal[] = [];
  /** Names that both sides gave to what they saw: codes of DispatchReject, and of gates that closed. */
  readonly codes = new Set<string>();
  readonly #repository: SignedRepository;
  readonly #fail: (invariant: string, detail: string) => void;
  readonly #nowMs: () => number;
  readonly #acknowledged = new Set<string>();
  /** "host rollout code" of each DispatchReject in the log, and "host rollout" of each event that it refused. */
  readonly #logged = new Set<string>();

  constructor(
    repository: SignedRepository,
    nowMs: () => number,
    fail: (invariant: string, detail: string) => void,
  ) {
    this.#repository = repository;
    this.#nowMs = nowMs;
    this.#fail = fail;
  }

  moved(host: SimHost): void {
    for (const record of host.journal?.all() ?? [])
      if (record.kind !== "opaque" && record.kind !== "Pending") this.#held(host, record);
  }

  /** Null where the line tells of no refusal. */
  logged(host: SimHost, { message, fields }: EmitLog): Refusal | null {
    if (message !== "dispatch rejected") return null;
    const of = new Map(fields);
    const [rolloutId = "", code = "", reason = ""] = ["rollout", "code", "reason"].map((name) =>
      of.get(name),
    );
    const refusal = { host, rolloutId, code, reason };
    this.refusals.push(refusal);
    return refusal;
  }

  committed({ segment, changes }: Batch): void {
    for (const { change } of changes)
      if (change.kind === "ChannelUnverified" && change.reason !== null)
        this.codes.add(/\(([a-z-]+)\)$/.exec(change.reason)?.[1] ?? change.reason);
    for (const text of segment?.lines.split("\n") ?? []) {
      const isReject = text.includes("DispatchReject");
      if (!isReject && !text.includes('"EventRefused"')) continue;
      const { kind, host, rolloutId, line }: ToldLine = JSON.parse(text);
      if (kind === "EventRefused") this.#logged.add(`${host} ${rolloutId}`);
      if (kind !== "AgentEvent" || line === undefined) continue;
      const { event }: { readonly event: { readonly code: string } } = JSON.parse(line);
      this.codes.add(event.code);
      this.#logged.add(`${host} ${rolloutId} ${event.code}`);
    }
  }

  /** At rest, of hosts whose journals nobody has taken or faked: every refusal is in the honest log. */
  told(isPlain: (host: SimHost) => boolean): void {
    for (const { host, rolloutId, code } of this.refusals) {
      const isLogged =
        this.#logged.has(`${host.name} ${rolloutId} ${code}`) ||
        this.#logged.has(`${host.name} ${rolloutId}`);
      if (isLogged || !isPlain(host)) continue;
      this.#fail(
        "refusal-told",
        `${host.name} refused ${rolloutId} (${code}), and the log does not say so`,
      );
    }
  }

  #held(host: SimHost, record: HostRollout): void {
    const { rolloutId, targetClosure } = record;
    const release = this.#repository.releases.get(rolloutId);
    if (release === undefined || !isFor(release, host, targetClosure))
      return this.#fail(
        "I1",
        `${host.name} has acknowledged ${targetClosure} for ${rolloutId}, which nobody signed`,
      );
    const { terms } = record;
    const wave = release.hosts.find((listed) => listed.host === host.name)?.wave;
    const soakSecs = release.waves.find(({ index }) => index === wave)?.soakSecs;
    if (terms !== null && (terms.wave !== wave || terms.soakSecs !== soakSecs))
      return this.#fail(
        "signed-terms",
        `${host.name} keeps wave ${terms.wave} and a soak of ${terms.soakSecs} s of ${rolloutId}; signed are wave ${wave} and ${soakSecs} s`,
      );
    if (record.kind === "Converged") this.#soaked(host, record, soakSecs ?? 0);
    this.#newest(host, record, release);
  }

  #soaked(
    host: SimHost,
    record: Extract<HostRollout, { readonly kind: "Converged" }>,
    soakSecs: number,
  ): void {
    const soakedMs = record.convergedAt - record.activationCompletedAt;
    if (soakedMs < soakSecs * 1000)
      this.#fail("signed-terms", `${host.name} soaked for ${soakedMs} ms of ${soakSecs} s`);
  }

  /** Once it was verified that there is a newer release, no older one is acknowledged. */
  #newest(host: SimHost, { rolloutId, attempt, journalId }: HostRollout, release: Release): void {
    const key = `${host.name} ${rolloutId} ${journalId} ${attempt}`;
    if (this.#acknowledged.has(key)) return;
    this.#acknowledged.add(key);
    const version = host.trust?.knownFor(release.ref, this.#nowMs() - ON_ITS_WAY_MS) ?? 0;
    const known = this.#repository.owner.currents.get(`${host.channel} ${version}`);
    if (known !== undefined && release.createdAt < known.createdAt)
      this.#fail(
        "never-older",
        `${host.name} has acknowledged ${rolloutId}, and had verified that ${known.rolloutId} is current`,
      );
  }
}

const isFor = (release: Release, host: SimHost, closure: string): boolean =>
  release.channel === host.channel &&
  release.hosts.some((listed) => listed.host === host.name && listed.closure === closure);
