import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nextAttempt } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { describe, expect, test } from "vitest";
import { OLD } from "../world/machine.fixture.ts";
import { stage } from "../world/stage.fixture.ts";

// One host, its agent and a control plane under a virtual clock; the journal is a real one.

const NEW = closure("new");
const on = stage();

describe("restarts", () => {
  test("a reboot while soaking starts without evidence, and still converges (hazard 46)", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    await on.world.pass(30);
    await on.world.kill();
    on.world.machine.reboot("boot-2");
    await on.world.time.pass(20);
    on.world.start();
    await on.world.pass(2);
    expect(on.world.record(release)).toMatchObject({
      kind: "Soaking",
      topology: { bootId: "boot-2" },
    });
    expect(on.world.inputs.filter((kind) => kind === "Booted")).toHaveLength(2);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.expectParity(release);
    expect(on.story(release).filter((kind) => kind === "ProbeTopologyDeclared")).toHaveLength(2);
  });

  test("a restart in the middle of a switch takes its outcome, and fires nothing again (hazards 48 and 53)", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 60, healthy: true });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.world.passUntil(() => on.world.machine.fired.length === 1, 60);
    await on.world.kill();
    await on.world.time.pass(10);
    on.world.start();
    await on.becomes(release, "Converged");
    expect(on.world.machine.fired).toEqual(["switch new"]);
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("numbers go on where they were, without a gap or a second use (hazards 3 and 13)", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    await on.world.pass(20);
    await on.world.kill();
    on.world.start();
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    const seqs = on.world.cp.log.map(({ line }) => Number(line.seq));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  test("a machine that was set back begins a new journal instead of numbering twice", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    const { journalId } = on.world.journal.facts();
    const record = on.world.record(release);
    if (record === null) throw new Error("there is a record");
    await on.world.kill();
    // The disk is that of before the second attempt, whose unit still shows that there was one.
    const attempt = nextAttempt(record.attempt);
    const unit = {
      rolloutId: release.rolloutId,
      journalId,
      attempt,
      purpose: "switch",
      tryNo: 1,
    } as const;
    on.world.machine.addUnit(unit, { kind: "exited", code: 0 });
    on.world.start();
    await on.world.pass(1);
    expect(on.world.journal.facts().journalId).not.toBe(journalId);
    expect(on.world.record(release)).toBeNull();
    expect(on.world.journal.facts().knownGood).toEqual([OLD]);
  });
});

describe("journals", () => {
  test("a deleted journal is begun anew, knows the known-good closure from its pin, and answers a new attempt", async () => {
    on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 5, healthy: false });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    await on.world.kill();
    rmSync(on.stateDir, { recursive: true });
    on.world.start();
    await on.world.pass(2);
    expect(on.world.record(release)).toBeNull();
    // The running closure is the unproven one: it must not become known good by forgetting (hazard 49).
    on.world.cp.dispatch(release, 2);
    await on.world.passUntil(() => on.world.record(release) !== null, 60);
    expect(on.world.record(release)).toMatchObject({ attempt: 2, rollbackTarget: OLD });
    await on.becomes(release, "Reverted");
    expect(on.world.machine.system.running).toBe(OLD);
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("a corrupt journal is set aside, not deleted, and not acted on (hazard 15)", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    const { journalId } = on.world.journal.facts();
    await on.world.kill();
    writeFileSync(
      join(on.stateDir, "agent.db"),
      "this is no database, but it is long enough to be read as one".repeat(100),
    );
    on.world.start();
    expect(on.world.journal.setAside).toContain("corrupt");
    expect(existsSync(on.world.journal.setAside ?? "")).toBe(true);
    expect(on.world.journal.facts().journalId).not.toBe(journalId);
    await on.world.pass(90);
    expect(on.world.record(release)).toBeNull();
  });

  test.each(["old-journal", "set-back"] as const)(
    "an agent that is told %s forgets its records, but not what it knows of the host",
    async (code) => {
      const release = on.world.cp.release(NEW);
      on.world.cp.dispatch(release);
      await on.becomes(release, "Soaking");
      const { journalId, newestCreatedAt } = on.world.journal.facts();
      on.world.cp.answerNext.push(code);
      await on.world.passUntil(() => on.world.journal.facts().journalId !== journalId, 120);
      expect(on.world.record(release)).toBeNull();
      expect(on.world.journal.facts()).toMatchObject({ newestCreatedAt, knownGood: [OLD] });
      on.world.cp.dispatch(release, 2);
      await on.becomes(release, "Converged");
      await on.world.pass(5);
      on.expectParity(release);
    },
  );
});

describe("restored control planes", () => {
  test("one that lost its database is told everything of the newest rollout again", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    const before = on.story(release);
    const mirror = on.world.cp.record(release);
    on.world.cp.forget(release);
    await on.world.passUntil(() => on.world.cp.record(release)?.kind === "Converged", 300);
    expect(on.story(release)).toEqual(before);
    expect(on.world.cp.record(release)).toEqual(mirror);
  });

  test("a log that goes back is said, and the highest head stays", async () => {
    await on.world.pass(5);
    on.world.cp.logHead = { offset: 90, hash: "1".repeat(64) };
    await on.world.pass(120);
    on.world.cp.logHead = { offset: 40, hash: "2".repeat(64) };
    await on.world.pass(120);
    expect(on.world.logs.map(({ message }) => message)).toContain(
      "the control plane was set back, or lies",
    );
    expect(on.world.journal.facts().logHead?.offset).toBe(90);
  });

  test("a refused event is set aside, visible, and stops nothing (hazard 1)", async () => {
    on.world.cp.refuse = (line) => (line.event.kind === "ProbeObservedFirst" ? "bad-event" : null);
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    expect(on.world.cp.record(release)?.kind).toBe("Converged");
    const { refused } = on.world.journal.outbox.counts();
    expect(refused).toBe(2);
    expect(on.world.journal.outbox.refused()[0]).toMatchObject({
      kind: "ProbeObservedFirst",
      code: "bad-event",
    });
  });
});
