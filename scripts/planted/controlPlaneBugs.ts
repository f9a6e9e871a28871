import type { Bug } from "./bugs.ts";

const EFFECTS = "packages/effects/src";
const CP = "apps/cp/src";

const seed = (number: number): Bug["ground"] => ({ kind: "seed", seed: number });
const scenario = (name: string): Bug["ground"] => ({ kind: "scenario", name });

/** Mistakes in what plans, counts, hands out and acknowledges. */
export const CONTROL_PLANE_BUGS: readonly Bug[] = [
  {
    name: "pause-gate-fails-open",
    what: "The gate `paused` takes a pause without an end for no pause.",
    file: `${EFFECTS}/plan/gates.ts`,
    find: "  if (pause === null) return null;\n",
    replace: "  if (pause === null || pause.until === null) return null;\n",
    ground: scenario("paused-between-waves"),
    tells: ["I7/I8"],
  },
  {
    name: "quarantine-not-loaded",
    what: "After a restart the control plane plans with the quarantines that came since.",
    file: `${CP}/store/memory.ts`,
    find: "  for (const quarantine of loaded.quarantines) fleet.apply(quarantine);\n",
    replace: "",
    ground: scenario("retried-after-restart"),
    tells: ["I7/I8", "I13"],
  },
  {
    name: "acknowledged-before-commit",
    what: "Whoever sent a batch is answered before the batch is committed.",
    file: `${CP}/commit/settle.ts`,
    find: '  crash.point("before-commit");\n',
    replace:
      '  for (const deliver of turn.deliveries) deliver();\n  for (let jobs = 0; jobs < 50; jobs += 1) await Promise.resolve();\n  crash.point("before-commit");\n',
    ground: seed(1),
    tells: ["I6"],
  },
  {
    name: "slot-forgotten",
    what: "A dispatch that nobody has answered yet holds no slot of a budget.",
    file: `${EFFECTS}/plan/member.ts`,
    find: "  if ((dispatch !== null && isOpen(dispatch)) || mayStillBeAcked(",
    replace: "  if (mayStillBeAcked(",
    ground: seed(1),
    tells: ["I9"],
  },
  {
    name: "wave-of-skipped-hosts",
    what: "A wave is complete though each of its hosts was passed over and none has shown its health.",
    file: `${EFFECTS}/plan/counts.ts`,
    find: "complete: hosts > 0 && done === hosts && proven > 0 }",
    replace: "complete: hosts > 0 && done === hosts }",
    ground: scenario("first-wave-away"),
    tells: ["I8"],
  },
  {
    name: "redelivered-into-halt",
    what: "A gate that closes withdraws no dispatch that was handed out, so it is delivered again into a halted rollout.",
    file: `${EFFECTS}/plan/decide.ts`,
    find: '  if (block === null || dispatch === null) return { kind: "rests" };\n',
    replace:
      '  if (block === null || dispatch === null || dispatch.state === "handed-out")\n    return { kind: "rests" };\n',
    ground: seed(25),
    tells: ["I7/I8"],
  },
  {
    name: "halt-counts-one-too-few",
    what: "A rollout halts only when its failures are more than one above what its policy bears.",
    file: `${EFFECTS}/rollout/cells.ts`,
    find: '  if (input.to !== "Failed") return rollout;\n  return input.failures > input.maxFailures ? halt',
    replace:
      '  if (input.to !== "Failed") return rollout;\n  return input.failures > input.maxFailures + 1 ? halt',
    ground: seed(2),
    tells: ["I8"],
  },
  {
    name: "attempt-not-raised",
    what: "A host that has forgotten its journal is owed the attempt that it has forgotten, not the next.",
    file: `${EFFECTS}/plan/hostInputs.ts`,
    find: "attemptDue > attempt ? attemptDue : nextAttempt(attempt);\n",
    replace: "attemptDue > attempt ? attemptDue : attempt;\n",
    ground: scenario("forgotten-in-soak"),
    tells: ["I14", "I4", "I8", "no-bug"],
  },
  {
    name: "chain-not-checked",
    what: "The hash of the line before is not compared, so two histories of one stream are taken as one.",
    file: `${CP}/commit/agentEvents.ts`,
    find: "    if (seq === end.lastSeq && hash !== end.lastHash) return line;\n    if (seq !== nextSeq(end.lastSeq)) continue;\n    if (prev !== end.lastHash) return line;\n",
    replace:
      "    if (seq !== nextSeq(end.lastSeq)) continue;\n    if (prev === undefined) return line;\n",
    ground: seed(45),
    tells: ["I4", "I14", "I6"],
  },
  {
    name: "row-not-written",
    what: "A commit forgets the rows of marks, which are in the log all the same.",
    file: `${CP}/store/sqlite.ts`,
    find: "    for (const change of batch.changes) writeChange(sql, change);\n",
    replace:
      '    for (const change of batch.changes)\n      if (change.change.kind !== "MarksChanged") writeChange(sql, change);\n',
    ground: seed(30),
    tells: ["I5"],
  },
  {
    name: "lost-host-not-counted",
    what: "A host that is lost on its way halts no rollout, however few failures its policy bears.",
    file: `${EFFECTS}/rollout/cells.ts`,
    find: '  return input.failures > input.maxFailures ? halt(rollout, "failures", now) : rollout;\n}\n\nexport function hostChangedWhileRunning(',
    replace:
      "  void [input, now];\n  return rollout;\n}\n\nexport function hostChangedWhileRunning(",
    ground: scenario("dies-in-switch"),
    tells: ["I8"],
  },
  {
    name: "sorted-by-arrival",
    what: "Hosts of a wave are planned in the order in which the release happens to list them.",
    file: `${EFFECTS}/plan/releaseIndex.ts`,
    find: "release.hosts.toSorted((a, b) => a.wave - b.wave || compareNames(a.host, b.host));",
    replace: "release.hosts.toSorted((a, b) => a.wave - b.wave);",
    ground: seed(1),
    tells: ["I13"],
  },
  {
    name: "channel-edge-opens-early",
    what: "A channel goes on while the one before it is still rolling its current release out.",
    file: `${EFFECTS}/plan/gates.ts`,
    find: '  return kind === "Completed" ? null : kind;\n',
    replace: '  return kind === "Completed" || kind === "Active" ? null : kind;\n',
    ground: seed(6),
    tells: ["I7/I8"],
  },
  {
    name: "host-edge-ignored",
    what: "A host goes before the one that is signed to go first, if only that one is listed.",
    file: `${EFFECTS}/plan/gates.ts`,
    find: "    if (gating !== undefined && isProven(gating)) continue;\n",
    replace: "    if (gating !== undefined && [isProven].length > 0) continue;\n",
    ground: seed(4),
    tells: ["I8"],
  },
  {
    name: "replay-gate-fails-open",
    what: "A control plane that has lost its log dispatches before its hosts were heard.",
    file: `${EFFECTS}/plan/gates.ts`,
    find: "  if (replay === null) return null;\n",
    replace: "  if (replay === null || unreplayed.size > 0) return null;\n",
    ground: seed(4),
    tells: ["I7"],
  },
  {
    name: "replayed-in-a-failed-commit",
    what: "Who was replayed in a batch that could not be stored counts as replayed after it.",
    file: `${CP}/store/memory.ts`,
    find: "  to.gatesAt = from.gatesAt;\n",
    replace:
      '  to.gatesAt = from.gatesAt;\n  to.heldTaken = from.heldTaken;\n  for (const host of from.replayed) {\n    to.replayed.add(host);\n    to.fleet.apply({ kind: "HostReplayed", host });\n  }\n',
    ground: seed(10_347),
    tells: ["I7"],
  },
  {
    name: "halted-by-one-too-few",
    what: "A rollout is halted by the last failure that its policy bears.",
    file: `${EFFECTS}/rollout/cells.ts`,
    find: '  return input.failures > input.maxFailures ? halt(rollout, "failures", now) : rollout;\n}\n\nexport function hostChangedWhileRunning(',
    replace:
      '  return input.failures > 0 ? halt(rollout, "failures", now) : rollout;\n}\n\nexport function hostChangedWhileRunning(',
    ground: seed(90),
    tells: ["I8"],
  },
];
