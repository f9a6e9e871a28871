import { FIRST_ATTEMPT, type Release } from "@nixwave/effects";
import { closure, journal as journalOf, rollout } from "@nixwave/testkit";
import { describe, expect, test } from "vitest";
import { OLD } from "../world/machine.fixture.ts";
import { stage } from "../world/stage.fixture.ts";

// One host, its agent and a control plane under a virtual clock; the journal is a real one.

const NEW = closure("new");
const on = stage();

describe("dispatches", () => {
  test("a newer release supersedes one that soaks, and says which stream came before (hazard 44)", async () => {
    const first = on.world.cp.release(NEW);
    on.world.cp.dispatch(first);
    await on.becomes(first, "Soaking");
    await on.world.pass(20);
    const second = on.world.cp.release(closure("newer"));
    on.world.cp.dispatch(second);
    await on.becomes(second, "Converged");
    expect(on.world.record(first)).toMatchObject({
      kind: "Soaking",
      supersededBy: second.rolloutId,
    });
    const ack = on.world.cp.log.find(({ line }) => line.rolloutId === second.rolloutId)?.line.event;
    expect(ack).toMatchObject({
      kind: "DispatchAck",
      previous: { rolloutId: first.rolloutId },
      rollbackTarget: OLD,
    });
    await on.world.pass(5);
    on.expectParity(first);
    on.expectParity(second);
  });

  test("a dispatch that comes again is answered with no event (hazard 10)", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    const acks = () => on.story(release).filter((kind) => kind === "DispatchAck").length;
    expect(acks()).toBe(1);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(200);
    expect(acks()).toBe(1);
    expect(on.world.machine.fired).toEqual(["switch new"]);
  });

  test("an older release than the newest acknowledged one is dropped (I12)", async () => {
    const older = on.world.cp.release(NEW);
    const newer = on.world.cp.release(closure("newer"));
    on.world.cp.dispatch(newer);
    await on.becomes(newer, "Converged");
    on.world.cp.dispatch(older);
    await on.world.pass(60);
    expect(on.world.record(older)).toBeNull();
    expect(on.story(older)).toEqual([]);
  });

  test("nothing is acknowledged while a unit of a former journal runs", async () => {
    const release = on.world.cp.release(NEW);
    const journalId = journalOf("ff");
    const unit = {
      rolloutId: rollout("stable@77"),
      journalId,
      attempt: FIRST_ATTEMPT,
      purpose: "switch",
      tryNo: 1,
    } as const;
    on.world.machine.addUnit(unit, { kind: "running" });
    on.world.cp.dispatch(release);
    await on.world.pass(60);
    expect(on.world.record(release)).toBeNull();
    on.world.machine.endUnits({ kind: "exited", code: 0 });
    await on.becomes(release, "Converged");
  });

  test("a release whose bytes are not what names them is rejected, and the reason names the file", async () => {
    const release = on.world.cp.release(NEW);
    const head = `stable/${release.ref}.json`;
    on.world.cp.files.set(head, new TextEncoder().encode("{}"));
    on.world.cp.dispatch(release);
    await on.world.passUntil(() => on.story(release).length > 0, 300);
    expect(on.world.cp.log[0]?.line.event).toMatchObject({
      kind: "DispatchReject",
      code: "wrong-length-or-hash",
      retryable: true,
    });
    expect(on.world.record(release)?.lastReject?.reason).toContain(head);
    // Terms are the one thing that an agent does not know of a Pending record, until it has verified the release.
    expect(on.world.record(release)).toEqual({ ...on.world.cp.record(release), terms: null });
    expect(on.world.machine.fired).toEqual([]);
  });

  test("a dispatch whose target is not the release's is rejected, and the reason names the field (I1)", async () => {
    const release = on.world.cp.release(NEW);
    const forged: Release = {
      ...release,
      hosts: release.hosts.map((host) => ({ ...host, closure: closure("evil") })),
    };
    on.world.cp.dispatch(forged);
    await on.world.passUntil(() => on.story(release).length > 0, 60);
    expect(on.world.record(release)?.lastReject).toMatchObject({ retryable: false });
    expect(on.world.record(release)?.lastReject?.reason).toMatch(
      /^dispatch\.targetClosure is .*evil/,
    );
    expect(on.world.machine.fired).toEqual([]);
  });

  test("an agent with an unacknowledged rejection does not poll", async () => {
    await on.world.submit({ kind: "HoldSet", secs: 3600, reason: "maintenance" });
    on.world.cp.answerNext.push(...Array.from({ length: 20 }, () => "stopping" as const));
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    const isUnanswered = (): boolean => on.world.journal.outbox.hasUnacknowledged("DispatchReject");
    await on.world.passUntil(isUnanswered, 10);
    const polls = on.world.cp.polls.length;
    await on.world.pass(90);
    expect(isUnanswered()).toBe(true);
    expect(on.world.cp.polls.length).toBe(polls);
    on.world.cp.answerNext.length = 0;
    await on.world.passUntil(() => on.story(release).includes("DispatchReject"), 300);
    expect(on.world.record(release)?.lastReject).toMatchObject({ retryable: true });
    expect(on.world.record(release)?.lastReject?.reason).toContain("maintenance");
  });

  test("after a hold the same attempt is taken", async () => {
    await on.world.submit({ kind: "HoldSet", secs: 60, reason: "maintenance" });
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.world.passUntil(() => on.story(release).includes("DispatchReject"), 60);
    await on.world.pass(61);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("a slow verification renews the lease of what it holds", async () => {
    const release = on.world.cp.release(NEW);
    const head = `stable/${release.ref}.json`;
    const bytes = on.world.cp.files.get(head) ?? new Uint8Array();
    on.world.cp.files.delete(head);
    on.world.cp.dispatch(release);
    await on.world.pass(2);
    on.world.cp.files.set(head, bytes);
    await on.becomes(release, "Converged");
  });
});

describe("the console", () => {
  test("a rollback while soaking is a failure of the operator's, rolled back as any other", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking");
    const answer = await on.world.submit({ kind: "RollbackAsked", reason: "it smells" });
    expect(answer.outcome.kind).toBe("moved");
    await on.becomes(release, "Reverted");
    const failed = on.world.cp.log.find(({ line }) => line.event.kind === "Failed")?.line.event;
    expect(failed).toMatchObject({
      failingProbes: ["operator"],
      policyApplied: "rollback-and-halt",
    });
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("a rollback once converged is refused, with what to do instead", async () => {
    const release = on.world.cp.release(NEW);
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    const answer = await on.world.submit({ kind: "RollbackAsked", reason: "it smells" });
    expect(answer.outcome).toMatchObject({
      kind: "ignored",
      reason: expect.stringContaining("nixwave release"),
    });
    expect(on.kindOf(release)).toBe("Converged");
  });
});
