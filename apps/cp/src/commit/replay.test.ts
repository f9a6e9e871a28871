import { join } from "node:path";
import { type DispatchAck, FIRST_ATTEMPT, isSeq } from "@nixwave/effects";
import { afterEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { sha256 } from "../log/hash.ts";
import { recover } from "../maintenance/recover.ts";
import { offered, opened, sent } from "../scenes.fixture.ts";
import { databasePath } from "../store/database.ts";

const open: Bench[] = [];
afterEach(async () => {
  for (const bench of open.splice(0)) await bench.close();
});

async function begin(from: string | null = null): Promise<Bench> {
  const bench = await openBench(from);
  open.push(bench);
  return bench;
}

/** Two releases ran; the newer one was never offered to the host. Then the CP lost its disk. */
async function lost() {
  const bench = await begin();
  const agent = new TestAgent("web-1");
  const older = await releaseOf({ waves: [["web-1"]], version: "old" });
  await opened(bench, [agent], older);
  const lines = agent.goodRun(await offered(bench, agent), bench.time.now);
  await sent(bench, agent, lines);
  bench.time.pass(60);
  const newer = await releaseOf({
    waves: [["web-1"]],
    version: "new",
    createdAt: bench.time.now,
  });
  const data = join(bench.dir, "recovered");
  recover(data, { channels: [newer.value.channel], now: bench.time.now });
  const recovered = await begin(databasePath(data));
  recovered.time.now = bench.time.now;
  const look = () =>
    recovered.ask<"ReleasesSeen">({
      kind: "ReleasesSeen",
      withHeld: true,
      releases: [
        { release: older, current: false },
        { release: newer, current: true },
      ],
    });
  const releases = { older, newer };
  return { recovered, agent, lines, older: older.value, newer: newer.value, releases, look };
}

test("a heartbeat that comes before the first look at the repository is no replay: the gate asks again", async () => {
  const { recovered, agent, lines, older, look } = await lost();
  expect(await recovered.ask<"Heartbeat">(agent.heartbeat())).toMatchObject({ replayFrom: {} });
  await look();
  expect((await recovered.ask<"TakeDispatch">(agent.poll())).kind).toBe("none");
  expect(await recovered.ask<"Heartbeat">(agent.heartbeat())).toMatchObject({
    replayFrom: { [older.rolloutId]: 1 },
  });
  await sent(recovered, agent, lines);
  await recovered.ask<"Heartbeat">(agent.heartbeat());
  expect((await recovered.ask<"TakeDispatch">(agent.poll())).kind).toBe("offer");
});

test("an old acknowledgement that is replayed ends no newer record", async () => {
  const { recovered, agent, lines, newer, look } = await lost();
  await look();
  const who = { by: "ops-1", reason: "a test" };
  await recovered.ask<"ResumeAfterRestore">({ kind: "ResumeAfterRestore", ...who });
  const offer = await offered(recovered, agent);
  expect(offer.rolloutId).toBe(newer.rolloutId);
  await sent(recovered, agent, lines);
  expect(recovered.writer.fleet().record(newer.rolloutId, agent.host)?.supersededBy).toBeNull();
  await sent(recovered, agent, agent.goodRun(offer, recovered.time.now));
  expect(recovered.writer.fleet().record(newer.rolloutId, agent.host)?.kind).toBe("Converged");
});

test("an acknowledgement that comes before the first heartbeat waits for the stream before it", async () => {
  const { recovered, agent, lines, older, newer, look } = await lost();
  await look();
  const { rolloutId } = newer;
  const at = recovered.time.now;
  const [{ journalId }, lastSeq] = [agent, seqOf(lines.length)];
  const acked: DispatchAck = {
    kind: "DispatchAck",
    attempt: FIRST_ATTEMPT,
    dispatchedAt: at,
    soakDueAt: at,
    previous: { rolloutId: older.rolloutId, journalId, lastSeq },
    currentClosureAtDispatch: null,
    rollbackTarget: null,
    ackedAt: at,
  };
  const taken = agent.write(rolloutId, acked);
  expect(await sent(recovered, agent, [taken])).toMatchObject({
    streams: { [rolloutId]: { ackedThrough: 0 }, [older.rolloutId]: { expected: 1 } },
  });
  await sent(recovered, agent, [...lines, taken]);
  expect(recovered.writer.fleet().record(older.rolloutId, agent.host)?.kind).toBe("Converged");
  expect(recovered.writer.fleet().record(rolloutId, agent.host)?.kind).toBe("Activating");
});

test("a stream whose release becomes known after the newer acknowledgement ends as the agent ended it (Superseding 1 and 3)", async () => {
  const { recovered, agent, lines, older, newer, releases } = await lost();
  await recovered.ask<"ReleasesSeen">({
    kind: "ReleasesSeen",
    withHeld: true,
    releases: [{ release: releases.newer, current: true }],
  });
  const who = { by: "ops-1", reason: "a test" };
  await recovered.ask<"ResumeAfterRestore">({ kind: "ResumeAfterRestore", ...who });
  const offer = await offered(recovered, agent);
  await sent(recovered, agent, agent.goodRun(offer, recovered.time.now).slice(0, 1));
  // The agent was shown a log that this one is not: everything that the repository holds is opened, and heard of again.
  const head = recovered.writer.logHead();
  if (head === null) throw new Error("the log is empty");
  const { offset } = head;
  await recovered.ask<"Heartbeat">(agent.heartbeat({ offset, hash: sha256("another log") }));
  await recovered.ask<"ReleasesSeen">({
    kind: "ReleasesSeen",
    withHeld: true,
    releases: [
      { release: releases.older, current: false },
      { release: releases.newer, current: true },
    ],
  });
  await sent(recovered, agent, lines.slice(0, 3));
  const fleet = recovered.writer.fleet();
  expect(fleet.record(older.rolloutId, agent.host)).toMatchObject({
    kind: "Soaking",
    lastSeq: 3,
    supersededBy: newer.rolloutId,
  });
  expect(fleet.record(newer.rolloutId, agent.host)).toMatchObject({
    kind: "Activating",
    supersededBy: null,
  });
});

test("who was replayed in a commit that failed was not: the gate waits for the host once more (hazard 33)", async () => {
  const { recovered, agent, lines, look } = await lost();
  await look();
  recovered.broken = new Error("database or disk is full");
  // One batch: by the heartbeat's turn the streams are there, and then nothing of it is stored.
  await Promise.all([
    recovered.writer.submit(agent.send(...lines)),
    recovered.writer.submit(agent.heartbeat()),
  ]);
  recovered.broken = null;
  await recovered.pass(60);
  expect(recovered.writer.wantsHeld()).toBe(true);
  expect((await recovered.ask<"TakeDispatch">(agent.poll())).kind).toBe("none");
  await look();
  await sent(recovered, agent, lines);
  await recovered.ask<"Heartbeat">(agent.heartbeat());
  expect((await recovered.ask<"TakeDispatch">(agent.poll())).kind).toBe("offer");
});

test("a heartbeat is told of the newest stream where the log has more than it", async () => {
  const bench = await begin();
  const agent = new TestAgent("web-1");
  const release = await releaseOf({ waves: [["web-1"]], version: "new" });
  await opened(bench, [agent], release);
  const before = agent.copy();
  await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
  const { rolloutId } = release.value;
  expect(await bench.ask<"Heartbeat">(before.heartbeat())).toMatchObject({
    ahead: { [rolloutId]: 6 },
  });
  expect(await bench.ask<"Heartbeat">(agent.heartbeat())).not.toHaveProperty("ahead");
});

function seqOf(count: number) {
  if (!isSeq(count)) throw new Error(`${count} is no number of an event`);
  return count;
}
