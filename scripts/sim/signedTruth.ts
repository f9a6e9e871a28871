import type { Batch } from "@nixwave/cp";
import {
  type EmitLog,
  type HostRollout,
  isRolloutId,
  type JournalId,
  type Release,
  type RolloutId,
} from "@nixwave/effects";
import type { SimHost } from "./agentProcess.ts";
import type { SignedRepository } from "./signedRepository.ts";

export interface SignedTruthParts {
  readonly repository: SignedRepository;
  readonly nowMs: () => number;
  /** How far ahead of the time its wall clock can have been so far. */
  readonly wallAheadMs: (host: SimHost) => number;
  readonly fail: (invariant: string, detail: string) => void;
}

/** What was refused by an agent, as its own log has it. */
export interface Refusal {
  readonly host: SimHost;
  readonly rolloutId: RolloutId;
  readonly attempt: string;
  readonly code: string;
  readonly reason: string;
  /** Which line of that rollout's stream tells of it, and in which of the host's journals. */
  readonly seq: number;
  readonly journalId: JournalId;
  readonly atMs: number;
}

/** What is read of a line of the log that may tell of a refusal. */
interface ToldLine {
  readonly kind: string;
  readonly host: string;
  readonly rolloutId: string;
  readonly journalId: string;
  readonly seq: number;
  readonly line?: string;
}

interface ToldReject {
  readonly attempt: number;
  readonly code: string;
}

/** One number of one stream of one journal. */
const placeOf = (host: string, { rolloutId, journalId, seq }: Omit<ToldLine, "kind" | "host">) =>
  `${host} ${rolloutId} ${journalId} ${seq}`;

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
  readonly #wallAheadMs: (host: SimHost) => number;
  readonly #acknowledged = new Set<string>();
  /** By place: "attempt code" of each DispatchReject in the log, and null for an event that it refused unread. */
  readonly #logged = new Map<string, string | null>();

  constructor({ repository, nowMs, wallAheadMs, fail }: SignedTruthParts) {
    this.#repository = repository;
    this.#nowMs = nowMs;
    this.#wallAheadMs = wallAheadMs;
    this.#fail = fail;
  }

  moved(host: SimHost): void {
    this.timed(host);
    for (const record of host.journal?.all() ?? [])
      if (record.kind !== "opaque" && record.kind !== "Pending") this.#held(host, record);
  }

  /** Whoever signs may date it as he likes: no host is ahead of the furthest that its own wall clock can have been. */
  timed(host: SimHost): void {
    const now = host.journal?.facts().steadyNow ?? null;
    const aheadMs = now === null ? 0 : now - this.#nowMs();
    if (aheadMs > this.#wallAheadMs(host))
      this.#fail(
        "clock-ahead",
        `${host.name} is ${Math.round(aheadMs / 1000)} s ahead of the time, and its wall clock never was`,
      );
  }

  /** Null where the line tells of no refusal. */
  logged(host: SimHost, { message, fields }: EmitLog): Refusal | null {
    if (message !== "dispatch rejected") return null;
    const of = new Map(fields);
    const [rolloutId = "", attempt = "", code = "", reason = ""] = NAMED.map((name) =>
      of.get(name),
    );
    const record = isRolloutId(rolloutId) ? host.journal?.records.get(rolloutId) : null;
    if (record === null || record === undefined || record.kind === "opaque") {
      this.#fail("refusal-told", `${host.name} refused ${rolloutId} (${code}), and has no record`);
      return null;
    }
    const { journalId, lastSeq: seq } = record;
    const atMs = this.#nowMs();
    const refusal = {
      host,
      rolloutId: record.rolloutId,
      attempt,
      code,
      reason,
      seq,
      journalId,
      atMs,
    };
    if (seq === 0 || this.refusals.some((other) => isSameLine(other, refusal)))
      this.#fail("refusal-told", `${sentence(refusal)}, and wrote no event of it`);
    this.refusals.push(refusal);
    this.codes.add(code);
    return refusal;
  }

  committed({ segment, changes }: Batch): void {
    for (const { change } of changes)
      if (change.kind === "ChannelUnverified" && change.reason !== null)
        this.codes.add(/\(([a-z-]+)\)$/.exec(change.reason)?.[1] ?? change.reason);
    for (const text of segment?.lines.split("\n") ?? []) {
      const isReject = text.includes("DispatchReject");
      if (!isReject && !text.includes('"EventRefused"')) continue;
      const told: ToldLine = JSON.parse(text);
      const place = placeOf(told.host, told);
      if (told.kind === "EventRefused") this.#logged.set(place, null);
      if (told.kind !== "AgentEvent" || told.line === undefined) continue;
      const { event }: { readonly event: ToldReject } = JSON.parse(told.line);
      this.codes.add(event.code);
      this.#logged.set(place, `${event.attempt} ${event.code}`);
    }
  }

  /** At rest: every refusal is in the honest log, as the one that it was. */
  told(mayBeLost: (refusal: Refusal) => boolean): void {
    for (const refusal of this.refusals) {
      const { attempt, code } = refusal;
      const logged = this.#logged.get(placeOf(refusal.host.name, refusal));
      if (logged === null || logged === `${attempt} ${code}` || mayBeLost(refusal)) continue;
      const instead = logged === undefined ? "" : `: it has "${logged}" in its place`;
      this.#fail("refusal-told", `${sentence(refusal)}, and the log does not say so${instead}`);
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

const NAMED = ["rollout", "attempt", "code", "reason"] as const;

const isSameLine = (one: Refusal, other: Refusal): boolean =>
  one.host === other.host && placeOf("", one) === placeOf("", other);

const sentence = ({ host, rolloutId, attempt, code }: Refusal): string =>
  `${host.name} refused attempt ${attempt} of ${rolloutId} (${code})`;

const isFor = (release: Release, host: SimHost, closure: string): boolean =>
  release.channel === host.channel &&
  release.hosts.some((listed) => listed.host === host.name && listed.closure === closure);
