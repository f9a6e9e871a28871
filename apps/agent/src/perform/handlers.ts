import type {
  EmitLog,
  EmitMetric,
  Handlers,
  InPhase,
  LocalEffect,
  SharedEffect,
} from "@nixwave/effects";
import type { ActivationWorker, ProbeWorker } from "./worker.ts";

/** Whom perform handlers tell. All of them return at once. */
export interface PerformContext {
  readonly activation: ActivationWorker;
  readonly probes: ProbeWorker;
  readonly metrics: { count(metric: EmitMetric): void };
  readonly logs: { write(line: EmitLog): void };
}

/** After the commit: each may be lost in a crash, and is found owed again, or be done twice. */
export const PERFORM: Handlers<
  InPhase<LocalEffect | SharedEffect, "perform">,
  PerformContext,
  void
> = {
  LocalFireSwitch: ({ rolloutId }, { activation }) => {
    activation.fireSwitch(rolloutId);
  },
  LocalFireRollbackTo: ({ rolloutId }, { activation }) => {
    activation.fireRollback(rolloutId);
  },
  LocalResetProbeCache: ({ rolloutId }, { probes }) => {
    probes.reset(rolloutId);
  },
  EmitMetric: (effect, { metrics }) => {
    metrics.count(effect);
  },
  EmitLog: (effect, { logs }) => {
    logs.write(effect);
  },
};
