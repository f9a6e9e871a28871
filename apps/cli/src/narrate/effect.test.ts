import {
  EFFECT_PHASE,
  type Effect,
  type EffectKind,
  FIRST_ATTEMPT,
  instant,
  type OutboundAgentEvent,
  parseChannel,
  parseChannelRef,
  parseClosureHash,
  parseHostName,
  parseProbeName,
  rolloutId,
} from "@nixwave/effects";
import { expect, test } from "vitest";
import { NARRATE, narrate } from "./effect.ts";
import { EVENT_WORDS } from "./event.ts";

function known<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const host = known(parseHostName("web-1"));
const channel = known(parseChannel("stable"));
const rollout = rolloutId(channel, known(parseChannelRef("9f3c2ab".padEnd(40, "0"))));
const closure = known(parseClosureHash(`${"5kxq1".padEnd(32, "0")}-web-os-2`));
const at = instant(Date.parse("2026-11-24T09:41:42.000Z"));
const failed: OutboundAgentEvent = {
  kind: "Failed",
  failedAt: at,
  sustainedDurationSecs: 60,
  failingProbes: [known(parseProbeName("http-app"))],
  policyApplied: "rollback-and-halt",
};

const ONE_OF_EACH: { readonly [K in EffectKind]: Extract<Effect, { kind: K }> } = {
  LocalFireSwitch: { kind: "LocalFireSwitch", rolloutId: rollout, target: closure },
  LocalFireRollbackTo: { kind: "LocalFireRollbackTo", rolloutId: rollout, closure },
  LocalResetProbeCache: { kind: "LocalResetProbeCache", rolloutId: rollout },
  LocalEmitEvent: { kind: "LocalEmitEvent", rolloutId: rollout, payload: failed, durable: true },
  RemoteQueueDispatch: {
    kind: "RemoteQueueDispatch",
    host,
    rolloutId: rollout,
    targetClosure: closure,
    soakDueAt: at,
  },
  RemoteInsertQuarantine: { kind: "RemoteInsertQuarantine", channel, closure },
  RemoteOpenRolloutRecord: { kind: "RemoteOpenRolloutRecord", rolloutId: rollout, channel, host },
  RemoteAppendEventLog: { kind: "RemoteAppendEventLog", host, rolloutId: rollout, payload: failed },
  RecordTransition: {
    kind: "RecordTransition",
    host,
    rolloutId: rollout,
    from: "Soaking",
    to: "Failed",
    at,
  },
  EmitMetric: {
    kind: "EmitMetric",
    name: "nixwave_host_transitions_total",
    labels: [
      ["from", "Soaking"],
      ["to", "Failed"],
    ],
    value: 1,
  },
  EmitLog: {
    kind: "EmitLog",
    level: "warn",
    target: "host",
    message: "failed its health\u001B[2J",
    fields: [["host", "web-1"]],
  },
};

test("each of the eleven effects is said in one line", () => {
  const said = Object.values(ONE_OF_EACH).map((effect) =>
    narrate(effect, { now: at, timeZone: "UTC" }),
  );
  expect(said).toMatchInlineSnapshot(`
    [
      "switch to 5kxq1…-web-os-2 for stable@9f3c2ab",
      "roll back to 5kxq1…-web-os-2, undoing stable@9f3c2ab",
      "drop old probe results and start the probes anew for stable@9f3c2ab",
      "put into the outbox, fsynced at once: failed its health after 1:00: http-app (rollback-and-halt)",
      "queue a dispatch: web-1 may move to 5kxq1…-web-os-2 of stable@9f3c2ab, soaked about 09:41:42",
      "quarantine 5kxq1…-web-os-2 on stable",
      "open the record of web-1 in stable@9f3c2ab",
      "append to the log: web-1 failed its health after 1:00: http-app (rollback-and-halt)",
      "note that web-1 went from Soaking to Failed in stable@9f3c2ab",
      "count 1 in nixwave_host_transitions_total from=Soaking to=Failed",
      "log warn host: failed its health·[2J host=web-1",
    ]
  `);
  expect(said.every((line) => !line.includes("\n"))).toBe(true);
  expect(Object.keys(NARRATE)).toEqual(Object.keys(EFFECT_PHASE));
  expect(new Set(said).size).toBe(11);
});

test("a host without a way back has either nothing to undo or nothing to go back to", () => {
  const acked = (currentClosureAtDispatch: typeof closure | null) =>
    EVENT_WORDS.DispatchAck(
      {
        kind: "DispatchAck",
        attempt: FIRST_ATTEMPT,
        dispatchedAt: at,
        soakDueAt: at,
        previous: null,
        currentClosureAtDispatch,
        rollbackTarget: null,
        ackedAt: at,
      },
      null,
    );
  expect(acked(closure)).toBe("acknowledged attempt 1; it runs the target already");
  expect(acked(null)).toBe(
    "acknowledged attempt 1; nothing ran before it that it could go back to",
  );
});
