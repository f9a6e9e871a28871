import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FIRST_ATTEMPT, nextAttempt, type Release, secsBetween } from "@nixwave/effects";
import { closure, journal as journalOf, policy, probeName, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OLD } from "./world/machine.fixture.ts";
import { World } from "./world/world.fixture.ts";

// One host, its agent and a control plane under a virtual clock; the journal is a real one.

const NEW = closure("new");
let stateDir: string;
let world: World;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "nixwave-loop-"));
  world = new World(stateDir);
  world.start();
});
afterEach(async () => {
  await world.stop();
  rmSync(stateDir, { recursive: true, force: true });
  expect(world.broken).toEqual([]);
});

const kindOf = (release: Release): string | undefined => world.record(release)?.kind;
const becomes = (release: Release, kind: string, secsMax = 900): Promise<void> =>
  world.passUntil(() => kindOf(release) === kind, secsMax);

/** What the CP has logged of a rollout, in order. */
const story = (release: Release): readonly string[] =>
  world.cp.log
    .filter(({ rolloutId }) => rolloutId === release.rolloutId)
    .map(({ line }) => line.event.kind);

/** I4: for the same envelopes both sides hold equal records. */
function expectParity(release: Release): void {
  expect(world.cp.record(release)).toEqual(world.record(release));
}

describe("one rollout", () => {
  test("a good release converges when its soak is over, and both sides agree on it (hazards 37 and 39)", async () => {
    await world.pass(5);
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    await world.pass(5);
    expectParity(release);
    expect(world.machine.fired).toEqual(["switch new"]);
    expect(story(release).filter((kind) => !kind.startsWith("Probe"))).toEqual([
      "DispatchAck",
      "ActivationStarted",
      "ActivationCompleted",
      "Converged",
    ]);
    const record = world.record(release);
    if (record?.kind !== "Converged") throw new Error("it has converged");
    expect(secsBetween(record.activationCompletedAt, record.convergedAt)).toBeGreaterThanOrEqual(
      60,
    );
    expect(world.journal.facts().knownGood).toEqual([OLD, NEW]);
    expect(world.machine.pins.get("known-good")).toBe(NEW);
  });

  test("a host that already runs the target soaks first, and switches nothing (hazards 38 and 47)", async () => {
    const release = world.cp.release(OLD);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    expect(world.machine.fired).toEqual([]);
    expect(world.record(release)).toMatchObject({ rollbackTarget: null });
    await becomes(release, "Converged");
    expect(
      world.cp.log.find(({ line }) => line.event.kind === "ActivationStarted")?.line.event,
    ).toMatchObject({
      switchMethod: "none",
    });
    await world.pass(5);
    expectParity(release);
  });

  test("a bad one rolls itself back with the control plane gone, and says so when it is back (I11)", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Activating");
    await world.pass(2);
    world.cp.down = true;
    await becomes(release, "Reverted");
    expect(world.machine.system).toEqual({ running: OLD, profile: OLD, boot: OLD });
    expect(world.machine.fired).toEqual(["switch new", "rollback old"]);
    expect(story(release)).not.toContain("Failed");
    world.cp.down = false;
    await world.passUntil(() => story(release).includes("RollbackComplete"), 300);
    await world.pass(5);
    expectParity(release);
    expect(world.journal.facts().knownGood).toEqual([OLD]);
  });

  test("a switch that fails is rolled back too, whatever the profile says", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 1, secs: 5, healthy: true });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Reverted");
    expect(world.machine.system).toEqual({ running: OLD, profile: OLD, boot: OLD });
    await world.pass(5);
    expectParity(release);
  });

  test("a hung switch is stopped, seen to have ended, and rolled back", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 1e6, healthy: true });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Reverted", 1200);
    await world.pass(5);
    const failed = world.cp.log.find(({ line }) => line.event.kind === "ActivationFailed");
    expect(failed?.line.event).toMatchObject({ phase: "timeout" });
    expectParity(release);
  });
});

describe("what the release says", () => {
  test("under the policy halt nothing is rolled back by itself (hazard 43)", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    const policyOf = policy({ onHealthFailure: "halt", healthFailureThresholdSecs: 30 });
    const release = world.cp.release(NEW, { policy: policyOf });
    world.cp.dispatch(release);
    await becomes(release, "Failed");
    await world.pass(300);
    expect(world.record(release)).toMatchObject({
      kind: "Failed",
      rollback: "none",
      policyApplied: "halt",
    });
    expect(world.machine.fired).toEqual(["switch new"]);
    expectParity(release);
  });

  test.each([null, "{", '{"schemaVersion":2,"checks":[]}'])(
    "a closure whose probes read %j is not healthy (hazard 45)",
    async (probeFile) => {
      world.machine.probeFile = probeFile;
      const release = world.cp.release(NEW);
      world.cp.dispatch(release);
      await becomes(release, "Reverted");
      const failed = world.cp.log.find(({ line }) => line.event.kind === "Failed")?.line.event;
      expect(failed).toMatchObject({ failingProbes: ["probe-topology"] });
    },
  );

  test("a system that can't be swapped live is booted into, and soaks after the boot (hazard 52)", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 100, secs: 5, healthy: true });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Deferred");
    expect(world.machine.system).toMatchObject({ running: OLD, boot: NEW });
    await world.pass(300);
    expect(kindOf(release)).toBe("Deferred");
    await world.kill();
    world.machine.reboot("boot-2");
    world.start();
    await becomes(release, "Converged");
    await world.pass(5);
    expectParity(release);
  });
});

describe("workers", () => {
  test("one that hangs keeps the loop from nothing, and is called off in its time (hazard 61)", async () => {
    world.machine.realiseHangs = true;
    const policyOf = policy({ realiseTimeoutSecs: 120 });
    const release = world.cp.release(NEW, { policy: policyOf });
    world.cp.dispatch(release);
    await becomes(release, "Activating");
    await world.submit({ kind: "HoldSet", secs: 60, reason: "the loop answers" });
    expect(world.journal.facts().hold?.reason).toBe("the loop answers");
    await becomes(release, "Failed", 200);
    expect(world.record(release)).toMatchObject({ cause: "activation", rollback: "none" });
    await world.pass(5);
    expectParity(release);
  });

  test("a report about another attempt, journal or state changes nothing (hazards 5 and 15)", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    const record = world.record(release);
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
      await world.submit({
        ...report,
        of: { rolloutId, journalId, attempt: nextAttempt(attempt) },
      }),
      await world.submit({ ...report, of: { rolloutId, journalId: journalOf("ee"), attempt } }),
      await world.submit({ kind: "RollbackStarting", of: { rolloutId, journalId, attempt } }),
      await world.submit({
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
    expect(world.record(release)).toEqual(record);
  });
});

describe("restarts", () => {
  test("a reboot while soaking starts without evidence, and still converges (hazard 46)", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    await world.pass(30);
    await world.kill();
    world.machine.reboot("boot-2");
    await world.time.pass(20);
    world.start();
    await world.pass(2);
    expect(world.record(release)).toMatchObject({
      kind: "Soaking",
      topology: { bootId: "boot-2" },
    });
    expect(world.inputs.filter((kind) => kind === "Booted")).toHaveLength(2);
    await becomes(release, "Converged");
    await world.pass(5);
    expectParity(release);
    expect(story(release).filter((kind) => kind === "ProbeTopologyDeclared")).toHaveLength(2);
  });

  test("a restart in the middle of a switch takes its outcome, and fires nothing again (hazards 48 and 53)", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 60, healthy: true });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await world.passUntil(() => world.machine.fired.length === 1, 60);
    await world.kill();
    await world.time.pass(10);
    world.start();
    await becomes(release, "Converged");
    expect(world.machine.fired).toEqual(["switch new"]);
    await world.pass(5);
    expectParity(release);
  });

  test("numbers go on where they were, without a gap or a second use (hazards 3 and 13)", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    await world.pass(20);
    await world.kill();
    world.start();
    await becomes(release, "Converged");
    await world.pass(5);
    const seqs = world.cp.log.map(({ line }) => Number(line.seq));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  test("a machine that was set back begins a new journal instead of numbering twice", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    const { journalId } = world.journal.facts();
    const record = world.record(release);
    if (record === null) throw new Error("there is a record");
    await world.kill();
    // The disk is that of before the second attempt, whose unit still shows that there was one.
    const attempt = nextAttempt(record.attempt);
    const unit = {
      rolloutId: release.rolloutId,
      journalId,
      attempt,
      purpose: "switch",
      tryNo: 1,
    } as const;
    world.machine.addUnit(unit, { kind: "exited", code: 0 });
    world.start();
    await world.pass(1);
    expect(world.journal.facts().journalId).not.toBe(journalId);
    expect(world.record(release)).toBeNull();
    expect(world.journal.facts().knownGood).toEqual([OLD]);
  });
});

describe("journals", () => {
  test("a deleted journal is begun anew, knows the known-good closure from its pin, and answers a new attempt", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    await world.kill();
    rmSync(stateDir, { recursive: true });
    world.start();
    await world.pass(2);
    expect(world.record(release)).toBeNull();
    // The running closure is the unproven one: it must not become known good by forgetting (hazard 49).
    world.cp.dispatch(release, 2);
    await world.passUntil(() => world.record(release) !== null, 60);
    expect(world.record(release)).toMatchObject({ attempt: 2, rollbackTarget: OLD });
    await becomes(release, "Reverted");
    expect(world.machine.system.running).toBe(OLD);
    await world.pass(5);
    expectParity(release);
  });

  test("a corrupt journal is set aside, not deleted, and not acted on (hazard 15)", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    const { journalId } = world.journal.facts();
    await world.kill();
    writeFileSync(
      join(stateDir, "agent.db"),
      "this is no database, but it is long enough to be read as one".repeat(100),
    );
    world.start();
    expect(world.journal.setAside).toContain("corrupt");
    expect(existsSync(world.journal.setAside ?? "")).toBe(true);
    expect(world.journal.facts().journalId).not.toBe(journalId);
    await world.pass(90);
    expect(world.record(release)).toBeNull();
  });

  test.each(["old-journal", "set-back"] as const)(
    "an agent that is told %s forgets its records, but not what it knows of the host",
    async (code) => {
      const release = world.cp.release(NEW);
      world.cp.dispatch(release);
      await becomes(release, "Soaking");
      const { journalId, newestCreatedAt } = world.journal.facts();
      world.cp.answerNext.push(code);
      await world.passUntil(() => world.journal.facts().journalId !== journalId, 120);
      expect(world.record(release)).toBeNull();
      expect(world.journal.facts()).toMatchObject({ newestCreatedAt, knownGood: [OLD] });
      world.cp.dispatch(release, 2);
      await becomes(release, "Converged");
      await world.pass(5);
      expectParity(release);
    },
  );
});

describe("dispatches", () => {
  test("a newer release supersedes one that soaks, and says which stream came before (hazard 44)", async () => {
    const first = world.cp.release(NEW);
    world.cp.dispatch(first);
    await becomes(first, "Soaking");
    await world.pass(20);
    const second = world.cp.release(closure("newer"));
    world.cp.dispatch(second);
    await becomes(second, "Converged");
    expect(world.record(first)).toMatchObject({ kind: "Soaking", supersededBy: second.rolloutId });
    const ack = world.cp.log.find(({ line }) => line.rolloutId === second.rolloutId)?.line.event;
    expect(ack).toMatchObject({
      kind: "DispatchAck",
      previous: { rolloutId: first.rolloutId },
      rollbackTarget: OLD,
    });
    await world.pass(5);
    expectParity(first);
    expectParity(second);
  });

  test("a dispatch that comes again is answered with no event (hazard 10)", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    const acks = () => story(release).filter((kind) => kind === "DispatchAck").length;
    expect(acks()).toBe(1);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    await world.pass(200);
    expect(acks()).toBe(1);
    expect(world.machine.fired).toEqual(["switch new"]);
  });

  test("an older release than the newest acknowledged one is dropped (I12)", async () => {
    const older = world.cp.release(NEW);
    const newer = world.cp.release(closure("newer"));
    world.cp.dispatch(newer);
    await becomes(newer, "Converged");
    world.cp.dispatch(older);
    await world.pass(60);
    expect(world.record(older)).toBeNull();
    expect(story(older)).toEqual([]);
  });

  test("nothing is acknowledged while a unit of a former journal runs", async () => {
    const release = world.cp.release(NEW);
    const journalId = journalOf("ff");
    const unit = {
      rolloutId: rollout("stable@77"),
      journalId,
      attempt: FIRST_ATTEMPT,
      purpose: "switch",
      tryNo: 1,
    } as const;
    world.machine.addUnit(unit, { kind: "running" });
    world.cp.dispatch(release);
    await world.pass(60);
    expect(world.record(release)).toBeNull();
    world.machine.endUnits({ kind: "exited", code: 0 });
    await becomes(release, "Converged");
  });

  test("a release whose bytes are not what names them is rejected, and the reason names the file", async () => {
    const release = world.cp.release(NEW);
    const head = `stable/${release.ref}.json`;
    world.cp.files.set(head, new TextEncoder().encode("{}"));
    world.cp.dispatch(release);
    await world.passUntil(() => story(release).length > 0, 300);
    expect(world.cp.log[0]?.line.event).toMatchObject({ kind: "DispatchReject", retryable: false });
    expect(world.record(release)?.lastReject?.reason).toContain(head);
    // Terms are the one thing that an agent does not know of a Pending record, until it has verified the release.
    expect(world.record(release)).toEqual({ ...world.cp.record(release), terms: null });
    expect(world.machine.fired).toEqual([]);
  });

  test("a dispatch whose target is not the release's is rejected, and the reason names the field (I1)", async () => {
    const release = world.cp.release(NEW);
    const forged: Release = {
      ...release,
      hosts: release.hosts.map((host) => ({ ...host, closure: closure("evil") })),
    };
    world.cp.dispatch(forged);
    await world.passUntil(() => story(release).length > 0, 60);
    expect(world.record(release)?.lastReject).toMatchObject({ retryable: false });
    expect(world.record(release)?.lastReject?.reason).toMatch(/^dispatch\.targetClosure is .*evil/);
    expect(world.machine.fired).toEqual([]);
  });

  test("an agent with an unacknowledged rejection does not poll", async () => {
    await world.submit({ kind: "HoldSet", secs: 3600, reason: "maintenance" });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await world.passUntil(() => world.cp.polls.length === 1, 10);
    await world.submit({ kind: "TimerFired" });
    world.cp.answerNext.push(...Array.from({ length: 20 }, () => "stopping" as const));
    const polls = world.cp.polls.length;
    await world.pass(30);
    if (world.journal.outbox.hasUnacknowledged("DispatchReject"))
      expect(world.cp.polls.length - polls).toBeLessThanOrEqual(1);
    world.cp.answerNext.length = 0;
    await world.passUntil(() => story(release).includes("DispatchReject"), 300);
    expect(world.record(release)?.lastReject).toMatchObject({ retryable: true });
    expect(world.record(release)?.lastReject?.reason).toContain("maintenance");
  });

  test("after a hold the same attempt is taken", async () => {
    await world.submit({ kind: "HoldSet", secs: 60, reason: "maintenance" });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await world.passUntil(() => story(release).includes("DispatchReject"), 60);
    await world.pass(61);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    await world.pass(5);
    expectParity(release);
  });

  test("a slow verification renews the lease of what it holds", async () => {
    const release = world.cp.release(NEW);
    const head = `stable/${release.ref}.json`;
    const bytes = world.cp.files.get(head) ?? new Uint8Array();
    world.cp.files.delete(head);
    world.cp.dispatch(release);
    await world.pass(2);
    world.cp.files.set(head, bytes);
    await becomes(release, "Converged");
  });
});

describe("the console", () => {
  test("a rollback while soaking is a failure of the operator's, rolled back as any other", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Soaking");
    const answer = await world.submit({ kind: "RollbackAsked", reason: "it smells" });
    expect(answer.outcome.kind).toBe("moved");
    await becomes(release, "Reverted");
    const failed = world.cp.log.find(({ line }) => line.event.kind === "Failed")?.line.event;
    expect(failed).toMatchObject({
      failingProbes: ["operator"],
      policyApplied: "rollback-and-halt",
    });
    await world.pass(5);
    expectParity(release);
  });

  test("a rollback once converged is refused, with what to do instead", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    const answer = await world.submit({ kind: "RollbackAsked", reason: "it smells" });
    expect(answer.outcome).toMatchObject({
      kind: "ignored",
      reason: expect.stringContaining("nixwave release"),
    });
    expect(kindOf(release)).toBe("Converged");
  });
});

describe("rest", () => {
  test("in five minutes of rest the loop takes at most 25 inputs, before and after a rollout", async () => {
    await world.pass(5);
    world.inputs.length = 0;
    await world.pass(300);
    expect(world.inputs.length).toBeLessThanOrEqual(25);
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    await world.pass(5);
    world.inputs.length = 0;
    await world.pass(300);
    expect(world.inputs.length).toBeLessThanOrEqual(25);
  });

  test("a control plane that answers polls at once is not polled in a loop", async () => {
    world.cp.hurried = true;
    await world.pass(5);
    world.cp.polls.length = 0;
    await world.pass(300);
    expect(world.cp.polls.length).toBeLessThanOrEqual(25);
  });

  test("an agent whose machine goes down says so in its last heartbeat", async () => {
    await world.pass(5);
    expect(world.cp.leavings).toEqual([null]);
    await world.agent.stop("reboot");
    expect(world.cp.leavings).toEqual([null, "reboot"]);
  });

  test("with the control plane gone nothing is hot either, and each call backs off (hazard 80)", async () => {
    world.cp.down = true;
    world.inputs.length = 0;
    await world.pass(300);
    expect(world.inputs.length).toBeLessThanOrEqual(25);
    world.cp.down = false;
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
  });

  test("a rollback that fails is tried again on its schedule, not in a loop", async () => {
    world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    world.machine.behaviours.set(OLD, { exitCode: 1, secs: 5, healthy: true });
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await world.passUntil(() => world.machine.fired.length === 2, 300);
    await world.pass(20);
    expect(world.record(release)).toMatchObject({ kind: "Failed", rollback: "failed" });
    world.inputs.length = 0;
    await world.pass(300);
    expect(world.inputs.length).toBeLessThanOrEqual(25);
    world.machine.behaviours.delete(OLD);
    await becomes(release, "Reverted", 4000);
    await world.pass(5);
    expectParity(release);
  });
});

describe("restored control planes", () => {
  test("one that lost its database is told everything of the newest rollout again", async () => {
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    await world.pass(5);
    const before = story(release);
    const mirror = world.cp.record(release);
    world.cp.forget(release);
    await world.passUntil(() => world.cp.record(release)?.kind === "Converged", 300);
    expect(story(release)).toEqual(before);
    expect(world.cp.record(release)).toEqual(mirror);
  });

  test("a log that goes back is said, and the highest head stays", async () => {
    await world.pass(5);
    world.cp.logHead = { offset: 90, hash: "1".repeat(64) };
    await world.pass(120);
    world.cp.logHead = { offset: 40, hash: "2".repeat(64) };
    await world.pass(120);
    expect(world.logs.map(({ message }) => message)).toContain(
      "the control plane was set back, or lies",
    );
    expect(world.journal.facts().logHead?.offset).toBe(90);
  });

  test("a refused event is set aside, visible, and stops nothing (hazard 1)", async () => {
    world.cp.refuse = (line) => (line.event.kind === "ProbeObservedFirst" ? "bad-event" : null);
    const release = world.cp.release(NEW);
    world.cp.dispatch(release);
    await becomes(release, "Converged");
    await world.pass(5);
    expect(world.cp.record(release)?.kind).toBe("Converged");
    const { refused } = world.journal.outbox.counts();
    expect(refused).toBe(2);
    expect(world.journal.outbox.refused()[0]).toMatchObject({
      kind: "ProbeObservedFirst",
      code: "bad-event",
    });
  });
});
