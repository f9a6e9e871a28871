import type { Channel, ClosureHash, EmitLog, HostName } from "@nixwave/effects";
import type { Activation } from "./activation/activation.ts";
import { unitOf } from "./activation/unit.ts";
import { activationWorker } from "./activation/worker.ts";
import type { ControlPlane, UnitLog } from "./controlPlane.ts";
import { boot } from "./inbound/boot.ts";
import { type HeartbeatParts, Heartbeats, type Leaving } from "./inbound/heartbeat.ts";
import { MetadataWatch } from "./inbound/metadataWatch.ts";
import { Poller } from "./inbound/poll.ts";
import { Verifier } from "./inbound/verify.ts";
import type { InputKind, Mailbox } from "./input.ts";
import type { Journal } from "./journal/journal.ts";
import { Loop } from "./loop.ts";
import { Queue } from "./mailbox.ts";
import { Outage } from "./outage.ts";
import { Drainer, isOutboxFull } from "./outbox.ts";
import type { Performers } from "./perform/perform.ts";
import { CALLED_OFF, type Ports, type Timer } from "./ports.ts";
import { type ReachTarget, takeBaseline } from "./probes/baseline.ts";
import { probeWorker } from "./probes/worker.ts";
import type { HostReleases } from "./releases.ts";
import { SteadyClock } from "./steadyClock.ts";

export interface AgentParts {
  readonly host: HostName;
  readonly channel: Channel;
  readonly agentVersion: string;
  readonly heartbeatSecs: number;
  readonly pollWaitSecs: number;
  readonly stateDir: string;
  /** Whom the host must be able to reach after a switch. */
  readonly reach: readonly ReachTarget[];
  /** What probes run with. */
  readonly probeEnv: Readonly<Record<string, string>>;
  readonly journal: Journal;
  readonly activation: Activation;
  readonly controlPlane: ControlPlane;
  readonly releases: HostReleases;
  readonly ports: Ports;
  readonly redact: (text: string) => string;
  readonly metrics: Performers["metrics"] & {
    countInput(kind: InputKind): void;
    countWithheld(): void;
  };
  readonly logs: { write(line: EmitLog): void; trouble(message: string, cause: unknown): void };
  /** The loop can take nothing any more; the process has to end, and be started again. */
  readonly onBroken: (error: unknown) => void;
}

export interface Agent {
  readonly mailbox: Mailbox;
  readonly clock: SteadyClock;
  readonly outage: Outage;
  /** Says that the machine goes down or to sleep, if it does; then nothing of the agent runs any more, but for units. */
  stop(leaving: Leaving | null): Promise<void>;
}

/** A last heartbeat must not hold up the machine's shutdown. */
const LEAVING_WITHIN_MS = 3000;

/** Puts loop, workers and sources together, and starts them. */
export function startAgent(parts: AgentParts): Agent {
  const { journal, ports, logs, activation } = parts;
  const { timer, random, crash } = ports;
  const { steadyNow: journalNow, metadataSignedAt: newestMetadataAt } = journal.facts();
  const clock = new SteadyClock(ports.clock, { journalNow, newestMetadataAt });
  const outage = outageOf(logs);
  const queue: Queue = new Queue({
    timer,
    outage,
    take: (input) => loop.take(input),
    onBroken: parts.onBroken,
  });
  const mailbox: Mailbox = queue;
  const workers = workersOf(parts, mailbox, () => heartbeats.ask());
  const { verifier, poller, heartbeats, drainer, watch } = sourcesOf(parts, {
    mailbox,
    clock,
    outage,
    waitsFor: () => workers.activation.waitsFor(),
  });
  const asked: Performers["asked"] = {
    verify: ({ offer, leaseUntil }) => verifier.verify(offer, leaseUntil),
    pinKnownGood: ({ closure }) => pin(parts, closure),
    heartbeat: () => heartbeats.ask(),
    countWithheld: () => parts.metrics.countWithheld(),
  };
  const loop: Loop = new Loop({
    host: parts.host,
    channel: parts.channel,
    journal,
    clock,
    timer,
    mailbox,
    outage,
    performers: { ...workers, metrics: parts.metrics, logs, crash, asked },
    isOutboxFull: () => isOutboxFull(journal.outbox.size()),
    onInput: (kind) => parts.metrics.countInput(kind),
    onCommitted: () => {
      drainer.poke();
      poller.poke();
    },
  });
  const closing = new AbortController();
  const run = async (): Promise<void> => {
    // What the machine remembers comes first: no dispatch is answered from a journal that was set back.
    const onTrouble = troubleOf(logs);
    await boot({ journal, activation, mailbox, timer, random, onTrouble }, closing.signal);
    if (closing.signal.aborted) return;
    await Promise.all([poller.run(), drainer.run(), heartbeats.run(), watch.run()]);
  };
  const running = run();
  return {
    mailbox,
    clock,
    outage,
    stop: async (leaving) => {
      if (leaving !== null) await sayLeaving(heartbeats, leaving, timer);
      closing.abort(CALLED_OFF);
      for (const source of [poller, drainer, heartbeats, watch]) source.close();
      loop.stop();
      queue.close();
      await Promise.all([verifier.close(), workers.activation.close(), workers.probes.close()]);
      await running;
    },
  };
}

/** By the agent's own timer: the simulator's machines go down in its time and not in the test's. */
async function sayLeaving(heartbeats: Heartbeats, leaving: Leaving, timer: Timer): Promise<void> {
  const late = new AbortController();
  const cancel = timer.after(LEAVING_WITHIN_MS, () => late.abort(CALLED_OFF));
  try {
    await heartbeats.sayLeaving(leaving, late.signal);
  } finally {
    cancel();
  }
}

const troubleOf = (logs: AgentParts["logs"]) => (message: string, cause: unknown) =>
  logs.trouble(message, cause);

function sourcesOf(
  parts: AgentParts,
  agent: Pick<Agent, "mailbox" | "clock" | "outage"> & Pick<HeartbeatParts, "waitsFor">,
) {
  const { mailbox, clock, outage, waitsFor } = agent;
  const { journal, controlPlane, activation, ports } = parts;
  const { timer, random, crash } = ports;
  const now = () => clock.now();
  const onTrouble = troubleOf(parts.logs);
  const all = { journal, controlPlane, mailbox, timer, random, now, onTrouble };
  const { host, releases } = parts;
  const trusting = { ...all, releases, clock, trustNow: () => clock.latest() };
  const watch = new MetadataWatch(trusting);
  const onMetadata = () => watch.note();
  const verifier = new Verifier({ ...trusting, host, activation, onMetadata });
  const heartbeats = new Heartbeats({
    ...all,
    activation,
    agentVersion: parts.agentVersion,
    clock: ports.clock,
    intervalSecs: parts.heartbeatSecs,
    diskFreeBytes: () => ports.disk.freeBytes(parts.stateDir),
    unitLog: () => lastUnitLog(parts),
    waitsFor,
  });
  const askHeartbeat = () => heartbeats.ask();
  const poller = new Poller({ ...all, verifier, waitSecs: parts.pollWaitSecs, askHeartbeat });
  const drainer = new Drainer({ ...all, crash, outage, askHeartbeat });
  return { verifier, poller, heartbeats, drainer, watch };
}

function workersOf(
  parts: AgentParts,
  mailbox: Mailbox,
  onRefused: () => void,
): Pick<Performers, "activation" | "probes"> {
  const { journal, ports, activation, logs, reach, probeEnv } = parts;
  const both = {
    ...ports,
    activation,
    mailbox,
    readRecord: (id: Parameters<Journal["record"]>[0]) => journal.record(id),
    redact: parts.redact,
    onTrouble: troubleOf(logs),
  };
  return {
    activation: activationWorker({
      ...both,
      onRefused,
      knownGood: () => journal.facts().knownGood.at(-1) ?? null,
      baseline: (signal) => takeBaseline({ ...ports, reach, env: probeEnv }, signal),
    }),
    probes: probeWorker({
      ...both,
      readText: (path) => ports.disk.readText(path),
      env: probeEnv,
      reach,
      baseline: () => journal.facts().baseline,
    }),
  };
}

/** Tried again at the next start, where pin and journal are compared. */
function pin({ activation, logs }: AgentParts, closure: ClosureHash): void {
  activation.pin("known-good", closure).catch((cause: unknown) => {
    logs.trouble("the known-good closure could not be pinned", cause);
  });
}

function outageOf(logs: AgentParts["logs"]): Outage {
  const line = (level: "error" | "info", message: string): EmitLog => ({
    kind: "EmitLog",
    level,
    target: "agent",
    message,
    fields: [],
  });
  return new Outage(
    (error) => logs.write(line("error", error instanceof Error ? error.message : String(error))),
    () => logs.write(line("info", "the journal can be written again")),
  );
}

/** The output of the newest record's own unit; the activation keeps the last 64 KiB of each. */
async function lastUnitLog({ journal, activation, redact }: AgentParts): Promise<UnitLog | null> {
  const known = journal.all().filter((record) => record.kind !== "opaque");
  for (const record of known.toReversed()) {
    const { rolloutId, attempt } = record;
    const own = unitOf(record);
    const found = (await activation.units()).filter(
      ({ unit }) => unit.rolloutId === rolloutId && unit.attempt === attempt,
    );
    const unit = own ?? found.at(-1)?.unit;
    if (unit === undefined) continue;
    const text = redact(await activation.output(unit));
    return { rolloutId, attempt, purpose: unit.purpose, text };
  }
  return null;
}
