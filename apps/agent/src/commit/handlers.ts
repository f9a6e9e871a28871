import type { Handlers, HostRollout, InPhase, LocalEffect, SharedEffect } from "@nixwave/effects";
import type { Tx } from "../journal/journal.ts";

/** The transaction, and the record as the step has left it. */
export interface CommitContext {
  readonly tx: Tx;
  readonly record: HostRollout | null;
}

/** Effects of the transaction: they can't half-happen. */
export const COMMIT: Handlers<
  InPhase<LocalEffect | SharedEffect, "commit">,
  CommitContext,
  void
> = {
  LocalEmitEvent: ({ payload }, { tx, record }) => {
    if (record === null) throw new Error(`${payload.kind} was emitted for no record`);
    tx.appendLine(record, payload);
  },
  RecordTransition: ({ rolloutId, from, to, at }, { tx }) => {
    tx.addTransition({ rolloutId, from, to, at });
  },
};
