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
  isAttempt,
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
import { eventOf, eventWords } from "./eventScript.ts";
import type { Command, Runner } from "./transcript.ts";

/** Text that both sides agree on; a transcript that shows a difference is a broken parity (I4). */
interface Twin {
  agent: HostRollout;
  cp: HostRollout;
  /** The state for which the machine was last asked, and when. */
  asked: { readonly of: HostRollout; readonly at: Instant } | null;
}

/**
 * One host, its agent's record and the CP's mirror of it, driven by commands: what the reducers do without any app.
 * dispatch, reject, ack, event, machine, observe, restart, tick, policy, journal, show.
 */
export function hostScript(): Runner {
  const host = hostName("web-1");
  const twins = new Map<RolloutId, Twin>();
  let now: Instant = START;
  let startedAt: Instant = START;
  let journalId: JournalId = journal("a");
  let agreed: Terms = terms();
  let seen: Seen = {
    bootId: bootId("boot-1"),
    runningClosure: closure("old"),
    profileClosure: closure("old"),
    bootClosure: closure("old"),
    unit: { kind: "none" },
    purpose: "switch",
    stderrTail: "",
  };

  const twinOf = (id: RolloutId): Twin => {
    const twin = twins.get(id);
    if (twin === undefined) throw new Error(`no record of ${id}: dispatch first`);
    return twin;
  };

  function dispatch(id: RolloutId, target: ClosureHash, attempt: Attempt): readonly string[] {
    if (twins.has(id)) return [`dispatched again, attempt ${attempt}`];
    const init = {
      rolloutId: id,
      host,
      channel: channelName("stable"),
      targetClosure: target,
      attempt,
      dispatchedAt: now,
      soakDueAt: instant(now + 600_000),
      journalId,
      terms: agreed,
    };
    twins.set(id, { agent: openHostRollout(init), cp: openHostRollout(init), asked: null });
    return [`${host} ${rolloutName(id)} opened Pending, attempt ${attempt}`];
  }

  function step(id: RolloutId, event: OutboundAgentEvent): readonly string[] {
    const twin = twinOf(id);
    const before = twin.agent;
    const seq = before.journalId === journalId ? nextSeq(before.lastSeq) : nextSeq(0);
    const envelope = { host, rolloutId: id, journalId, seq, prev: null, event };
    const local = stepLocal(before, envelope, now);
    const lines = [
      outcomeLine(local.outcome, twin.agent, local.state, event),
      ...local.effects.flatMap((effect) => effectLine("agent", effect)),
    ];
    twin.agent = local.state;
    if (local.outcome.kind === "refused") return lines;
    const remote = stepRemote(twin.cp, envelope, now);
    twin.cp = remote.state;
    lines.push(...remote.effects.flatMap((effect) => effectLine("cp", effect)));
    if (event.kind === "DispatchAck") lines.push(...supersedeOthers(id));
    if (JSON.stringify(twin.agent) !== JSON.stringify(twin.cp)) lines.push("PARITY BROKEN");
    return lines;
  }

  function supersedeOthers(by: RolloutId): readonly string[] {
    const lines: string[] = [];
    for (const [id, twin] of twins) {
      if (id === by || isSettled(twin.agent)) continue;
      twin.agent = supersede(twin.agent, by);
      twin.cp = supersede(twin.cp, by);
      lines.push(`${host} ${rolloutName(id)} ${twin.agent.kind} superseded by ${rolloutName(by)}`);
    }
    return lines;
  }

  function look(id: RolloutId): readonly string[] {
    const { event, effects } = observe(twinOf(id).agent, seen, now);
    const owed = effects.flatMap((effect) => effectLine("agent", effect));
    return event === null ? owed : [...step(id, event), ...owed];
  }

  /** Moves the clock from deadline to deadline, as the agent's timer would. */
  function tick(until: Instant): readonly string[] {
    const lines: string[] = [];
    for (let round = 0; round < 100; round++) {
      const next = earliestDue(until);
      if (next === null) break;
      now = next.at > now ? next.at : now;
      const said = elapse(next.id);
      if (said.length === 0) break;
      lines.push(`at ${clock(now)}`, ...said);
    }
    now = until;
    return lines;
  }

  function earliestDue(until: Instant): { readonly id: RolloutId; readonly at: Instant } | null {
    const dues = [...twins].flatMap(([id, twin]) => {
      const next = nextDueAt(twin.agent, { startedAt });
      if (next === null) return [];
      const at =
        twin.asked?.of === twin.agent
          ? later(next, addSecs(twin.asked.at, OBSERVE_AGAIN_SECS))
          : next;
      return at <= until ? [{ id, at }] : [];
    });
    return dues.sort((a, b) => a.at - b.at)[0] ?? null;
  }

  function elapse(id: RolloutId): readonly string[] {
    const twin = twinOf(id);
    const what = due(twin.agent, { startedAt }, now);
    if (what === null) return [];
    twin.asked = { of: twin.agent, at: now };
    switch (what.kind) {
      case "Report":
        return step(id, what.event);
      case "Observe":
        return look(id);
      case "StopUnit": {
        if (seen.unit.kind === "running") seen = { ...seen, unit: { kind: "killed" } };
        return [`  stop the ${what.purpose} unit, and see it end`, ...look(id)];
      }
    }
  }

  const commands: { readonly [name: string]: (command: Command) => readonly string[] } = {
    policy: ({ options }) => {
      const over = Object.fromEntries(
        [...options].map(([key, value]) => [key, /^\d+$/.test(value) ? Number(value) : value]),
      );
      const { soakSecs, wave, ...policies } = over;
      agreed = terms(policies, Number(soakSecs ?? 600), Number(wave ?? 1));
      return [];
    },
    dispatch: ({ words, options }) => {
      const attempt = Number(options.get("attempt") ?? 1);
      if (!isAttempt(attempt)) throw new Error("attempt counts from 1");
      return dispatch(rollout(words[0] ?? ""), closure(options.get("closure") ?? "new"), attempt);
    },
    event: ({ words, options }) =>
      step(rollout(words[0] ?? ""), eventOf(words[1] ?? "", options, { now, seen })),
    machine: ({ options }) => {
      seen = seenWith(seen, options);
      return [];
    },
    journal: ({ words }) => {
      journalId = journal(words[0] ?? "b");
      return [];
    },
    observe: ({ words }) => look(rollout(words[0] ?? "")),
    restart: () => {
      startedAt = now;
      return [...twins].filter(([, twin]) => !isSettled(twin.agent)).flatMap(([id]) => look(id));
    },
    tick: ({ words }) => tick(instant(now + duration(words[0] ?? "+0s"))),
    show: ({ words }) => [recordLine(twinOf(rollout(words[0] ?? "")).cp)],
  };

  return (command) => {
    const run = commands[command.name];
    if (run === undefined)
      throw new Error(
        `line ${command.line}: unknown command "${command.name}"; known are ${Object.keys(commands).join(", ")}`,
      );
    return run(command);
  };
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
