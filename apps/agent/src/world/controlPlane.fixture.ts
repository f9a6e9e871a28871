import { createHash } from "node:crypto";
import {
  type Attempt,
  addSecs,
  type ClosureHash,
  type Envelope,
  type HostName,
  type HostRollout,
  instant,
  isAttempt,
  isJournalId,
  type JournalId,
  nextSeq,
  openHostRollout,
  type Release,
  type RolloutId,
  type Seq,
  stepRemote,
  supersede,
} from "@nixwave/effects";
import {
  type DispatchOffer,
  decodeLine,
  dispatchOffer,
  eventsAnswer,
  HEADER,
  type Heartbeat,
  heartbeat,
  heartbeatAnswer,
  type Line,
  PROBLEM_MEDIA_TYPE,
  type ProblemCode,
  problem,
  writeRelease,
} from "@nixwave/protocol";
import { channelName, hostName, policy } from "@nixwave/testkit";
import { z } from "zod";
import type { Http, HttpAnswer, HttpRequest } from "../ports.ts";
import type { VirtualTime } from "./virtualTime.fixture.ts";

export const HOST: HostName = hostName("web-1");
export const CHANNEL = channelName("stable");
const LEASE_SECS = 120;

interface Mirror {
  record: HostRollout;
  lastHash: string | null;
}
interface Offer {
  readonly release: Release;
  readonly attempt: Attempt;
  readonly dispatchedAtMs: number;
  leaseUntilMs: number | null;
}

/** A control plane of one host, in memory: the wire and the mirror are real, and it decides nothing. */
export class TestControlPlane {
  down = false;
  /** Codes to answer the next event batches with instead. */
  readonly answerNext: ProblemCode[] = [];
  readonly log: {
    readonly rolloutId: RolloutId;
    readonly journalId: JournalId;
    readonly line: Line;
  }[] = [];
  readonly journals: JournalId[] = [];
  readonly mirrors = new Map<RolloutId, Mirror>();
  readonly files = new Map<string, Uint8Array>();
  readonly polls: string[] = [];
  logHead = { offset: 1, hash: "0".repeat(64) };
  /** Streams of which it claims to have more than it was told. */
  ahead: { readonly [rolloutId: RolloutId]: number } = {};
  refuse: ((line: Line) => string | null) | null = null;
  /** Polls are answered at once, as by one that is about to stop. */
  hurried = false;
  /** What it says instead of what it means. */
  lie: (offer: DispatchOffer) => DispatchOffer = (offer) => offer;
  /** It hands out the same dispatch at each poll, whatever was answered. */
  insists = false;
  /** The signed repository that it serves, where it has one. */
  repository: ((pathname: string) => Promise<HttpAnswer | null>) | null = null;
  readonly heartbeats: Heartbeat[] = [];
  /** So many answers to events get lost on their way, after they were taken. */
  answersToLose = 0;
  /** Sees each batch before anything else does. */
  onBatch: (lines: readonly string[]) => void = () => {};
  #offer: Offer | null = null;
  #parked = new Set<() => void>();
  readonly #time: VirtualTime;
  #releases = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** A release of one host and one wave, each newer than the one before. */
  release(closure: ClosureHash, over: Partial<Release> = {}): Release {
    this.#releases += 1;
    const { release, files } = writeRelease({
      channel: CHANNEL,
      revision: null,
      createdAt: instant(this.#time.nowMs + this.#releases),
      createdBy: "test",
      note: "",
      waves: [{ index: 1, soakSecs: 60, description: "all" }],
      policy: policy({ healthFailureThresholdSecs: 30, probeReportSecs: 30 }),
      channelEdges: [],
      hosts: [
        { host: HOST, system: "x86_64-linux", closure, wave: 1, tags: [], closureDigest: null },
      ],
      budgets: [],
      edges: [],
      ...over,
    });
    for (const { path, bytes } of files) this.files.set(path, bytes);
    return release;
  }

  dispatch(release: Release, attempt = 1): void {
    if (!isAttempt(attempt)) throw new Error(`${attempt} is no attempt`);
    this.#offer = { release, attempt, dispatchedAtMs: this.#time.nowMs, leaseUntilMs: null };
    for (const wake of this.#parked) wake();
  }

  /** Its disk is gone: it knows the release again, and nothing of the host. */
  forget(release: Release): void {
    const mirror = this.mirrors.get(release.rolloutId);
    if (mirror === undefined) throw new Error("it never knew that rollout");
    const {
      rolloutId,
      host,
      channel,
      targetClosure,
      attempt,
      dispatchedAt,
      soakDueAt,
      journalId,
      terms,
    } = mirror.record;
    const fresh = {
      rolloutId,
      host,
      channel,
      targetClosure,
      attempt,
      dispatchedAt,
      soakDueAt,
      journalId,
      terms,
    };
    this.mirrors.set(rolloutId, { record: openHostRollout(fresh), lastHash: null });
    this.log.length = 0;
  }

  record(release: Release): HostRollout | null {
    return this.mirrors.get(release.rolloutId)?.record ?? null;
  }

  /** A port of one agent process: once it is dead nothing is sent and nothing is heard. */
  http(isDead: () => boolean, isHealthy: () => boolean): Http {
    return {
      request: async (request) => {
        if (isDead()) return await new Promise<never>(() => {});
        if (request.url.startsWith("http://app/")) return text(isHealthy() ? 200 : 503, "");
        if (this.down) throw new Error("connection refused");
        const answer = await this.#answer(request);
        return isDead() ? await new Promise<never>(() => {}) : answer;
      },
    };
  }

  async #answer(request: HttpRequest): Promise<HttpAnswer> {
    const { pathname, searchParams } = new URL(request.url);
    const journalId = request.headers[HEADER.journal] ?? "";
    if (!isJournalId(journalId)) throw new Error(`${pathname} came without a journal`);
    if (!this.journals.includes(journalId)) this.journals.push(journalId);
    if (this.journals.at(-1) !== journalId) return refusal("old-journal");
    const served = await this.repository?.(pathname);
    if (served) return served;
    if (pathname.startsWith("/v1/releases/")) {
      const bytes = this.files.get(pathname.slice("/v1/releases/".length));
      return bytes === undefined ? refusal("not-found") : { status: 200, headers: {}, body: bytes };
    }
    switch (pathname) {
      case "/v1/agent/dispatch":
        return await this.#poll(searchParams, request.signal);
      case "/v1/agent/events":
        return this.#events(journalId, String(request.body));
      case "/v1/agent/heartbeat":
        return this.#heartbeat(JSON.parse(String(request.body)));
      default:
        return text(204, "");
    }
  }

  async #poll(query: URLSearchParams, signal?: AbortSignal): Promise<HttpAnswer> {
    const holding = query.get("holding");
    this.polls.push(holding ?? "free");
    if (holding !== null) return text(204, "");
    const now = this.#handOut();
    if (now !== null) return now;
    if (this.hurried) return text(204, "");
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        this.#parked.delete(wake);
        resolve();
      };
      const cancel = this.#time.timer(() => false).after(Number(query.get("wait")) * 1000, wake);
      this.#parked.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
    return this.#handOut() ?? text(204, "");
  }

  #handOut(): HttpAnswer | null {
    const offer = this.#offer;
    if (offer === null) return null;
    const isLeased = offer.leaseUntilMs !== null && this.#time.nowMs <= offer.leaseUntilMs;
    if (isLeased && !this.insists) return null;
    offer.leaseUntilMs = this.#time.nowMs + LEASE_SECS * 1000;
    const { release, attempt, dispatchedAtMs } = offer;
    const { rolloutId, channel, ref } = release;
    const own = release.hosts.find(({ host }) => host === HOST);
    const mirror = this.mirrors.get(rolloutId);
    const dispatchedAt = instant(dispatchedAtMs);
    const soakDueAt = addSecs(dispatchedAt, 900);
    const targetClosure = own?.closure;
    if (targetClosure === undefined) throw new Error("the host is not in the release");
    if (mirror === undefined) {
      const { policy, waves } = release;
      const soakSecs = waves[0]?.soakSecs ?? 0;
      const terms = { policy, wave: 1, soakSecs, closureDigest: own?.closureDigest ?? null };
      const journalId = this.journals.at(-1);
      if (journalId === undefined) throw new Error("no journal yet");
      const record = openHostRollout({
        rolloutId,
        host: HOST,
        channel,
        targetClosure,
        attempt,
        dispatchedAt,
        soakDueAt,
        journalId,
        terms,
      });
      this.mirrors.set(rolloutId, { record, lastHash: null });
    }
    return json(
      z.encode(
        dispatchOffer,
        this.lie({
          rolloutId,
          channel,
          ref,
          targetClosure,
          attempt,
          wave: 1,
          soakDueAt,
          dispatchedAt,
          leaseSecs: LEASE_SECS,
          timestampVersion: null,
        }),
      ),
    );
  }

  #events(journalId: JournalId, body: string): HttpAnswer {
    const instead = this.answerNext.shift();
    if (instead !== undefined) return refusal(instead);
    const streams: Record<
      string,
      { ackedThrough: Seq | 0; expected?: Seq; refused: { seq: Seq; code: string }[] }
    > = {};
    const lines = body.split("\n").filter((line) => line !== "");
    this.onBatch(lines);
    for (const text of lines) {
      const line = decodeLine(text);
      if (!line.ok) throw new Error(`the agent sent a line that is none: ${line.error.reason}`);
      const { rolloutId, seq } = line.value;
      const stream = (streams[rolloutId] ??= { ackedThrough: 0, refused: [] });
      const said = this.#take(line.value, journalId, text);
      if (said.kind === "set-back") return refusal("set-back");
      stream.ackedThrough = said.lastSeq;
      if (said.kind === "gap") stream.expected = nextSeq(said.lastSeq);
      if (said.kind === "refused") stream.refused.push({ seq, code: said.code });
    }
    if (this.answersToLose > 0) {
      this.answersToLose -= 1;
      throw new Error("the connection was reset");
    }
    return json(z.encode(eventsAnswer, { streams, badLines: [] }));
  }

  #take(
    line: Line,
    journalId: JournalId,
    text: string,
  ):
    | { kind: "taken" | "gap" | "set-back"; lastSeq: Seq | 0 }
    | { kind: "refused"; lastSeq: Seq; code: string } {
    const { rolloutId, seq, prev, event } = line;
    const mirror = this.mirrors.get(rolloutId);
    // A rollout that nobody knows is acknowledged, and counted.
    if (mirror === undefined) return { kind: "taken", lastSeq: seq };
    const { record } = mirror;
    const last = record.journalId === journalId ? record.lastSeq : 0;
    if (seq <= last) return { kind: "taken", lastSeq: last };
    if (seq !== nextSeq(last)) return { kind: "gap", lastSeq: last };
    if (prev !== (last === 0 ? null : mirror.lastHash)) return { kind: "set-back", lastSeq: last };
    const envelope: Envelope = { ...line, journalId };
    mirror.lastHash = createHash("sha256").update(text).digest("hex");
    this.log.push({ rolloutId, journalId, line });
    const code = this.refuse?.(line) ?? null;
    if (code !== null) {
      mirror.record = { ...record, journalId, lastSeq: seq };
      return { kind: "refused", lastSeq: seq, code };
    }
    const { state, outcome } = stepRemote(record, envelope, instant(this.#time.nowMs));
    mirror.record = state;
    if (outcome.kind === "refused") return { kind: "refused", lastSeq: seq, code: outcome.code };
    if (event.kind === "DispatchAck" || event.kind === "DispatchReject")
      this.#answered(line, event);
    return { kind: "taken", lastSeq: seq };
  }

  #answered(line: Line, { attempt, kind }: { attempt: Attempt; kind: string }): void {
    const offer = this.#offer;
    if (this.insists) return;
    if (offer?.release.rolloutId === line.rolloutId && offer.attempt === attempt)
      this.#offer = null;
    if (kind !== "DispatchAck") return;
    for (const [rolloutId, mirror] of this.mirrors)
      if (rolloutId !== line.rolloutId && mirror.record.kind !== "Pending")
        mirror.record = supersede(mirror.record, line.rolloutId);
  }

  #heartbeat(body: unknown): HttpAnswer {
    const said = heartbeat.parse(body);
    this.heartbeats.push(said);
    const { streams } = said;
    const replayFrom: Record<string, Seq> = {};
    for (const [rolloutId, mirror] of this.mirrors) {
      const kept = streams[rolloutId];
      const { record } = mirror;
      const last = record.journalId === this.journals.at(-1) ? record.lastSeq : 0;
      if (kept !== undefined && kept.lastSeq > last) replayFrom[rolloutId] = nextSeq(last);
    }
    return json(
      heartbeatAnswer.encode(
        heartbeatAnswer.parse({
          intervalSecs: 60,
          replayFrom,
          ahead: this.ahead,
          logHead: this.logHead,
          want: [],
        }),
      ),
    );
  }
}

const bytes = new TextEncoder();
const text = (status: number, body: string): HttpAnswer => ({
  status,
  headers: {},
  body: bytes.encode(body),
});
const json = (value: unknown): HttpAnswer => ({
  ...text(200, JSON.stringify(value)),
  headers: { "content-type": "application/json" },
});

function refusal(code: ProblemCode): HttpAnswer {
  const found = problem(code, `${code}, says the test`);
  const headers = { "content-type": PROBLEM_MEDIA_TYPE };
  return { ...text(found.status, JSON.stringify(found)), headers };
}
