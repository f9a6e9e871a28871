import { addSecs, type ClosureHash, due, type HostRollout, OPERATOR } from "@nixwave/effects";
import type { HostInput, OperatorInput, OutboxInput } from "../input.ts";
import type { Change } from "../journal/change.ts";
import { type Decision, decided, ignored, log, only, type Situation, step } from "./decision.ts";

type Input = HostInput | OutboxInput | OperatorInput;
type Of<K extends Input["kind"]> = Extract<Input, { kind: K }>;

/** Recovery is no path of its own: the first thing that happens to an unsettled record is that the machine is asked. */
export function booted(input: Of<"Booted">, at: Situation): Decision {
  const { current, facts } = at;
  const changes: Change[] = facts.booted ? [] : [{ kind: "FirstBooted" }];
  // A fresh journal has the known-good closure from its pin; an older one knows better.
  if (!facts.booted && facts.knownGood.length === 0 && input.pinned !== null)
    changes.push({ kind: "KnownGoodAdded", closure: input.pinned });
  if (input.strayUnit && at.facts.booted) {
    changes.push({ kind: "JournalBegun", journalId: input.nextJournalId });
    const line = log("warn", "journal begun anew: a unit runs here that no record knows");
    return decided([{ ...only(null, line), before: current }], { changes });
  }
  return decided([], {
    changes,
    asks: current === null ? [] : [{ kind: "Observe", rolloutId: current.rolloutId }],
  });
}

/** The timer does nothing but ask `due`. The machine was asked before: that is what the first input of a start does. */
export function timerFired(_input: Of<"TimerFired">, at: Situation): Decision {
  const { current, asked } = at;
  if (current === null) return ignored(null, "nothing is in force");
  const { rolloutId } = current;
  const what = due(current, at.run, at.now);
  if (what === null) return ignored(current, "nothing is due");
  if (what.kind === "Report") return decided([step(current, what.event, at.now)]);
  if (asked === "recently") return ignored(current, "the machine was asked a moment ago");
  switch (what.kind) {
    case "Observe":
      return ignored(current, "to be observed", { asks: [{ kind: "Observe", rolloutId }] });
    case "StopUnit":
      return ignored(current, "its unit is to be stopped", {
        asks: [{ kind: "StopUnit", rolloutId }],
      });
  }
}

/** Kept, so that a start without the network knows it too. Metadata that are signed anew are never older. */
export function metadataVerified({ signedAt }: Of<"MetadataVerified">, at: Situation): Decision {
  const { metadataSignedAt } = at.facts;
  if (metadataSignedAt !== null && signedAt <= metadataSignedAt)
    return ignored(at.current, "nothing newer was signed");
  return decided([], { changes: [{ kind: "MetadataSeen", signedAt }] });
}

/** An answer that outlived its journal says nothing about the lines of the next one, which have the same numbers. */
export function outboxAcked(input: Of<"OutboxAcked">, at: Situation): Decision {
  if (input.journalId !== at.facts.journalId)
    return ignored(null, "another journal was begun meanwhile");
  return decided([], { changes: [{ kind: "LinesAcked", streams: input.streams }] });
}

export function heartbeatAnswered(input: Of<"HeartbeatAnswered">, at: Situation): Decision {
  const changes: Change[] = [];
  const steps = [];
  if (Object.keys(input.replayFrom).length > 0) {
    changes.push({ kind: "LinesReplayed", from: input.replayFrom });
    const streams = Object.entries(input.replayFrom).map(([id, seq]) => `${id} from ${seq}`);
    steps.push(
      only(null, log("info", "streams are sent again", [["streams", streams.join(", ")]])),
    );
  }
  const { logHead } = input;
  const known = at.facts.logHead;
  if (logHead !== null && known !== null && logHead.offset < known.offset)
    steps.push(
      only(null, logWentBack(`its log goes back from ${known.offset} to ${logHead.offset}`)),
    );
  else if (logHead !== null && logHead.offset === known?.offset && logHead.hash !== known.hash)
    steps.push(only(null, logWentBack(`its log forks at ${known.offset}`)));
  else if (logHead !== null && logHead.offset !== known?.offset)
    changes.push({ kind: "LogHeadSeen", logHead });
  return decided(steps, { changes });
}

// The highest head is kept and goes out with every heartbeat: that is how the CP, and whoever watches it, learns of it.
const logWentBack = (what: string) =>
  log("warn", "the control plane was set back, or lies", [["what", what]]);

export function journalRefused(input: Of<"JournalRefused">, at: Situation): Decision {
  if (input.journalId !== at.facts.journalId)
    return ignored(null, "another journal was begun meanwhile");
  const line = log("warn", "journal begun anew: the control plane refused the former one", [
    ["code", input.code],
    ["former", input.journalId],
    ["journal", input.nextJournalId],
  ]);
  const { current } = at;
  return decided([{ ...only(null, line), before: current }], {
    changes: [{ kind: "JournalBegun", journalId: input.nextJournalId }],
  });
}

export function holdSet(input: Of<"HoldSet">, at: Situation): Decision {
  const { secs, reason } = input;
  const hold = secs === 0 ? null : { until: addSecs(at.now, secs), reason };
  const line = log("info", hold === null ? "hold ended" : "host held", [["reason", reason]]);
  return decided([only(null, line)], { changes: [{ kind: "HoldPut", hold }] });
}

/** At the console: the normal failure, and the normal rollback. */
export function rollbackAsked(input: Of<"RollbackAsked">, at: Situation): Decision {
  const { current } = at;
  if (current?.kind !== "Soaking") return ignored(current, noRollback(current, at.facts.knownGood));
  const policyApplied = current.terms.policy.onHealthFailure;
  const line = log("warn", "rollback asked at the console", [
    ["rollout", current.rolloutId],
    ["reason", input.reason],
  ]);
  const failed = step(
    current,
    {
      kind: "Failed",
      failedAt: at.now,
      sustainedDurationSecs: 0,
      failingProbes: [OPERATOR],
      policyApplied,
    },
    at.now,
  );
  return decided([only(current, line), failed]);
}

function noRollback(current: HostRollout | null, knownGood: readonly ClosureHash[]): string {
  switch (current?.kind) {
    case undefined:
      return `No rollout is under way here, so there is nothing to roll back. To leave the closure that runs, release another one${knownGood.length === 0 ? "" : ` (${knownGood.at(-1)} is known good)`}: nixwave release.`;
    case "Activating":
      return `${current.rolloutId} is still being activated. It fails or soaks by itself; ask again while it soaks, or hold the next ones: nixwave-agent hold.`;
    case "Deferred":
      return `${current.rolloutId} waits for the next boot and runs nowhere yet, so there is nothing to roll back. A newer release takes its place: nixwave release.`;
    case "Failed":
      return `${current.rolloutId} has failed, and its rollback is under way already: nixwave-agent status.`;
    case "Soaking":
    case "Pending":
    case "Converged":
    case "Reverted":
      return `${current.rolloutId} is ${current.kind}: nothing to roll back.`;
  }
}
