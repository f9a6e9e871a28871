import { FIRST_ATTEMPT, type OutboundAgentEvent, openHostRollout } from "@nixwave/effects";
import { channelName, closure, hostName, journal, rollout, START, terms } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { failureOf } from "./failure.ts";

const record = {
  ...openHostRollout({
    rolloutId: rollout("stable@a1"),
    host: hostName("web-1"),
    channel: channelName("stable"),
    targetClosure: closure("new"),
    attempt: FIRST_ATTEMPT,
    dispatchedAt: START,
    soakDueAt: START,
    journalId: journal("1"),
    terms: null,
  }),
  kind: "Failed",
  terms: terms(),
  rollbackTarget: closure("old"),
  failedAt: START,
  cause: "activation",
  failingProbes: [],
  policyApplied: "rollback-and-halt",
  rollback: "failed",
  rollbackStartedAt: START,
  rollbackTries: 1,
  rollbackRetryAt: null,
} as const;

const broke: OutboundAgentEvent = {
  kind: "ActivationFailed",
  phase: "switch",
  untouched: false,
  exitCode: 1,
  stderrTail: "nginx does not start",
  failedAt: START,
};
const stuck: OutboundAgentEvent = {
  kind: "RollbackFailed",
  exitCode: null,
  stderrTail: "target-gone: no cache answers",
  failedAt: START,
};
const back: OutboundAgentEvent = {
  kind: "RollbackComplete",
  revertedToClosure: closure("old"),
  exitCode: 0,
  completedAt: START,
};

test.each([
  ["a rollback that failed does not hide what failed before it", [broke, stuck], stuck.stderrTail],
  ["one that went well later leaves nothing to say", [broke, stuck, back], null],
  ["none failed", [broke], null],
])("%s", (_, events, rollbackStderrTail) => {
  expect(failureOf(record, events)).toMatchObject({
    phase: "switch",
    stderrTail: broke.stderrTail,
    rollbackStderrTail,
  });
});
