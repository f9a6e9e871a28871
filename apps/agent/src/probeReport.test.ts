import {
  addSecs,
  FIRST_ATTEMPT,
  type Instant,
  type ProbeMode,
  type ProbeStatus,
  type Soaking,
} from "@nixwave/effects";
import {
  bootId,
  channelName,
  closure,
  hostName,
  journal,
  probeName,
  rollout,
  START,
  terms,
} from "@nixwave/testkit";
import { expect, test } from "vitest";
import { step } from "./decide/decision.ts";
import { probeReport } from "./probeReport.ts";

const HTTP = probeName("http-app");

function soaking(mode: ProbeMode): Soaking {
  return {
    kind: "Soaking",
    rolloutId: rollout("stable@a1"),
    host: hostName("web-1"),
    channel: channelName("stable"),
    targetClosure: closure("new"),
    attempt: FIRST_ATTEMPT,
    dispatchedAt: START,
    soakDueAt: START,
    journalId: journal("1"),
    lastSeq: 0,
    lastReject: null,
    supersededBy: null,
    terms: terms({ probeReportSecs: 60 }),
    rollbackTarget: closure("old"),
    activationCompletedAt: START,
    currentClosure: closure("new"),
    topology: {
      probes: [{ probeName: HTTP, kind: "http", mode, intervalSecs: 10 }],
      bootId: bootId("boot-1"),
      declaredAt: START,
    },
    probes: {},
  };
}

/** Feeds one result each 10 s, and gives the kinds of event that each has made. */
function reported(
  mode: ProbeMode,
  statuses: readonly ProbeStatus[],
  outboxFull = false,
): readonly string[] {
  let state = soaking(mode);
  return statuses.map((status, index) => {
    const now: Instant = addSecs(START, 10 * (index + 1));
    const run = { probeName: HTTP, status, failureReason: null, subResults: null };
    const { events, withheld } = probeReport(state, run, outboxFull, now);
    for (const event of events) {
      const { record } = step(state, event, now);
      if (record?.kind === "Soaking") state = record;
    }
    return withheld ? "withheld" : events.map((event) => event.kind.replace("Probe", "")).join(" ");
  });
}

test("sameness is said once in probeReportSecs", () => {
  expect(
    reported("enforce", ["pass", "pass", "pass", "pass", "pass", "pass", "pass", "pass"]),
  ).toEqual(["ObservedFirst Result", "", "", "", "", "", "Result", ""]);
});

test("a change of an enforce probe is said at once, and its first failure once", () => {
  expect(reported("enforce", ["pass", "fail", "pass", "fail", "fail"])).toEqual([
    "ObservedFirst Result",
    "Result FailureFirst",
    "Result",
    "Result",
    "",
  ]);
});

test("an observe probe that flaps is said once in probeReportSecs", () => {
  expect(reported("observe", ["pass", "fail", "pass", "fail", "pass", "fail", "fail"])).toEqual([
    "ObservedFirst Result",
    "",
    "",
    "",
    "",
    "",
    "Result FailureFirst",
  ]);
});

test("a disabled or undeclared probe says nothing", () => {
  expect(reported("disabled", ["pass", "fail"])).toEqual(["", ""]);
  const run = {
    probeName: probeName("other"),
    status: "fail",
    failureReason: null,
    subResults: null,
  } as const;
  expect(probeReport(soaking("enforce"), run, false, START).events).toEqual([]);
});

test("at the cap observe probes fall silent and are counted; enforce ones go on, since silence would fail the host", () => {
  expect(reported("observe", ["pass", "pass"], true)).toEqual(["withheld", "withheld"]);
  expect(
    reported("enforce", ["pass", "pass", "pass", "pass", "pass", "pass", "pass"], true),
  ).toEqual(["ObservedFirst Result", "", "", "", "", "", "Result"]);
});

test("a first run within the millisecond of the activation proves nothing, and the next run is told at once", () => {
  const pass = { probeName: HTTP, status: "pass", failureReason: null, subResults: null } as const;
  const before = soaking("enforce");
  const first = probeReport(before, pass, false, START);
  const told = first.events.reduce((state: Soaking, event) => {
    const { record } = step(state, event, START);
    return record?.kind === "Soaking" ? record : state;
  }, before);
  const next = (secs: number) => probeReport(told, pass, false, addSecs(START, secs)).events.length;
  expect([next(0), next(10)]).toEqual([0, 1]);
});
