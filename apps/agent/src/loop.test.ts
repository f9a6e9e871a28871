import { nextAttempt, secsBetween } from "@nixwave/effects";
import { closure, journal as journalOf, policy, probeName, rollout } from "@nixwave/testkit";
import { describe, expect, test } from "vitest";
import { OLD } from "./world/machine.fixture.ts";
import { stage } from "./world/stage.fixture.ts";

// One host, its agent and a control plane under a virtual clock; the journal is a real one.

const NEW = closure("new");
const on = stage();

describe("one rollout", () => {
  test("a good release converges when its soak is over, and both sides agree on it (hazards 37 and 39)", async () => {
    await on.world.pass(5);
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.expectParity(release);
    expect(on.world.machine.fired).toEqual(["switch new"]);
    expect(on.story(release).filter((kind) => !kind.startsWith("Probe"))).toEqual([
      "DispatchAck",
      "ActivationStarted",
      "ActivationCompleted",
      "Converged",
    ]);
    const record = on.world.record(release);
    if (record?.kind !== "Converged") throw new Error("it has converged");
    expect(secsBetween(record.activationCompletedAt, record.convergedAt)).toBeGreaterThanOrEqual(
      60,
    );
    expect(on.world.journal.facts().knownGood).toEqual([OLD, NEW]);
    expect(on.world.machine.pins.get("known-good")).toBe(NEW);
  });

  test("a host that already runs the target soaks first, and switches nothing (hazards 38 and 47)", async () => {
    const release = on.world.cp.release(OLD);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    expect(on.world.machine.fired).toEqual([]);
    expect(on.world.record(release)).toMatchObject({ rollbackTarget: null });
    await on.becomes(release, "Converged");
    expect(
      on.world.cp.log.find(({ line }) => line.event.kind === "ActivationStarted")?.line.event,
    ).toMatchObject({
      switchMethod: "none",
    });
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("a bad one rolls itself back with the control plane gone, and says so when it is back (I11, hazards 43 and 54)", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Activating");
    await on.world.pass(2);
    on.world.cp.down = true;
    await on.becomes(release, "Reverted");
    expect(on.world.machine.system).toEqual({ running: OLD, profile: OLD, boot: OLD });
    expect(on.world.machine.fired).toEqual(["switch new", "rollback old"]);
    expect(on.story(release)).not.toContain("Failed");
    on.world.cp.down = false;
    await on.world.passUntil(() => on.story(release).includes("RollbackComplete"), 300);
    await on.world.pass(5);
    on.expectParity(release);
    expect(on.world.journal.facts().knownGood).toEqual([OLD]);
  });

  test("a switch that fails is rolled back too, whatever the profile says", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 1, secs: 5, healthy: true });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Reverted");
    expect(on.world.machine.system).toEqual({ running: OLD, profile: OLD, boot: OLD });
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("a hung switch is stopped, seen to have ended, and rolled back", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 1e6, healthy: true });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Reverted", 1200);
    await on.world.pass(5);
    const failed = on.world.cp.log.find(({ line }) => line.event.kind === "ActivationFailed");
    expect(failed?.line.event).toMatchObject({ phase: "timeout" });
    on.expectParity(release);
  });
});

describe("what the release says", () => {
  test("under the policy halt nothing is rolled back by itself (hazard 43)", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    const policyOf = policy({ onHealthFailure: "halt", healthFailureThresholdSecs: 30 });
    const release = on.world.cp.release(NEW, { policy: policyOf });
    on.world.cp.dispatch(release);
    await on.becomes(release, "Failed");
    await on.world.pass(300);
    expect(on.world.record(release)).toMatchObject({
      kind: "Failed",
      rollback: "none",
      policyApplied: "halt",
    });
    expect(on.world.machine.fired).toEqual(["switch new"]);
    on.expectParity(release);
  });

  test.each([null, "{", '{"schemaVersion":2,"checks":[]}'])(
    "a closure whose probes read %j is not healthy (hazard 45)",
    async (probeFile) => {
      on.world.machine.probeFile = probeFile;
      const release = on.world.cp.release(NEW);
      on.world.cp.dispatch(release);
      await on.becomes(release, "Reverted");
      const failed = on.world.cp.log.find(({ line }) => line.event.kind === "Failed")?.line.event;
      expect(failed).toMatchObject({ failingProbes: ["probe-topology"] });
    },
  );

  test("a system that can't be swapped live is booted into, and soaks after the boot (hazard 52)", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 100, secs: 5, healthy: true });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Deferred");
    expect(on.world.machine.system).toMatchObject({ running: OLD, boot: NEW });
    await on.world.pass(300);
    expect(on.kindOf(release)).toBe("Deferred");
    await on.world.kill();
    on.world.machine.reboot("boot-2");
    on.world.start();
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.expectParity(release);
  });
});

describe("workers", () => {
  test("one that hangs keeps the loop from nothing, and is called off in its time (hazard 61)", async () => {
    on.world.machine.realiseHangs = true;
    const policyOf = policy({ realiseTimeoutSecs: 120 });
    const release = on.world.cp.release(NEW, { policy: policyOf });
    on.world.cp.dispatch(release);
    await on.becomes(release, "Activating");
    await on.world.submit({ kind: "HoldSet", secs: 60, reason: "the loop answers" });
    expect(on.world.journal.facts().hold?.reason).toBe("the loop answers");
    await on.becomes(release, "Failed", 200);
    expect(on.world.record(release)).toMatchObject({ cause: "activation", rollback: "none" });
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("a report about another attempt, journal or state changes nothing (hazards 5 and 15)", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    const record = on.world.record(release);
    if (record === null) throw new Error("there is a record");
    const { rolloutId, journalId, attempt } = record;
    const result = { probeName: probeName("http-app"), mode: "enforce", status: "fail" } as const;
    const report = {
      kind: "ProbeReported",
      ...result,
      failureReason: null,
      subResults: null,
    } as const;
    const stale = [
      await on.world.submit({
        ...report,
        of: { rolloutId, journalId, attempt: nextAttempt(attempt) },
      }),
      await on.world.submit({ ...report, of: { rolloutId, journalId: journalOf("ee"), attempt } }),
      await on.world.submit({ kind: "RollbackStarting", of: { rolloutId, journalId, attempt } }),
      await on.world.submit({
        ...report,
        of: { rolloutId: rollout("stable@99"), journalId, attempt },
      }),
    ];
    expect(stale.map(({ outcome }) => outcome.kind)).toEqual([
      "ignored",
      "ignored",
      "ignored",
      "ignored",
    ]);
    expect(on.world.record(release)).toEqual(record);
  });
});

describe("rest", () => {
  test("in five minutes of rest the loop takes at most 25 inputs, before and after a rollout", async () => {
    await on.world.pass(5);
    on.world.inputs.length = 0;
    await on.world.pass(300);
    expect(on.world.inputs.length).toBeLessThanOrEqual(25);
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.world.inputs.length = 0;
    await on.world.pass(300);
    expect(on.world.inputs.length).toBeLessThanOrEqual(25);
  });

  test("a control plane that answers polls at once is not polled in a loop", async () => {
    on.world.cp.hurried = true;
    await on.world.pass(5);
    on.world.cp.polls.length = 0;
    await on.world.pass(300);
    expect(on.world.cp.polls.length).toBeLessThanOrEqual(25);
  });

  test("an agent whose machine goes down says so in its last heartbeat", async () => {
    await on.world.pass(5);
    const leavings = () => on.world.cp.heartbeats.map(({ leaving }) => leaving);
    expect(leavings()).toEqual([null]);
    await on.world.agent.stop("reboot");
    expect(leavings()).toEqual([null, "reboot"]);
  });

  test("with the control plane gone nothing is hot either, and each call backs off (hazard 80)", async () => {
    on.world.cp.down = true;
    on.world.inputs.length = 0;
    await on.world.pass(300);
    expect(on.world.inputs.length).toBeLessThanOrEqual(25);
    on.world.cp.down = false;
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
  });

  test("a rollback that fails is no rollback: it is tried again on its schedule, not in a loop (hazard 51)", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    on.world.machine.behaviours.set(OLD, { exitCode: 1, secs: 5, healthy: true });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.world.passUntil(() => on.world.machine.fired.length === 2, 300);
    await on.world.pass(20);
    expect(on.world.record(release)).toMatchObject({ kind: "Failed", rollback: "failed" });
    on.world.inputs.length = 0;
    await on.world.pass(300);
    expect(on.world.inputs.length).toBeLessThanOrEqual(25);
    on.world.machine.behaviours.delete(OLD);
    await on.becomes(release, "Reverted", 4000);
    await on.world.pass(5);
    on.expectParity(release);
  });
});
