import { describe, expect, test } from "vitest";
import { parseBootId } from "../ids.ts";
import { addSecs, type Instant } from "../time.ts";
import { observe, type Seen, type UnitSeen } from "./observe.ts";
import { after, BOOT_1, eventsFor, NEW, OLD, POLICY, RECORDS, START } from "./records.fixture.ts";
import type { HostRollout } from "./state.ts";
import { supersede } from "./transition.ts";

const BOOT_2 = (() => {
  const parsed = parseBootId("boot-2");
  if (!parsed.ok) throw new Error(parsed.error.expected);
  return parsed.value;
})();

const none: UnitSeen = { kind: "none" };
const running: UnitSeen = { kind: "running" };
const killed: UnitSeen = { kind: "killed" };
const unknown: UnitSeen = { kind: "unknown" };
const exited = (code: number): UnitSeen => ({ kind: "exited", code });
const on = (
  closure: Seen["runningClosure"],
  unit: UnitSeen,
  purpose: Seen["purpose"] = "switch",
): Seen => ({
  bootId: BOOT_1,
  runningClosure: closure,
  profileClosure: closure,
  bootClosure: closure,
  unit,
  purpose,
  stderrTail: "",
});

const soon = addSecs(START, 100);
const soaked = addSecs(START, 1200);
const realiseLate = addSecs(START, POLICY.realiseTimeoutSecs);
const switchLate = addSecs(START, POLICY.activationTimeoutSecs);
const fresh = after(RECORDS.Pending, eventsFor(RECORDS.Pending).DispatchAck);
const thrice = after(
  RECORDS.Activating,
  eventsFor(RECORDS.Activating).ActivationStarted,
  eventsFor(RECORDS.Activating).ActivationStarted,
);
const undeclared = after(
  fresh,
  eventsFor(fresh).ActivationStarted,
  eventsFor(fresh).ActivationCompleted,
);
const owed = after(RECORDS.Soaking, eventsFor(RECORDS.Soaking).Failed);
const triedInVain = after(RECORDS.Failed, eventsFor(RECORDS.Failed).RollbackFailed);
const halted: HostRollout = { ...RECORDS.Failed, rollback: "none" };

/** The answer in one word: the event's kind (with its phase), or the effects' kinds, or nothing. */
function answer(state: HostRollout, seen: Seen, now: Instant): string {
  const { event, effects } = observe(state, seen, now);
  if (event?.kind === "ActivationFailed")
    return `ActivationFailed ${event.phase}${event.untouched ? " untouched" : ""}`;
  return event?.kind ?? (effects.map((effect) => effect.kind).join(", ") || "nothing");
}

describe("observe: the first row that fits", () => {
  test.each<readonly [string, HostRollout, Seen, Instant, string]>([
    [
      "a unit at work is left alone, though the target runs already",
      RECORDS.Activating,
      on(NEW, running),
      soon,
      "nothing",
    ],
    [
      "even past its deadline: stopping it is due's",
      RECORDS.Activating,
      on(NEW, running),
      switchLate,
      "nothing",
    ],
    [
      "exit 0 and the target runs",
      RECORDS.Activating,
      on(NEW, exited(0)),
      soon,
      "ActivationCompleted",
    ],
    [
      "exit 4: switched, the probes will judge",
      RECORDS.Activating,
      on(NEW, exited(4)),
      soon,
      "ActivationCompleted",
    ],
    [
      "exit 0 and something else runs",
      RECORDS.Activating,
      on(OLD, exited(0)),
      soon,
      "ActivationFailed verify untouched",
    ],
    [
      "exit 100: the worker stages the boot",
      RECORDS.Activating,
      on(OLD, exited(100)),
      soon,
      "LocalFireSwitch",
    ],
    [
      "exit 100, and staging took too long",
      RECORDS.Activating,
      on(OLD, exited(100)),
      switchLate,
      "ActivationFailed timeout untouched",
    ],
    ["exit 1", RECORDS.Activating, on(OLD, exited(1)), soon, "ActivationFailed switch untouched"],
    [
      "exit 1 with the profile moved is not untouched",
      RECORDS.Activating,
      { ...on(OLD, exited(1)), profileClosure: NEW },
      soon,
      "ActivationFailed switch",
    ],
    ["killed", RECORDS.Activating, on(NEW, killed), soon, "ActivationFailed switch"],
    [
      "killed at its deadline",
      RECORDS.Activating,
      on(NEW, killed),
      switchLate,
      "ActivationFailed timeout",
    ],
    ["not started, no unit", fresh, on(OLD, none), soon, "LocalFireSwitch"],
    [
      "not started, realising took too long",
      fresh,
      on(OLD, none),
      realiseLate,
      "ActivationFailed realise untouched",
    ],
    [
      "not started, and the target happens to run: no proof (hazard 15)",
      fresh,
      on(NEW, none),
      soon,
      "LocalFireSwitch",
    ],
    [
      "a new boot runs the target",
      RECORDS.Activating,
      on(NEW, unknown),
      soon,
      "ActivationCompleted",
    ],
    [
      "a new boot runs the target, the profile does not agree",
      RECORDS.Activating,
      { ...on(NEW, unknown), profileClosure: OLD },
      soon,
      "LocalFireSwitch",
    ],
    [
      "a new boot runs something else",
      RECORDS.Activating,
      on(OLD, unknown),
      soon,
      "LocalFireSwitch",
    ],
    [
      "the third start came to nothing",
      thrice,
      on(OLD, unknown),
      soon,
      "ActivationFailed switch untouched",
    ],
    ["deferred, same boot", RECORDS.Deferred, on(NEW, none), soon, "nothing"],
    [
      "deferred, a new boot runs the target",
      RECORDS.Deferred,
      { ...on(NEW, unknown), bootId: BOOT_2 },
      soon,
      "ActivationCompleted",
    ],
    [
      "deferred, a new boot runs something else (hazard 52)",
      RECORDS.Deferred,
      { ...on(OLD, unknown), bootId: BOOT_2 },
      soon,
      "ActivationFailed verify untouched",
    ],
    ["soaked and healthy", RECORDS.Soaking, on(NEW, none), soaked, "Converged"],
    ["not soaked yet", RECORDS.Soaking, on(NEW, none), soon, "LocalResetProbeCache"],
    [
      "soaked, but nothing was declared (hazard 37)",
      undeclared,
      on(NEW, none),
      soaked,
      "LocalResetProbeCache",
    ],
    [
      "soaked, on another boot than the evidence (hazard 46)",
      RECORDS.Soaking,
      { ...on(NEW, none), bootId: BOOT_2 },
      soaked,
      "LocalResetProbeCache",
    ],
    ["soaking, and something else runs", RECORDS.Soaking, on(OLD, none), soaked, "Failed"],
    ["rollback at work", RECORDS.Failed, on(OLD, running, "rollback"), soon, "nothing"],
    [
      "a switch still at work: the rollback stops it first",
      owed,
      on(NEW, running),
      soon,
      "LocalFireRollbackTo",
    ],
    [
      "all three are the rollback target",
      RECORDS.Failed,
      on(OLD, exited(0), "rollback"),
      soon,
      "RollbackComplete",
    ],
    [
      "running is, boot default is not (hazard 49)",
      RECORDS.Failed,
      { ...on(OLD, exited(0), "rollback"), bootClosure: NEW },
      soon,
      "RollbackFailed",
    ],
    [
      "its unit ended unreported",
      RECORDS.Failed,
      on(NEW, killed, "rollback"),
      soon,
      "RollbackFailed",
    ],
    [
      "no unit and past its deadline",
      RECORDS.Failed,
      on(NEW, none, "rollback"),
      addSecs(START, 2000),
      "RollbackFailed",
    ],
    [
      "it can't be undone live: the worker stages the boot first",
      RECORDS.Failed,
      { ...on(NEW, exited(100), "rollback"), profileClosure: OLD },
      soon,
      "LocalFireRollbackTo",
    ],
    [
      "it can't be undone live, and the boot is staged",
      RECORDS.Failed,
      { ...on(NEW, exited(100), "rollback"), profileClosure: OLD, bootClosure: OLD },
      soon,
      "RollbackFailed",
    ],
    [
      "it can't be undone live, and the boot could not be staged in time",
      RECORDS.Failed,
      on(NEW, exited(100), "rollback"),
      addSecs(START, 2000),
      "RollbackFailed",
    ],
    [
      "the boot that was staged",
      triedInVain,
      { ...on(OLD, unknown, "rollback"), bootId: BOOT_2 },
      soon,
      "RollbackComplete",
    ],
    [
      "a reboot took the unit",
      RECORDS.Failed,
      on(NEW, unknown, "rollback"),
      soon,
      "LocalFireRollbackTo",
    ],
    [
      "tried in vain before: again",
      triedInVain,
      on(NEW, exited(1), "rollback"),
      soon,
      "LocalFireRollbackTo",
    ],
    ["no rollback owed", halted, on(NEW, none), soon, "nothing"],
    ["Pending", RECORDS.Pending, on(NEW, none), soon, "nothing"],
    ["Converged", RECORDS.Converged, on(OLD, none), soon, "nothing"],
    ["Reverted", RECORDS.Reverted, on(NEW, none), soon, "nothing"],
    [
      "superseded",
      supersede(RECORDS.Soaking, RECORDS.Soaking.rolloutId),
      on(OLD, none),
      soon,
      "nothing",
    ],
  ])("%s", (_, state, seen, now, expected) => {
    expect(answer(state, seen, now)).toBe(expected);
  });

  test("whatever it answers is legal in the state that it answers for (hazard 50)", () => {
    const units = [none, running, killed, unknown, exited(0), exited(1), exited(4), exited(100)];
    for (const state of [...Object.values(RECORDS), fresh, thrice, undeclared, owed, triedInVain]) {
      for (const unit of units)
        for (const closure of [OLD, NEW, null])
          for (const purpose of ["switch", "rollback"] as const) {
            for (const bootId of [BOOT_1, BOOT_2])
              for (const now of [soon, soaked, switchLate, realiseLate]) {
                const { event } = observe(state, { ...on(closure, unit, purpose), bootId }, now);
                if (event !== null) expect(() => after(state, event)).not.toThrow();
              }
          }
    }
  });
});
