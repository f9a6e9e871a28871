import {
  type Instant,
  inPhase,
  interpret,
  type LocalEffect,
  type SharedEffect,
} from "@nixwave/effects";
import type { Decision, Step } from "../decide/decision.ts";
import type { Change } from "../journal/change.ts";
import type { Journal } from "../journal/journal.ts";
import { COMMIT } from "./handlers.ts";

const inCommit = inPhase<LocalEffect | SharedEffect, "commit">("commit");

/**
 * One transaction for all that an input decided: a new journal first, then the records with their lines, then what is
 * known of the host, and the steady clock. Nothing is written where nothing was decided.
 */
export function commit(journal: Journal, decision: Decision, now: Instant): boolean {
  const { steps, changes } = decision;
  if (changes.length === 0 && !steps.some(isWritten)) return false;
  journal.commit(syncOf(decision), (tx) => {
    for (const step of steps) {
      const { record, before, acknowledged } = step;
      // The row comes before its lines, because the stream's last hash is kept in it.
      if (record !== null && record !== before) tx.putRecord(record, acknowledged);
      for (const effect of step.effects)
        if (inCommit(effect)) interpret(COMMIT, effect, { tx, record });
    }
    for (const change of changes) tx.apply(change);
    tx.setSteadyNow(now);
  });
  return true;
}

const isWritten = (step: Step): boolean =>
  (step.record !== null && step.record !== step.before) || step.effects.some(inCommit);

/** Losing any other change in a power cut would be a fact forgotten; an acknowledgement is merely given again. */
const mayWait = (change: Change): boolean => change.kind === "LinesAcked";

function syncOf({ steps, changes }: Decision): "full" | "normal" {
  if (!changes.every(mayWait)) return "full";
  const records = steps.filter(isWritten);
  const lines = records.flatMap((step) =>
    step.effects.filter((effect) => effect.kind === "LocalEmitEvent"),
  );
  const undated = records.length > 0 && lines.length === 0;
  return undated || lines.some((line) => line.durable) ? "full" : "normal";
}
