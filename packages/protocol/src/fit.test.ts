import { instant, type OutboundAgentEvent, type ProbeResult } from "@nixwave/effects";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EVENT_SCHEMAS, eventSchema, PROBES_MAX, STDERR_TAIL_BYTES_MAX } from "./event.ts";
import { fitEvent } from "./fit.ts";
import * as ids from "./ids.ts";
import { decodeLine, encodeLine, LINE_BYTES_MAX } from "./line.ts";
import { wireOf } from "./wire.fixture.ts";

const longest = {
  host: ids.hostName.parse(Array.from({ length: 4 }, () => "h".repeat(62)).join(".")),
  rolloutId: ids.rolloutIdText.parse(`${"c".repeat(64)}@${"0".repeat(40)}`),
  seq: ids.seq.parse(Number.MAX_SAFE_INTEGER),
  prev: ids.sha256Text.parse("0".repeat(64)),
};
/** Whether an event makes a line that the CP takes. */
const sent = (event: OutboundAgentEvent) => decodeLine(encodeLine({ ...longest, event }));

const failed = (stderrTail: string): OutboundAgentEvent => ({
  kind: "RollbackFailed",
  exitCode: 1,
  stderrTail,
  failedAt: instant(1),
});
const probed = (failureReason: string | null, reasons: readonly string[]): ProbeResult => ({
  kind: "ProbeResult",
  probeName: ids.probeName.parse("p".repeat(128)),
  mode: "enforce",
  status: "fail",
  observedAt: instant(1),
  failureReason,
  subResults: reasons.map((overrideReason, index) => ({
    controlId: ids.controlId.parse(`AC-${index}`),
    status: index % 50 === 49 ? "fail" : "pass",
    framework: "nist-800-53",
    article: null,
    effectiveMode: "enforce",
    overrideReason,
  })),
});

test("an event of any texts fits into a line once it is fitted", () => {
  const text = fc.string({ unit: "binary", maxLength: 9000, size: "max" });
  const events = fc.oneof(
    text.map(failed),
    fc
      .tuple(fc.option(text), fc.array(text, { maxLength: 300 }))
      .map(([why, all]) => probed(why, all)),
  );
  fc.assert(
    fc.property(events, (event) => {
      const fitted = fitEvent(event);
      expect(sent(fitted)).toMatchObject({ ok: true, value: { event: { kind: event.kind } } });
      expect(fitEvent(fitted)).toEqual(fitted);
    }),
    { numRuns: 60 },
  );
});

test("what fits is left alone", () => {
  const kinds = fc.oneof(...Object.values(EVENT_SCHEMAS).map((schema) => wireOf(schema)));
  fc.assert(
    fc.property(kinds, (wire) => {
      const event = eventSchema.parse(wire);
      if (sent(event).ok) expect(fitEvent(event)).toEqual(event);
    }),
    { numRuns: 60 },
  );
});

test("a unit's output keeps its end, however its characters are written", () => {
  const escapes = "\u001b".repeat(STDERR_TAIL_BYTES_MAX);
  const fitted = fitEvent(failed(`${escapes}the last words`));
  expect(fitted).toMatchObject({ stderrTail: expect.stringMatching(/the last words$/) });
  expect(sent(fitted).ok).toBe(true);
});

test("of too many sub-results the failing ones stay, and what is left out is said", () => {
  const fitted = fitEvent(
    probed(
      "two controls fail",
      Array.from({ length: 256 }, () => "r".repeat(500)),
    ),
  );
  expect(fitted).toMatchObject({
    failureReason: expect.stringMatching(/^\d+ of 256 sub-results .*; two/),
  });
  const kept = fitted.kind === "ProbeResult" ? (fitted.subResults ?? []) : [];
  expect(kept.filter(({ status }) => status === "fail")).toHaveLength(5);
});

test("the largest topology and the longest list of failing probes fit as they are", () => {
  const names = Array.from({ length: PROBES_MAX }, (_, index) =>
    ids.probeName.parse(`${"p".repeat(125)}${100 + index}`),
  );
  const bootId = ids.bootId.parse("b".repeat(64));
  const probes = names.map((probeName) => ({
    probeName,
    kind: "k".repeat(24),
    mode: "disabled" as const,
    intervalSecs: 86_399.5,
  }));
  const topology: OutboundAgentEvent = {
    kind: "ProbeTopologyDeclared",
    probes,
    bootId,
    declaredAt: instant(1),
  };
  expect(sent(topology).ok).toBe(true);
  expect(encodeLine({ ...longest, event: topology }).length).toBeLessThanOrEqual(LINE_BYTES_MAX);
  const failing: OutboundAgentEvent = {
    kind: "Failed",
    failedAt: instant(1),
    sustainedDurationSecs: 60,
    failingProbes: names,
    policyApplied: "rollback-and-halt",
  };
  expect(sent(failing).ok).toBe(true);
});
