import {
  type Attempt,
  addSecs,
  type ClosureHash,
  due,
  EFFECT_PHASE,
  type Effect,
  type HostRollout,
  type Instant,
  instant,
  isSettled,
  type JournalId,
  later,
  nextDueAt,
  nextSeq,
  OBSERVE_AGAIN_SECS,
  type OutboundAgentEvent,
  observe,
  openHostRollout,
  type RolloutId,
  type Seen,
  stepLocal,
  stepRemote,
  supersede,
  type Terms,
} from "@nixwave/effects";
import {
  bootId,
  channelName,
  closure,
  closureName,
  hostName,
  journal,
  rollout,
  rolloutName,
  START,
  terms,
} from "./build.ts";
import { attemptOf, eventOf, eventWords } from "./eventScript.ts";
import type { Command, Runner } from "./transcript.ts";

/** The agent's record and the CP's mirror of it; a transcript that shows a difference is a broken parity (I4). */
interface Twin {
  agent: HostRollout;
  cp: HostRollout;
  /** The state for which the machine was last asked, and when. */
  asked: { readonly of: HostRollout; readonly at: Instant } | null;
}

const HOST = hostName("web-1");

/** What a host came with. */
const AS_INSTALLED: Seen = {
  bootId: bootId("boot-1"),
  runningClosure: closure("old"),
  profileClosure: closure("old"),
  bootClosure: closure("old"),
  unit: { kind: "none" },
  purpose: "switch",
  stderrTail: "",
};

/** One host, driven by commands: what the reducers do without any app. */
export function hostScript(): Runner {
  const script = new HostScript();
  return (command) => {
    const run = COMMANDS[command.name];
    if (run === undefined) {
      const known = Object.keys(COMMANDS).join(", ");
      throw new Error(
        `line ${command.line}: unknown command "${command.name}"; known are ${known}`,
      );
    }
    return run(script, command);
  };
}

const COMMANDS: {
  readonly [name: string]: (script: HostScript, command: Command) => readonly string[];
} = {
  policy: (script, { options }) => script.agree(options),
  dispatch: (script, { words, options }) =>
    script.dispatch(
      rollout(words[0] ?? ""),
      closure(options.get("closure") ?? "new"),
      attemptOf(options.get("attempt")),
    ),
  event: (script, { words, options }) =>
    script.step(rollout(words[0] ?? ""), eventOf(words[1] ?? "", options, script)),
  machine: (script, { options }) => script.change(options),
  journal: (script, { words }) => script.forget(journal(words[0] ?? "b")),
  observe: (script, { words }) => script.look(rollout(words[0] ?? "")),
  restart: (script) => script.restart(),
  tick: (script, { words }) => script.tick(duration(words[0] ?? "+0s")),
  show: (script, { words }) => script.show(rollout(words[0] ?? "")),
};

class HostScript {
  now: Instant = START;
  seen: Seen = AS_INSTALLED;
  readonly #twins = new Map<RolloutId, Twin>();
  #startedAt: Instant = START;
  #journalId: JournalId = journal("a");
  #terms: Terms = terms();

  agree(options: ReadonlyMap<string, string>): readonly string[] {
    const numbers = [...options].map(([key, value]) => [
      key,
      /^\d+$/.test(value) ? Number(value) : value,
    ]);
    const { soakSecs, wave, ...policies } = Object.fromEntries(numbers);
    this.#terms = terms(policies, Number(soakSecs ?? 600), Number(wave ?? 1));
    return [];
  }

  dispatch(id: RolloutId, target: ClosureHash, attempt: Attempt): readonly string[] {
    if (this.#twins.has(id)) return [`dispatched again, attempt ${attempt}`];
    const opened = openHostRollout({
      rolloutId: id,
      host: HOST,
      channel: channelName("stable"),
      targetClosure: target,
      attempt,
      dispatchedAt: this.now,
      soakDueAt: addSecs(this.now, 600),
      journalId: this.#journalId,
      terms: this.#terms,
    });
    this.#twins.set(id, { agent: opened, cp: opened, asked: null });
    return [`${HOST} ${rolloutName(id)} opened Pending, attempt ${attempt}`];
  }

  /** Both readings of one event, and what they yield. */
  step(id: RolloutId, event: OutboundAgentEvent): readonly string[] {
    const twin = this.#twinOf(id);
    const before = twin.agent;
    const last = before.journalId === this.#journalId ? before.lastSeq : 0;
    const stream = { host: HOST, rolloutId: id, journalId: this.#journalId };
    const envelope = { ...stream, seq: nextSeq(last), prev: null, event };
    const local = stepLocal(before, envelope, this.now);
    twin.agent = local.state;
    const said = [
      outcomeLine(local.outcome, before, local.state, event),
      ...local.effects.flatMap((effect) => effectLine("agent", effect)),
    ];
    if (local.outcome.kind === "refused") return said;
    const remote = stepRemote(twin.cp, envelope, this.now);
    twin.cp = remote.state;
    const isEqual = JSON.stringify(twin.agent) === JSON.stringify(twin.cp);
    return [
      ...said,
      ...remote.effects.flatMap((effect) => effectLine("cp", effect)),
      ...(event.kind === "DispatchAck" ? this.#supersedeOthers(id) : []),
      ...(isEqual ? [] : ["PARITY BROKEN"]),
    ];
  }

  change(options: ReadonlyMap<string, string>): readonly string[] {
    this.seen = seenWith(this.seen, options);
    return [];
  }

  forget(journalId: JournalId): readonly string[] {
    this.#journalId = journalId;
    return [];
  }

  look(id: RolloutId): readonly string[] {
    const { event, effects } = observe(this.#twinOf(id).agent, this.seen, this.now);
    const owed = effects.flatMap((effect) => effectLine("agent", effect));
    return event === null ? owed : [...this.step(id, event), ...owed];
  }

  restart(): readonly string[] {
    this.#startedAt = this.now;
    const unsettled = [...this.#twins].filter(([, twin]) => !isSettled(twin.agent));
    return unsettled.flatMap(([id]) => this.look(id));
  }

  /** Moves the clock from deadline to deadline, as the agent's timer would. */
  tick(ms: number): readonly string[] {
    const until = instant(this.now + ms);
    const lines: string[] = [];
    for (let next = this.#earliestDue(until); next !== null; next = this.#earliestDue(until)) {
      this.now = later(this.now, next.at);
      const said = this.#elapse(next.id);
      if (said.length === 0) break;
      lines.push(`at ${clock(this.now)}`, ...said);
    }
    this.now = until;
    return lines;
  }

  show(id: RolloutId): readonly string[] {
    return [recordLine(this.#twinOf(id).cp)];
  }

  #twinOf(id: RolloutId): Twin {
    const twin = this.#twins.get(id);
    if (twin === undefined) throw new Error(`no record of ${id}: dispatch first`);
    return twin;
  }

  #supersedeOthers(by: RolloutId): readonly string[] {
    const others = [...this.#twins].filter(([id, { agent }]) => id !== by && !isSettled(agent));
    return others.map(([id, twin]) => {
      twin.agent = supersede(twin.agent, by);
      twin.cp = supersede(twin.cp, by);
      return `${HOST} ${rolloutName(id)} ${twin.agent.kind} superseded by ${rolloutName(by)}`;
    });
  }

  #earliestDue(until: Instant): { readonly id: RolloutId; readonly at: Instant } | null {
    const dues = [...this.#twins].flatMap(([id, { agent, asked }]) => {
      const next = nextDueAt(agent, { startedAt: this.#startedAt });
      if (next === null) return [];
      const at = asked?.of === agent ? later(next, addSecs(asked.at, OBSERVE_AGAIN_SECS)) : next;
      return at <= until ? [{ id, at }] : [];
    });
    return dues.toSorted((a, b) => a.at - b.at)[0] ?? null;
  }

  #elapse(id: RolloutId): readonly string[] {
    const twin = this.#twinOf(id);
    const what = due(twin.agent, { startedAt: this.#startedAt }, this.now);
    if (what === null) return [];
    twin.asked = { of: twin.agent, at: this.now };
    switch (what.kind) {
      case "Report":
        return this.step(id, what.event);
      case "Observe":
        return this.look(id);
      case "StopUnit":
        if (this.seen.unit.kind === "running")
          this.seen = { ...this.seen, unit: { kind: "killed" } };
        return [`  stop the ${what.purpose} unit, and see it end`, ...this.look(id)];
    }
  }
}

function duration(text: string): number {
  const match = /^\+(\d+)(s|m|h)$/.exec(text);
  if (match === null) throw new Error(`"${text}" is not a duration such as +90s, +5m, +2h`);
  const unit = match[2] === "h" ? 3600 : match[2] === "m" ? 60 : 1;
  return Number(match[1]) * unit * 1000;
}

function seenWith(seen: Seen, options: ReadonlyMap<string, string>): Seen {
  const link = (key: string, before: ClosureHash | null): ClosureHash | null => {
    const name = options.get(key) ?? options.get("all");
    return name === undefined ? before : name === "none" ? null : closure(name);
  };
  const unit = options.get("unit");
  return {
    ...seen,
    bootId: options.has("boot-id") ? bootId(options.get("boot-id") ?? "") : seen.bootId,
    runningClosure: link("running", seen.runningClosure),
    profileClosure: link("profile", seen.profileClosure),
    bootClosure: link("boot", seen.bootClosure),
    unit: unit === undefined ? seen.unit : unitOf(unit),
    purpose:
      options.get("for") === "rollback"
        ? "rollback"
        : options.get("for") === "switch"
          ? "switch"
          : seen.purpose,
  };
}

function unitOf(text: string): Seen["unit"] {
  const exited = /^exited\((\d+)\)$/.exec(text);
  if (exited !== null) return { kind: "exited", code: Number(exited[1]) };
  if (text === "none" || text === "running" || text === "killed" || text === "unknown")
    return { kind: text };
  throw new Error(`"${text}" is not none, running, killed, unknown or exited(CODE)`);
}

const clock = (at: Instant): string => `+${(at - START) / 1000}s`;

function outcomeLine(
  outcome: ReturnType<typeof stepLocal>["outcome"],
  before: HostRollout,
  after: HostRollout,
  event: OutboundAgentEvent,
): string {
  const where = `${before.host} ${rolloutName(before.rolloutId)}`;
  switch (outcome.kind) {
    case "moved":
      return `${where} ${outcome.from} -> ${after.kind}${reasonOf(after)}  on ${event.kind}${eventWords(event)}`;
    case "stayed":
      return `${where} ${after.kind} stays  on ${event.kind}${eventWords(event)}`;
    case "refused":
      return `${where} refuses ${event.kind}: ${outcome.code}`;
    case "duplicate":
      return `${where} has had ${event.kind}`;
    case "gap":
      return `${where} misses seq ${outcome.expected}`;
  }
}

function reasonOf(state: HostRollout): string {
  if (state.kind !== "Failed") return "";
  return ` (${state.cause}${state.failingProbes.length > 0 ? `: ${state.failingProbes.join(", ")}` : ""}; rollback ${state.rollback})`;
}

function recordLine(record: HostRollout): string {
  return `${record.host} ${rolloutName(record.rolloutId)} ${record.kind} attempt ${record.attempt} lastSeq ${record.lastSeq}${record.supersededBy === null ? "" : ` superseded by ${rolloutName(record.supersededBy)}`}`;
}

/** Metrics and log lines are left out: they follow from the outcome and would drown it. */
function effectLine(side: "agent" | "cp", effect: Effect): readonly string[] {
  const head = `  ${side.padEnd(5)} ${EFFECT_PHASE[effect.kind].padEnd(7)} ${effect.kind}`;
  switch (effect.kind) {
    case "EmitMetric":
    case "EmitLog":
      return [];
    case "LocalFireSwitch":
      return [`${head} ${closureName(effect.target)}`];
    case "LocalFireRollbackTo":
      return [`${head} ${closureName(effect.closure)}`];
    case "LocalResetProbeCache":
      return [head];
    case "LocalEmitEvent":
      return [`${head} ${effect.payload.kind}${effect.durable ? " durable" : ""}`];
    case "RemoteQueueDispatch":
      return [`${head} ${closureName(effect.targetClosure)}`];
    case "RemoteInsertQuarantine":
      return [`${head} ${closureName(effect.closure)} on ${effect.channel}`];
    case "RemoteOpenRolloutRecord":
      return [head];
    case "RemoteAppendEventLog":
      return [`${head} ${effect.payload.kind}`];
    case "RecordTransition":
      return [`${head} ${effect.from} -> ${effect.to}`];
  }
}
