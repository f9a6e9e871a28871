import { expect, test } from "vitest";
import { FIRST_ATTEMPT, nextAttempt } from "../ids.ts";
import { channel, closure, host, idOf, journal, START } from "../plan/controlPlane.fixture.ts";
import { addSecs } from "../time.ts";
import type { Input } from "./input.ts";
import { ackMarks, stepMarks } from "./marks.ts";
import { type HostMarks, noMarks } from "./state.ts";

const rolloutId = idOf(channel("stable"), "a");
const web1 = host("web-1");
const of = { rolloutId, host: web1, at: START };
const who = { by: "ops-1", reason: "a look" };
const second = nextAttempt(FIRST_ATTEMPT);
const third = nextAttempt(second);
const none = noMarks(rolloutId, web1);
const owed = { rolloutId, host: web1, attempt: second };
const lifted: Input = {
  kind: "QuarantineLifted",
  ...who,
  at: START,
  channel: channel("stable"),
  closure: closure("common"),
  attempts: [owed],
};
const failed: Input = {
  kind: "HostStateChanged",
  ...of,
  attempt: FIRST_ATTEMPT,
  from: "Soaking",
  to: "Failed",
  failures: 1,
  reverted: 0,
  maxFailures: 0,
};
const count = { failures: 1, reverted: 0, maxFailures: 0 };
const cleared: Input = {
  kind: "OperatorCleared",
  ...who,
  rolloutId,
  at: START,
  forgiven: [web1],
  attempts: [owed],
};

const CASES: readonly [string, HostMarks, Input, Partial<HostMarks>][] = [
  ["skipped", none, { kind: "HostSkipped", ...of, reason: "offline" }, { skippedAt: START }],
  ["back", { ...none, skippedAt: START }, { kind: "HostReturned", ...of }, { skippedAt: null }],
  [
    "lost, which nobody has forgiven yet",
    { ...none, forgivenAt: START },
    { kind: "HostLost", ...of, ...count },
    { lostAt: START, forgivenAt: null },
  ],
  ["found", { ...none, lostAt: START }, { kind: "HostFound", ...of, ...count }, { lostAt: null }],
  [
    "forgotten",
    none,
    { kind: "HostForgot", ...of, journalId: journal("b"), attempt: second },
    { forgottenAt: START, attemptDue: second },
  ],
  [
    "failed again, after it was forgiven",
    { ...none, forgivenAt: START },
    failed,
    { forgivenAt: null },
  ],
  [
    "retried",
    none,
    { kind: "OperatorRetried", ...of, ...who, attempt: second },
    { attemptDue: second, retriedAt: START },
  ],
  ["cleared", none, cleared, { forgivenAt: START, attemptDue: second }],
  ["lifted", none, lifted, { attemptDue: second }],
];

test.each(CASES)("a host is %s", (_, before, input, change) => {
  expect(stepMarks(before, input)).toEqual({ ...before, ...change });
});

test.each(CASES)(
  "a host is %s: a second time changes nothing, and another host never",
  (_, before, input) => {
    const once = stepMarks(before, input);
    expect(stepMarks(once, input)).toBe(once);
    const other = noMarks(rolloutId, host("web-2"));
    expect(stepMarks(other, input)).toBe(other);
    const elsewhere = noMarks(idOf(channel("stable"), "b"), web1);
    expect(stepMarks(elsewhere, input)).toBe(elsewhere);
  },
);

test("an attempt owed never moves backwards (I12)", () => {
  const due = { ...none, attemptDue: third };
  expect(stepMarks(due, lifted)).toBe(due);
});

test("the acknowledgement of the attempt pays it and starts with a clean slate; an earlier one does not pay a later", () => {
  const all = { ...none, attemptDue: second, forgottenAt: START, forgivenAt: START };
  expect(ackMarks(all, second)).toEqual(none);
  expect(ackMarks(all, third)).toEqual(none);
  expect(ackMarks(all, FIRST_ATTEMPT).attemptDue).toBe(second);
  expect(ackMarks(none, second)).toBe(none);
  expect(ackMarks({ ...none, lostAt: addSecs(START, 1) }, second).lostAt).not.toBeNull();
});
