import { type Handlers, type InPhase, interpret, type SharedEffect } from "@nixwave/effects";
import type { Draft } from "../commit/draft.ts";
import type { Crash, Logger, Notices } from "../ports.ts";
import type { WriterMetrics } from "./metrics.ts";

export interface PerformContext {
  readonly metrics: WriterMetrics;
  readonly logger: Logger;
  readonly notices: Notices;
  readonly crash: Crash;
}

/** The control plane's interpreter of perform effects. Lost with a crash after the commit, which a counter and a log line may be. */
const PERFORM_HANDLERS: Handlers<InPhase<SharedEffect, "perform">, PerformContext, void> = {
  EmitMetric(effect, { metrics }) {
    metrics.count(effect);
  },
  EmitLog({ level, target, message, fields }, { logger }) {
    logger.log(level, message, { target, ...Object.fromEntries(fields) });
  },
};

/** What follows a commit, before anybody is answered. Each part may be lost with the process: clients ask again. */
export function perform(draft: Draft, context: PerformContext): void {
  const { crash, notices, metrics } = context;
  crash.point("before-metrics");
  if (draft.duplicates > 0) metrics.eventsDuplicated(draft.duplicates);
  for (const secs of draft.acknowledgedSecs) metrics.dispatchAcknowledged(secs);
  for (const effect of draft.perform)
    if (effect.kind === "EmitMetric") interpret(PERFORM_HANDLERS, effect, context);
  crash.point("after-metrics");
  crash.point("before-logs");
  for (const effect of draft.perform)
    if (effect.kind === "EmitLog") interpret(PERFORM_HANDLERS, effect, context);
  crash.point("after-logs");
  crash.point("before-wake");
  for (const host of draft.wakes) notices.dispatchReady(host);
  notices.committed(draft.memory.head.next, draft.rollouts);
  crash.point("after-wake");
}
