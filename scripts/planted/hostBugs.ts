import type { Bug } from "./bugs.ts";

const EFFECTS = "packages/effects/src";
const AGENT = "apps/agent/src";

const seed = (number: number): Bug["ground"] => ({ kind: "seed", seed: number });
const scenario = (name: string): Bug["ground"] => ({ kind: "scenario", name });

/** Mistakes in what an agent does, and in what both sides take from its events. */
export const HOST_BUGS: readonly Bug[] = [
  {
    name: "posted-before-sync",
    what: "Events are posted before the write that carries them to the disk.",
    file: `${AGENT}/outbox.ts`,
    find: "    journal.markSent(batch);\n    this.#parts.outage.over();\n",
    replace: "    this.#parts.outage.over();\n",
    // By chance one world of files in some forty finds it (seed 310): too few for a search that has to be short.
    ground: scenario("power-cuts-while-soaking"),
    tells: ["I6"],
  },
  {
    name: "seq-reused",
    what: "After a crash an agent numbers its events from the last one that was acknowledged.",
    file: `${AGENT}/journal/sqliteTables.ts`,
    find: "    this.outbox = new OutboxTable(db);\n",
    replace: `    this.outbox = new OutboxTable(db);
    db.exec(\`UPDATE host_rollouts SET record = json_set(record, '$.lastSeq', (SELECT max(seq) FROM outbox
      WHERE outbox.rollout_id = host_rollouts.rollout_id AND acked = 1)) WHERE EXISTS (SELECT 1 FROM outbox
      WHERE outbox.rollout_id = host_rollouts.rollout_id AND acked = 0) AND EXISTS (SELECT 1 FROM outbox
      WHERE outbox.rollout_id = host_rollouts.rollout_id AND acked = 1)\`);
    db.exec("DELETE FROM outbox WHERE acked = 0");\n`,
    ground: seed(30),
    tells: ["I6", "I4", "I12", "no-bug"],
  },
  {
    name: "soak-from-dispatch",
    what: "The soak counts from the dispatch, not from the host's own activation.",
    file: `${EFFECTS}/host/health.ts`,
    find: "  addSecs(state.activationCompletedAt, state.terms.soakSecs);\n",
    replace: "  addSecs(state.dispatchedAt, state.terms.soakSecs);\n",
    ground: seed(2),
    tells: ["I3"],
  },
  {
    name: "wall-followed-in-flight",
    what: "The agent's own time follows the wall clock also while something is in flight.",
    file: `${AGENT}/loop.ts`,
    find: "    if (current === null || !isInFlight(current)) clock.followWall();\n",
    replace: "    if (current === null || !isInFlight(current) || written) clock.followWall();\n",
    ground: seed(16),
    tells: ["I3"],
  },
  {
    name: "silence-is-health",
    what: "A probe that has not reported yet keeps nobody from converging.",
    file: `${EFFECTS}/host/health.ts`,
    find: '  if (evidence === undefined) return { what, reason: "has not reported yet", until: null };\n',
    replace: "  if (evidence === undefined) return null;\n",
    ground: seed(1),
    tells: ["I3"],
  },
  {
    name: "observe-probe-gates",
    what: "A probe in mode `observe` counts as one in mode `enforce`.",
    file: `${EFFECTS}/host/health.ts`,
    find: 'export const gates = (probe: DeclaredProbe): boolean => probe.mode === "enforce";\n',
    replace: 'export const gates = (probe: DeclaredProbe): boolean => probe.mode !== "disabled";\n',
    ground: scenario("forgotten-in-soak"),
    tells: ["I3"],
  },
  {
    name: "recovered-by-closure",
    what: "A switch counts as done as soon as its closure runs, whatever its unit still does.",
    file: `${EFFECTS}/host/observe.ts`,
    find: '    case "running":\n      return NOTHING;\n    case "exited":\n',
    replace:
      '    case "running":\n      return runs ? completed(state, null, now) : NOTHING;\n    case "exited":\n',
    ground: scenario("restarted-in-switch"),
    tells: ["I2"],
  },
  {
    name: "timer-survives-supersession",
    what: "A newer dispatch leaves a soaking record in force, with its timers.",
    file: `${EFFECTS}/host/transition.ts`,
    find: '  return older.kind === "Pending" || isSettled(older) ? older : { ...older, supersededBy: by };\n',
    replace:
      '  return isSettled(older) || older.kind === "Soaking" ? older : { ...older, supersededBy: by };\n',
    ground: scenario("superseded-while-soaking"),
    tells: ["one-under-way", "I1", "I2"],
  },
  {
    name: "unproven-rollback",
    what: "Whatever runs at the acknowledgement is taken as good to return to.",
    file: `${AGENT}/decide/dispatch.ts`,
    find: "running !== null && (isFirst || goods.includes(running)) ? running : knownGood;\n",
    replace: "running ?? knownGood;\n",
    ground: scenario("superseded-then-ill"),
    tells: ["I1"],
  },
  {
    name: "way-back-staged",
    what: "For the next boot the closure to return to is staged, and not the one that the release names.",
    file: `${AGENT}/activation/switchTask.ts`,
    find: "stageBoot(record.targetClosure, task.signal)",
    replace: "stageBoot(record.rollbackTarget ?? record.targetClosure, task.signal)",
    ground: seed(105),
    tells: ["I1", "I14"],
  },
  {
    name: "rollback-not-looked-at",
    what: "A rollback whose unit is gone is reported as complete, whatever runs.",
    file: `${EFFECTS}/host/observe.ts`,
    find: "  if (isAllOn(seen, rollbackTarget))\n    return happened({\n",
    replace:
      '  if (isAllOn(seen, rollbackTarget) || (purpose === "rollback" && unit.kind !== "none"))\n    return happened({\n',
    ground: scenario("rebooted-in-rollback"),
    tells: ["I2"],
  },
  {
    name: "no-probe-file-is-health",
    what: "A closure whose probe file is missing has nothing to pass but the built-in probe.",
    file: `${AGENT}/probes/topology.ts`,
    find: '    return [...builtIns, { declared: builtIn(PROBE_TOPOLOGY, "probe-topology"), run }];\n',
    replace: "    void [run, PROBE_TOPOLOGY];\n    return builtIns;\n",
    ground: scenario("no-probe-file"),
    tells: ["I3"],
  },
  {
    name: "policy-for-switches-only",
    what: "What the policy says of failures is done when a switch fails, and not when health does.",
    file: `${EFFECTS}/host/cells.ts`,
    find: '  const owed = policyApplied === "rollback-and-halt" && state.rollbackTarget !== null && !untouched;\n',
    replace:
      '  const owed = policyApplied === "rollback-and-halt" && state.rollbackTarget !== null && !untouched && cause === "activation";\n',
    ground: seed(2),
    tells: ["I3"],
  },
  {
    name: "first-failure-fails",
    what: "One failed probe is taken for a failure that has lasted.",
    file: `${EFFECTS}/host/health.ts`,
    find: "      at: later(addSecs(evidence.statusSince, healthFailureThresholdSecs), grace),\n",
    replace: "      at: later(evidence.statusSince, grace),\n",
    ground: seed(2),
    tells: ["I3"],
  },
  {
    name: "rollback-waits-to-be-known",
    what: "An agent rolls back only when the control plane has taken what it reported, so a host that is cut off stays ill.",
    file: `${AGENT}/agent.ts`,
    find: "  const workers = workersOf(parts, mailbox, () => heartbeats.ask());\n",
    replace: `  const own = workersOf(parts, mailbox, () => heartbeats.ask());
  const fireRollback: typeof own.activation.fireRollback = (rolloutId) => {
    if (journal.outbox.counts().unacknowledged === 0) own.activation.fireRollback(rolloutId);
    else timer.after(1000, () => fireRollback(rolloutId));
  };
  const workers = { ...own, activation: { ...own.activation, fireRollback } };
`,
    ground: seed(17),
    tells: ["I11"],
  },
];
