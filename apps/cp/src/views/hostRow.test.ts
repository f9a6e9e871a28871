import {
  FIRST_ATTEMPT,
  type HostRollout,
  type HostState,
  isSeq,
  noMarks,
  openHostRollout,
  type Seq,
} from "@nixwave/effects";
import type { Shown } from "@nixwave/protocol";
import {
  bootId,
  channelName,
  closure,
  hostName,
  journal,
  rollout,
  START,
  terms,
} from "@nixwave/testkit";
import { describe, expect, it } from "vitest";
import { shownOfRecord } from "./hostRow.ts";

const host = hostName("web-1");
const rolloutId = rollout("stable@a1");
const marks = noMarks(rolloutId, host);
const target = closure("new");
const lastSeq = ((n: number): Seq => {
  if (!isSeq(n)) throw new Error("a number from 1");
  return n;
})(3);

const pending = openHostRollout({
  rolloutId,
  host,
  channel: channelName("stable"),
  targetClosure: target,
  attempt: FIRST_ATTEMPT,
  dispatchedAt: START,
  soakDueAt: START,
  journalId: journal("1"),
  terms: null,
});
const acked = { ...pending, terms: terms(), rollbackTarget: closure("old"), lastSeq };
const failed = {
  ...acked,
  kind: "Failed",
  failedAt: START,
  cause: "health",
  failingProbes: [],
  policyApplied: "rollback-and-halt",
  rollbackStartedAt: null,
  rollbackTries: 0,
  rollbackRetryAt: null,
} as const;

const RECORDS: { readonly [S in HostState]: readonly [HostRollout, Shown][] } = {
  Pending: [
    [pending, "dispatched"],
    [{ ...pending, supersededBy: rollout("stable@b2") }, "waiting"],
  ],
  Activating: [
    [{ ...acked, kind: "Activating", ackedAt: START, startedAt: null, starts: 0 }, "activating"],
  ],
  Deferred: [
    [
      {
        ...acked,
        kind: "Deferred",
        ackedAt: START,
        component: "kernel",
        bootId: bootId("b"),
        deferredAt: START,
      },
      "deferred",
    ],
  ],
  Soaking: [
    [
      {
        ...acked,
        kind: "Soaking",
        activationCompletedAt: START,
        currentClosure: target,
        topology: null,
        probes: {},
      },
      "soaking",
    ],
  ],
  Converged: [
    [
      {
        ...acked,
        kind: "Converged",
        activationCompletedAt: START,
        convergedAt: START,
        currentClosure: target,
      },
      "converged",
    ],
  ],
  Failed: [
    [{ ...failed, rollback: "none" }, "failed"],
    [{ ...failed, rollback: "owed" }, "rolling-back"],
    [{ ...failed, rollback: "failed" }, "rolling-back"],
  ],
  Reverted: [
    [
      {
        ...acked,
        kind: "Reverted",
        failedAt: START,
        revertedAt: START,
        revertedTo: closure("old"),
        currentClosure: closure("old"),
      },
      "reverted",
    ],
  ],
};

describe("hazards 42 and 95: in a rollout that is over, a host's word is that of its record", () => {
  it.each(Object.values(RECORDS).flat())("$kind", (record, shown) => {
    expect(shownOfRecord(record, marks)).toBe(shown);
    expect(shownOfRecord(record, { ...marks, lostAt: START })).toBe("lost");
    expect(shownOfRecord(record, { ...marks, skippedAt: START })).toBe("skipped");
  });

  it("no record: waiting", () => expect(shownOfRecord(null, marks)).toBe("waiting"));
});
