import {
  type Attempt,
  type ClosureHash,
  FIRST_ATTEMPT,
  type HostName,
  type Instant,
  instant,
  type JournalId,
  nextSeq,
  type OutboundAgentEvent,
  type RolloutId,
  type Seq,
  type Sha256,
} from "@nixwave/effects";
import {
  type AnswerOf,
  type Client,
  client,
  type DispatchOffer,
  encodeLine,
  type FetchPort,
  HEADER,
  type LogHead,
  sha256,
} from "@nixwave/protocol";
import { bootId, journal, probeName } from "@nixwave/testkit";

/** Node's fetch behind the client's port. */
const nodeFetch: FetchPort = async ({ url, method, headers, body, signal }) => {
  const answer = await fetch(url, { method, headers, body, signal });
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: new Uint8Array(await answer.arrayBuffer()),
  };
};

export const operatorClient = (url: string, name = "ops-1"): Client =>
  client(url, nodeFetch, () => ({ [HEADER.operator]: name }));

const now = (): Instant => instant(Date.now());

/** Speaks the wire as an agent does, and decides nothing: a test says what happens on the host. */
export class ScriptedAgent {
  readonly host: HostName;
  readonly journalId: JournalId;
  client: Client;
  readonly bootId = bootId("boot-1");
  running: ClosureHash | null;
  readonly #lines = new Map<RolloutId, readonly string[]>();
  readonly #ends = new Map<RolloutId, { readonly seq: Seq | 0; readonly prev: Sha256 | null }>();

  constructor(
    url: string,
    of: {
      readonly host: HostName;
      readonly running: ClosureHash | null;
      readonly journal?: string;
    },
  ) {
    this.host = of.host;
    this.running = of.running;
    this.journalId = journal(of.journal ?? "1");
    this.client = this.#clientOf(url);
  }

  /** The same agent, once the control plane is elsewhere. */
  moveTo(url: string): void {
    this.client = this.#clientOf(url);
  }

  #clientOf(url: string): Client {
    return client(url, nodeFetch, () => ({
      [HEADER.host]: this.host,
      [HEADER.journal]: this.journalId,
    }));
  }

  /** `logHead`: the highest that it says it was shown. */
  async heartbeat(logHead: LogHead | null = null): Promise<AnswerOf<"postHeartbeat">> {
    const streams: { [id: RolloutId]: { attempt: Attempt; lastSeq: Seq | 0 } } = {};
    for (const [id, { seq }] of this.#ends) streams[id] = { attempt: FIRST_ATTEMPT, lastSeq: seq };
    return this.#sure(
      await this.client.call("postHeartbeat", {
        body: {
          agentVersion: "0.0.0",
          currentClosure: this.running,
          bootId: this.bootId,
          uptimeSecs: 1,
          wallClock: now(),
          streams,
          logHead,
          diskFreeBytes: null,
          waitsFor: null,
          leaving: null,
        },
      }),
    );
  }

  async poll(wait: number): Promise<DispatchOffer | null> {
    return this.#sure(await this.client.call("getDispatch", { query: { wait } }));
  }

  /** One line of the stream, as the journal writes it. */
  line(rolloutId: RolloutId, event: OutboundAgentEvent): string {
    const { seq, prev } = this.#ends.get(rolloutId) ?? { seq: 0, prev: null };
    const next = nextSeq(seq);
    const line = encodeLine({ host: this.host, rolloutId, seq: next, prev, event });
    this.#ends.set(rolloutId, { seq: next, prev: sha256(line) });
    this.#lines.set(rolloutId, [...(this.#lines.get(rolloutId) ?? []), line]);
    return line;
  }

  /** Heartbeats, and sends again what the answer asks for, until nothing is asked for. */
  async replay(): Promise<void> {
    for (;;) {
      const { replayFrom } = await this.heartbeat();
      let asked = false;
      for (const [rolloutId, lines] of this.#lines) {
        const from = replayFrom[rolloutId];
        if (from === undefined) continue;
        asked = true;
        const body = lines
          .slice(from - 1)
          .map((line) => `${line}\n`)
          .join("");
        this.#sure(await this.client.call("postEvents", { body }));
      }
      if (!asked) return;
    }
  }

  async send(
    rolloutId: RolloutId,
    events: readonly OutboundAgentEvent[],
  ): Promise<AnswerOf<"postEvents">> {
    const body = events.map((event) => `${this.line(rolloutId, event)}\n`).join("");
    return this.#sure(await this.client.call("postEvents", { body }));
  }

  ack(offer: DispatchOffer): OutboundAgentEvent {
    return {
      kind: "DispatchAck",
      attempt: offer.attempt,
      dispatchedAt: offer.dispatchedAt,
      soakDueAt: offer.soakDueAt,
      previous: null,
      currentClosureAtDispatch: this.running,
      rollbackTarget: this.running === offer.targetClosure ? null : this.running,
      ackedAt: now(),
    };
  }

  /** From the acknowledgement to a probe's first result. */
  upToHealth(offer: DispatchOffer, status: "pass" | "fail"): readonly OutboundAgentEvent[] {
    const at = now();
    const probe = probeName("system-stable");
    const mode = "enforce";
    return [
      this.ack(offer),
      { kind: "ActivationStarted", startedAt: at, switchMethod: "switch" },
      {
        kind: "ActivationCompleted",
        observedCurrentClosure: offer.targetClosure,
        exitCode: 0,
        completedAt: at,
      },
      {
        kind: "ProbeTopologyDeclared",
        probes: [{ probeName: probe, kind: "system-stable", mode, intervalSecs: 10 }],
        bootId: this.bootId,
        declaredAt: at,
      },
      {
        kind: "ProbeResult",
        probeName: probe,
        mode,
        status,
        observedAt: instant(at + 1),
        failureReason: status === "pass" ? null : "503",
        subResults: null,
      },
    ];
  }

  converge(offer: DispatchOffer): Promise<AnswerOf<"postEvents">> {
    this.running = offer.targetClosure;
    return this.send(offer.rolloutId, [
      ...this.upToHealth(offer, "pass"),
      {
        kind: "Converged",
        convergedAt: instant(Date.now() + 2),
        currentClosure: offer.targetClosure,
      },
    ]);
  }

  rollBack(offer: DispatchOffer): Promise<AnswerOf<"postEvents">> {
    const { running } = this;
    if (running === null) throw new Error("a host that rolls back ran something before");
    const at = now();
    return this.send(offer.rolloutId, [
      ...this.upToHealth(offer, "fail"),
      {
        kind: "Failed",
        failedAt: at,
        sustainedDurationSecs: 60,
        failingProbes: [probeName("system-stable")],
        policyApplied: "rollback-and-halt",
      },
      { kind: "RollbackStarted", startedAt: at },
      { kind: "RollbackComplete", revertedToClosure: running, exitCode: 0, completedAt: at },
    ]);
  }

  #sure<T>(
    result:
      | { readonly ok: true; readonly value: T }
      | { readonly ok: false; readonly error: unknown },
  ): T {
    if (result.ok) return result.value;
    throw new Error(`${this.host}: ${JSON.stringify(result.error)}`);
  }
}
