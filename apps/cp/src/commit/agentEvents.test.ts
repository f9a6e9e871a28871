import { explainHost, nextAttempt } from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import { journal, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { ack, releaseOf, TestAgent } from "../fleet.fixture.ts";
import { FIRST_OFFSET } from "../log/segment.ts";
import { offered, opened, seen, sent } from "../scenes.fixture.ts";
import { openReader } from "../store/reader.ts";

let bench: Bench;
let agent: TestAgent;
let offer: DispatchOffer;
beforeEach(async () => {
  bench = await openBench();
  agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  offer = await offered(bench, agent);
});
afterEach(async () => {
  await bench.close();
});

const record = () => bench.writer.fleet().record(offer.rolloutId, agent.host);
const lineCount = (): number =>
  Number(bench.db.prepare("SELECT coalesce(sum(count), 0) FROM log_segments").pluck().get());

test("a line sent again changes nothing and is acknowledged again", async () => {
  const lines = agent.goodRun(offer, bench.time.now);
  await sent(bench, agent, lines);
  const [before, count] = [record(), lineCount()];
  const again = await sent(bench, agent, lines);
  expect(again).toMatchObject({ streams: { [offer.rolloutId]: { ackedThrough: 6, refused: [] } } });
  expect(record()).toBe(before);
  expect(lineCount()).toBe(count);
});

test("a gap is answered with the number that is missing, and stops no other stream (hazard 7)", async () => {
  const [first = "", , third = ""] = agent.goodRun(offer, bench.time.now);
  const answer = await sent(bench, agent, [first, third]);
  expect(answer).toMatchObject({
    streams: { [offer.rolloutId]: { ackedThrough: 1, expected: 2, refused: [] } },
  });
  expect(record()).toMatchObject({ kind: "Activating", lastSeq: 1 });
});

test("streams of two rollouts have numbers of their own (hazard 8)", async () => {
  await sent(bench, agent, agent.goodRun(offer, bench.time.now));
  bench.time.pass(60);
  const { now } = bench.time;
  await seen(bench, await releaseOf({ waves: [["web-1"]], version: "newer", createdAt: now }));
  const next = await offered(bench, agent);
  await sent(bench, agent, agent.goodRun(next, now));
  const fleet = bench.writer.fleet();
  expect(fleet.record(next.rolloutId, agent.host)).toMatchObject({ kind: "Converged", lastSeq: 6 });
  expect(record()).toMatchObject({ kind: "Converged", lastSeq: 6 });
});

test("an unknown kind and a bad field use up their numbers and block nothing (hazard 6)", async () => {
  const accepted = agent.write(offer.rolloutId, ack(offer, bench.time.now));
  const odd = agent.write(offer.rolloutId, { kind: "RollbackStarted", startedAt: bench.time.now });
  const unknown = odd.replace('"RollbackStarted"', '"SomethingLater"');
  agent.streams.set(offer.rolloutId, [accepted, unknown]);
  const bad = agent
    .write(offer.rolloutId, { kind: "RollbackStarted", startedAt: bench.time.now })
    .replace("startedAt", "beganAt");
  agent.streams.set(offer.rolloutId, [accepted, unknown, bad]);
  const good = agent.write(offer.rolloutId, {
    kind: "ActivationStarted",
    startedAt: bench.time.now,
    switchMethod: "switch",
  });
  const answer = await sent(bench, agent, [accepted, unknown, bad, good]);
  expect(answer).toMatchObject({
    streams: {
      [offer.rolloutId]: {
        ackedThrough: 4,
        refused: [
          { seq: 2, code: "unknown-kind" },
          { seq: 3, code: "bad-event" },
        ],
      },
    },
  });
  expect(record()).toMatchObject({ kind: "Activating", lastSeq: 4, starts: 1 });
});

test("what the reducer refuses is told with its code, and logged as it came", async () => {
  const line = agent.write(offer.rolloutId, { kind: "RollbackStarted", startedAt: bench.time.now });
  const answer = await sent(bench, agent, [line]);
  expect(answer).toMatchObject({
    streams: {
      [offer.rolloutId]: { ackedThrough: 1, refused: [{ seq: 1, code: "illegal-in-state" }] },
    },
  });
});

test("a line is stored as it was received, byte for byte (hazard 64)", async () => {
  const spaced = agent
    .write(offer.rolloutId, ack(offer, bench.time.now))
    .replace('{"host"', '{ "x-later": 1, "host"');
  await sent(bench, agent, [spaced]);
  const reader = openReader(bench.path);
  const { lines } = reader.events(
    { host: agent.host, kind: "AgentEvent" },
    { from: FIRST_OFFSET, limit: 10 },
  );
  reader.close();
  expect(lines.map(({ line }) => JSON.parse(line).line)).toEqual([spaced]);
});

test("a rollout that nobody knows is acknowledged, with one row however often it is sent", async () => {
  const unknown = rollout("stable@ff");
  const line = agent.write(unknown, { kind: "RollbackStarted", startedAt: bench.time.now });
  const count = lineCount();
  for (let round = 0; round < 3; round++)
    expect(await sent(bench, agent, [line])).toMatchObject({
      streams: { [unknown]: { ackedThrough: 1, refused: [{ seq: 1, code: "unknown-rollout" }] } },
    });
  expect(lineCount()).toBe(count + 1);
});

test("a line without an address is named, and the others are taken", async () => {
  const line = agent.write(offer.rolloutId, ack(offer, bench.time.now));
  const answer = await sent(bench, agent, ["{", line]);
  expect(answer).toMatchObject({
    badLines: [{ line: 1 }],
    streams: { [offer.rolloutId]: { ackedThrough: 1 } },
  });
});

test("a batch of another host is refused whole (hazard 92)", async () => {
  const other = new TestAgent("web-2");
  const line = agent.write(offer.rolloutId, ack(offer, bench.time.now));
  expect(await sent(bench, other, [line])).toMatchObject({ kind: "refused", code: "wrong-host" });
  expect(record()?.kind).toBe("Pending");
});

test("a line that does not continue its stream refuses the batch whole and consumes nothing", async () => {
  const first = agent.write(offer.rolloutId, ack(offer, bench.time.now));
  await sent(bench, agent, [first]);
  const twin = new TestAgent("web-1");
  twin.write(offer.rolloutId, { kind: "RollbackStarted", startedAt: bench.time.now });
  const forked = twin.write(offer.rolloutId, {
    kind: "ActivationStarted",
    startedAt: bench.time.now,
    switchMethod: "switch",
  });
  const count = lineCount();
  expect(await sent(bench, twin, [forked])).toMatchObject({ kind: "refused", code: "set-back" });
  expect(lineCount()).toBe(count);
  expect(record()).toMatchObject({ lastSeq: 1 });
});

test("a new journal: what was unsettled is forgotten and tried once more; the old one is refused", async () => {
  await sent(bench, agent, [agent.write(offer.rolloutId, ack(offer, bench.time.now))]);
  const fresh = new TestAgent("web-1", "b");
  const before = bench.commits;
  expect((await bench.ask<"Heartbeat">(fresh.heartbeat())).kind).toBe("heard");
  expect(bench.commits).toBe(before + 1);
  const again = await offered(bench, fresh);
  expect(again).toMatchObject({ rolloutId: offer.rolloutId, attempt: 2 });
  expect(await bench.ask<"Heartbeat">(agent.heartbeat())).toMatchObject({
    kind: "refused",
    code: "old-journal",
  });
  await bench.reopen();
  expect(await bench.ask<"TakeDispatch">(agent.poll())).toMatchObject({ code: "old-journal" });
  await sent(bench, fresh, fresh.goodRun(again, bench.time.now));
  expect(record()).toMatchObject({
    kind: "Converged",
    attempt: 2,
    journalId: journal("b"),
    lastSeq: 6,
  });
});

test("an acknowledgement waits for the stream before it, while the agent still has it (Superseding 4)", async () => {
  const old = agent.goodRun(offer, bench.time.now);
  await sent(bench, agent, old.slice(0, 3));
  await bench.ask<"Heartbeat">(agent.heartbeat());
  bench.time.pass(60);
  const { now } = bench.time;
  const release = await releaseOf({ waves: [["web-1"]], version: "newer", createdAt: now });
  await seen(bench, release);
  const next = { ...offer, rolloutId: release.value.rolloutId, attempt: offer.attempt };
  const previous = {
    rolloutId: offer.rolloutId,
    journalId: agent.journalId,
    lastSeq: lastSeqOf(agent, offer),
  };
  const acknowledged = { ...ack(next, now), previous };
  const line = agent.write(next.rolloutId, acknowledged);
  expect(await sent(bench, agent, [line])).toMatchObject({
    streams: {
      [next.rolloutId]: { ackedThrough: 0, expected: 1 },
      [offer.rolloutId]: { ackedThrough: 3, expected: 4 },
    },
  });
  const taken = await sent(bench, agent, [...old.slice(3), line]);
  expect(taken).toMatchObject({
    streams: { [next.rolloutId]: { ackedThrough: 1 }, [offer.rolloutId]: { ackedThrough: 6 } },
  });
});

const lastSeqOf = (from: TestAgent, { rolloutId }: DispatchOffer) => {
  const stream = from.heartbeat().report.streams.find((each) => each.rolloutId === rolloutId);
  if (stream === undefined) throw new Error("no such stream");
  return stream.lastSeq;
};

test("a newer acknowledgement ends the older record; what its stream had before is taken all the same (Superseding 3)", async () => {
  const old = agent.goodRun(offer, bench.time.now);
  await sent(bench, agent, old.slice(0, 3));
  bench.time.pass(60);
  const { now } = bench.time;
  const release = await releaseOf({ waves: [["web-1"]], version: "newer", createdAt: now });
  await seen(bench, release);
  const next = await offered(bench, agent);
  await sent(bench, agent, [agent.write(next.rolloutId, ack(next, now))]);
  expect(record()).toMatchObject({ kind: "Soaking", supersededBy: next.rolloutId });
  expect(await sent(bench, agent, old.slice(3, 5))).toMatchObject({
    streams: { [offer.rolloutId]: { ackedThrough: 5, refused: [] } },
  });
  expect(record()).toMatchObject({ kind: "Soaking", lastSeq: 5, supersededBy: next.rolloutId });
  await sent(bench, agent, old.slice(5));
  expect(record()).toMatchObject({ kind: "Converged", lastSeq: 6, supersededBy: null });
});

test("a record that a newer acknowledgement ended takes nothing of another journal (Superseding 3)", async () => {
  await sent(bench, agent, agent.goodRun(offer, bench.time.now).slice(0, 3));
  bench.time.pass(60);
  const { now } = bench.time;
  await seen(bench, await releaseOf({ waves: [["web-1"]], version: "newer", createdAt: now }));
  const next = await offered(bench, agent);
  await sent(bench, agent, [agent.write(next.rolloutId, ack(next, now))]);
  const ended = record();
  const fresh = new TestAgent("web-1", "b");
  const again = { ...offer, attempt: nextAttempt(offer.attempt) };
  const line = fresh.write(offer.rolloutId, ack(again, now));
  expect(await sent(bench, fresh, [line])).toMatchObject({
    streams: { [offer.rolloutId]: { refused: [{ seq: 1, code: "superseded" }] } },
  });
  expect(record()).toMatchObject({ kind: "Soaking", supersededBy: ended?.supersededBy });
});

test("a rejected dispatch is offered again after a while, as the same attempt, and may be acknowledged then", async () => {
  const { rolloutId, attempt, dispatchedAt, soakDueAt } = offer;
  const reject = agent.write(rolloutId, {
    kind: "DispatchReject",
    attempt,
    dispatchedAt,
    soakDueAt,
    code: "held",
    reason: "held by an operator",
    retryable: true,
    rejectedAt: bench.time.now,
  });
  await sent(bench, agent, [reject]);
  expect(bench.writer.fleet().dispatch(rolloutId, agent.host)?.state).toBe("rejected");
  expect((await bench.ask<"TakeDispatch">(agent.poll())).kind).toBe("none");
  await bench.pass(61);
  const again = await offered(bench, agent);
  expect(again.attempt).toBe(attempt);
  await sent(bench, agent, agent.goodRun(again, bench.time.now));
  expect(record()).toMatchObject({ kind: "Converged", lastSeq: 7 });
});

test("after a restart events are taken before any release was looked at again (hazard 78)", async () => {
  await bench.reopen();
  await sent(bench, agent, agent.goodRun(offer, bench.time.now));
  expect(record()?.kind).toBe("Converged");
});

test("an acknowledgement that is refused answers its dispatch: it is not handed out again, and a person is told", async () => {
  const { targetClosure: rollbackTarget } = offer;
  const lie = { ...ack(offer, bench.time.now), rollbackTarget };
  const answer = await sent(bench, agent, [agent.write(offer.rolloutId, lie)]);
  expect(answer).toMatchObject({
    streams: { [offer.rolloutId]: { refused: [{ seq: 1, code: "rollback-target-is-target" }] } },
  });
  const fleet = () => bench.writer.fleet();
  expect(fleet().dispatch(offer.rolloutId, agent.host)?.state).toBe("rejected");
  // Past its lease, and past every pause between refusals.
  bench.time.pass(2 * 3600);
  await bench.ask<"Heartbeat">(agent.heartbeat());
  expect(await bench.ask<"TakeDispatch">(agent.poll())).toMatchObject({ kind: "none" });
  expect(explainHost(fleet(), agent.host, bench.time.now)).toMatchObject({
    answer: { kind: "gate", block: { gate: "refused", retryable: false } },
    clears: 'nixwave retry web-1 --reason "…"',
  });
});

test("a later attempt than was handed out is acknowledged or rejected like it: the host can answer no earlier one any more", async () => {
  const later = { ...offer, attempt: nextAttempt(nextAttempt(offer.attempt)) };
  const fleet = () => bench.writer.fleet();
  const { attempt, dispatchedAt, soakDueAt } = later;
  const rejected = agent.write(offer.rolloutId, {
    kind: "DispatchReject",
    attempt,
    dispatchedAt,
    soakDueAt,
    code: "unreachable",
    reason: "no cache can be reached",
    retryable: true,
    rejectedAt: bench.time.now,
  });
  await sent(bench, agent, [rejected]);
  expect(fleet().dispatch(offer.rolloutId, agent.host)).toMatchObject({ state: "queued", attempt });
  expect(fleet().record(offer.rolloutId, agent.host)).toMatchObject({
    kind: "Pending",
    attempt: later.attempt,
  });
  await sent(bench, agent, [agent.write(offer.rolloutId, ack(later, bench.time.now))]);
  expect(fleet().dispatch(offer.rolloutId, agent.host)?.state).toBe("acknowledged");
  expect(fleet().record(offer.rolloutId, agent.host)).toMatchObject({
    kind: "Activating",
    attempt: later.attempt,
  });
});
