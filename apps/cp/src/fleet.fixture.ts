import {
  addSecs,
  type Budget,
  FIRST_ATTEMPT,
  type HostName,
  type HostReport,
  type Instant,
  isSeq,
  type JournalId,
  type OutboundAgentEvent,
  type Policy,
  type Release,
  type RolloutId,
  type Seq,
  type Sha256,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import {
  type DispatchOffer,
  encodeLine,
  type LogHead,
  readRelease,
  type Verified,
  writeRelease,
} from "@nixwave/protocol";
import { bootId, channelName, closure, hostName, journal, policy, START } from "@nixwave/testkit";
import type { AgentEvents, Heartbeat, TakeDispatch } from "./command.ts";
import { sha256 } from "./log/hash.ts";

/** `releaseOf({ waves: [["web-1"], ["web-2"]], version: "new" })`: each host's closure is `<host>-<version>`. */
export async function releaseOf(wanted: {
  readonly waves: readonly (readonly string[])[];
  readonly version: string;
  readonly channel?: string;
  readonly createdAt?: Instant;
  readonly policy?: Partial<Policy>;
  readonly soakSecs?: number;
  readonly budgets?: readonly Budget[];
}): Promise<Verified<Release>> {
  const { waves, version } = wanted;
  const { release, files } = writeRelease({
    channel: channelName(wanted.channel ?? "stable"),
    revision: null,
    createdAt: wanted.createdAt ?? START,
    createdBy: "ci",
    note: version,
    waves: waves.map((_, place) => ({
      index: place + 1,
      soakSecs: wanted.soakSecs ?? 60,
      description: "",
    })),
    policy: policy(wanted.policy),
    channelEdges: [],
    hosts: waves.flatMap((hosts, place) =>
      hosts.map((name) => ({
        host: hostName(name),
        system: "x86_64-linux",
        closure: closure(`${name}-${version}`),
        wave: place + 1,
        tags: [],
        closureDigest: null,
      })),
    ),
    budgets: wanted.budgets ?? [],
    edges: [],
  });
  const read = await readRelease(
    (path) => Promise.resolve(files.find((file) => file.path === path)?.bytes ?? null),
    release,
  );
  if (!read.ok) throw new Error(read.error.reason);
  return read.value;
}

/** An agent as far as the control plane can tell: it numbers its lines, chains them, and keeps them for a replay. */
export class TestAgent {
  readonly host: HostName;
  journalId: JournalId;
  readonly streams = new Map<RolloutId, string[]>();

  constructor(name: string, journalDigits = "a") {
    this.host = hostName(name);
    this.journalId = journal(journalDigits);
  }

  /** As it is now, with a memory of its own. */
  copy(): TestAgent {
    const copy = new TestAgent(this.host);
    copy.journalId = this.journalId;
    for (const [rolloutId, lines] of this.streams) copy.streams.set(rolloutId, lines);
    return copy;
  }

  get from(): { readonly host: HostName; readonly journalId: JournalId } {
    return { host: this.host, journalId: this.journalId };
  }

  poll(holding: TakeDispatch["holding"] = null): TakeDispatch {
    return { kind: "TakeDispatch", ...this.from, holding };
  }

  /** Appends an event to its stream and gives the line. */
  write(rolloutId: RolloutId, event: OutboundAgentEvent): string {
    const lines = this.streams.get(rolloutId) ?? [];
    const last = lines.at(-1);
    const prev: Sha256 | null = last === undefined ? null : sha256(last);
    const line = encodeLine({ host: this.host, rolloutId, seq: seqOf(lines.length), prev, event });
    this.streams.set(rolloutId, [...lines, line]);
    return line;
  }

  send(...lines: readonly string[]): AgentEvents {
    return { kind: "AgentEvents", ...this.from, lines };
  }

  heartbeat(logHead: LogHead | null = null): Heartbeat {
    const streams: HostReport["streams"] = [...this.streams].map(([rolloutId, lines]) => ({
      rolloutId,
      attempt: FIRST_ATTEMPT,
      lastSeq: seqOf(lines.length - 1),
    }));
    return {
      kind: "Heartbeat",
      ...this.from,
      logHead,
      report: {
        currentClosure: null,
        bootId: bootId("boot-1"),
        agentVersion: "1",
        leaving: null,
        streams,
        clockSkewSecs: 0,
        diskFreeBytes: null,
        waitsFor: null,
      },
    };
  }

  /** What a host tells of a release that works, from the acknowledgement to Converged. */
  goodRun(offer: DispatchOffer, now: Instant): readonly string[] {
    const { rolloutId, targetClosure } = offer;
    const write = (event: OutboundAgentEvent) => this.write(rolloutId, event);
    const converged = addSecs(now, 60);
    return [
      write(ack(offer, now)),
      write({ kind: "ActivationStarted", startedAt: now, switchMethod: "switch" }),
      write({
        kind: "ActivationCompleted",
        observedCurrentClosure: targetClosure,
        exitCode: 0,
        completedAt: now,
      }),
      write(topology(now)),
      write(stable("pass", converged)),
      write({ kind: "Converged", convergedAt: converged, currentClosure: targetClosure }),
    ];
  }

  /** What a host tells of a release whose probe fails, up to and with its rollback. */
  badRun(offer: DispatchOffer, now: Instant): readonly string[] {
    const { rolloutId, targetClosure } = offer;
    const write = (event: OutboundAgentEvent) => this.write(rolloutId, event);
    const failedAt = addSecs(now, 60);
    return [
      write(ack(offer, now)),
      write({
        kind: "ActivationCompleted",
        observedCurrentClosure: targetClosure,
        exitCode: 0,
        completedAt: now,
      }),
      write(topology(now)),
      write(stable("fail", now)),
      write({
        kind: "Failed",
        failedAt,
        sustainedDurationSecs: 60,
        failingProbes: [SYSTEM_STABLE],
        policyApplied: "rollback-and-halt",
      }),
      write({ kind: "RollbackStarted", startedAt: failedAt }),
      write({
        kind: "RollbackComplete",
        revertedToClosure: KNOWN_GOOD,
        exitCode: 0,
        completedAt: failedAt,
      }),
    ];
  }
}

const KNOWN_GOOD = closure("known-good");

function seqOf(before: number): Seq {
  const seq = before + 1;
  if (!isSeq(seq)) throw new Error(`${seq} is no number of an event`);
  return seq;
}

export const ack = (offer: DispatchOffer, now: Instant): OutboundAgentEvent => ({
  kind: "DispatchAck",
  attempt: offer.attempt,
  dispatchedAt: offer.dispatchedAt,
  soakDueAt: offer.soakDueAt,
  previous: null,
  currentClosureAtDispatch: KNOWN_GOOD,
  rollbackTarget: KNOWN_GOOD,
  ackedAt: now,
});

const topology = (now: Instant): OutboundAgentEvent => ({
  kind: "ProbeTopologyDeclared",
  probes: [{ probeName: SYSTEM_STABLE, kind: "system-stable", mode: "enforce", intervalSecs: 10 }],
  bootId: bootId("boot-1"),
  declaredAt: now,
});

const stable = (status: "pass" | "fail", observedAt: Instant): OutboundAgentEvent => ({
  kind: "ProbeResult",
  probeName: SYSTEM_STABLE,
  mode: "enforce",
  status,
  observedAt,
  failureReason: null,
  subResults: null,
});
