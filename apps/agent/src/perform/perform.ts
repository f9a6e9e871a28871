import { inPhase, interpret, type LocalEffect, type SharedEffect } from "@nixwave/effects";
import type { Ask, Decision, Step } from "../decide/decision.ts";
import type { Crash } from "../ports.ts";
import { PERFORM, type PerformContext } from "./handlers.ts";

/** What the sources are asked for; each returns at once, and answers with an input. */
interface Asked {
  verify(ask: Extract<Ask, { kind: "Verify" }>): void;
  pinKnownGood(ask: Extract<Ask, { kind: "PinKnownGood" }>): void;
  heartbeat(): void;
  countWithheld(): void;
}

export interface Performers extends PerformContext {
  readonly crash: Crash;
  readonly asked: Asked;
}

const inPerform = inPhase<LocalEffect | SharedEffect, "perform">("perform");

/**
 * Begins what the decision asks for. Once it is committed, no failure may be taken for a disk that refuses, or the input
 * would be taken twice: it ends the process, and the next one finds what is owed.
 */
export function perform(decision: Decision, to: Performers): void {
  try {
    beginAll(decision, to);
  } catch (cause) {
    throw new Error("an effect could not be begun", { cause });
  }
}

/** Workers of a state that was left are called off first, so that none outlives it. */
function beginAll(decision: Decision, to: Performers): void {
  for (const step of decision.steps) leave(step, to);
  for (const effect of decision.steps.flatMap((step) => step.effects)) {
    if (!inPerform(effect)) continue;
    to.crash.at(`before-perform-${effect.kind}`);
    interpret(PERFORM, effect, to);
    to.crash.at(`after-perform-${effect.kind}`);
  }
  for (const ask of decision.asks) tell(ask, to);
}

function leave({ before, record }: Step, to: Performers): void {
  if (before === null || before === record) return;
  const still =
    record !== null && record.supersededBy === null && record.attempt === before.attempt;
  if (before.kind === "Activating" && !(still && record.kind === "Activating"))
    to.activation.cancel();
  if (before.kind === "Soaking" && !(still && record.kind === "Soaking")) to.probes.stop();
}

function tell(ask: Ask, to: Performers): void {
  switch (ask.kind) {
    case "Verify":
      return to.asked.verify(ask);
    case "Observe":
      return to.activation.observe(ask.rolloutId);
    case "StopUnit":
      return to.activation.stopUnit(ask.rolloutId);
    case "PinKnownGood":
      return to.asked.pinKnownGood(ask);
    case "Heartbeat":
      return to.asked.heartbeat();
    case "CountWithheld":
      return to.asked.countWithheld();
  }
}
