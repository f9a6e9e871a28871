import { isOffset } from "@nixwave/effects";
import { afterEach, expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { sha256 } from "../log/hash.ts";
import { check, sayChecked } from "../maintenance/check.ts";
import { offered, opened, seen, seenAll, sent } from "../scenes.fixture.ts";

const open: Bench[] = [];
afterEach(async () => {
  for (const bench of open.splice(0)) await bench.close();
});

async function begin(): Promise<Bench> {
  const bench = await openBench();
  open.push(bench);
  return bench;
}

/** Sends what a heartbeat's answer asks for, until it asks for nothing. */
async function replay(bench: Bench, agent: TestAgent): Promise<void> {
  for (let round = 0; round < 10; round++) {
    const heard = await bench.ask<"Heartbeat">(agent.heartbeat());
    if (heard.kind !== "heard") throw new Error(heard.sentence);
    if (Object.keys(heard.replayFrom).length === 0) return;
    for (const [rolloutId, lines] of agent.streams) {
      const from = heard.replayFrom[rolloutId];
      if (from !== undefined) await sent(bench, agent, lines.slice(from - 1));
    }
  }
  throw new Error("the replay does not end");
}

test("a lost database comes back from the release and what the agents kept", async () => {
  const lost = await begin();
  const agents = [new TestAgent("web-1"), new TestAgent("web-2")];
  const [good, bad] = agents;
  if (good === undefined || bad === undefined) throw new Error("no agents");
  const release = await releaseOf({
    waves: [["web-1"], ["web-2"]],
    version: "new",
    policy: { maxFailures: 1 },
  });
  await opened(lost, agents, release);
  const first = await offered(lost, good);
  await sent(lost, good, good.goodRun(first, lost.time.now));
  const second = await offered(lost, bad);
  await sent(lost, bad, bad.badRun(second, lost.time.now));
  const before = agents.map(({ host }) => lost.writer.fleet().record(first.rolloutId, host));

  const empty = await begin();
  await seen(empty, release);
  for (const agent of agents) await replay(empty, agent);
  const fleet = empty.writer.fleet();
  expect(agents.map(({ host }) => fleet.record(first.rolloutId, host))).toEqual(before);
  expect(fleet.quarantines().map(({ closure }) => closure)).toEqual([second.targetClosure]);
  const checked = check(empty.db);
  expect(sayChecked(checked)).toEqual([
    `clean: ${checked.lines} lines fold into the stored tables`,
  ]);
});

test("a database that was set back without saying so falls into the gate replay, once, and leaves it when all is replayed", async () => {
  const bench = await begin();
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  const { channel } = await offered(bench, agent);
  const ahead = 10_000;
  if (!isOffset(ahead)) throw new Error("not an offset");
  const other = { offset: ahead, hash: sha256("another log") };
  const report = () => bench.ask<"Heartbeat">(agent.heartbeat(other));
  await report();
  const gate = () => bench.db.prepare("SELECT channel FROM replay_gates").pluck().all();
  const said = () => bench.logged.filter(({ message }) => message.includes("set back")).length;
  expect(said()).toBe(1);
  expect(gate()).toEqual([channel]);
  await bench.pass(2);
  await report();
  await bench.pass(2);
  // Before the repository's older releases were taken, "nothing to send" says nothing.
  expect(gate()).toEqual([channel]);
  await seenAll(bench);
  await report();
  await bench.pass(2);
  expect(gate()).toEqual([]);
  await bench.pass(31);
  await bench.reopen();
  await report();
  expect(said()).toBe(1);
});

test("a heartbeat with our own head is no news, also after a restart", async () => {
  const bench = await begin();
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  const heads = [];
  for (let round = 0; round < 3; round++) {
    const heard = await bench.ask<"Heartbeat">(agent.heartbeat());
    if (heard.kind !== "heard") throw new Error(heard.sentence);
    heads.push(heard.logHead);
    if (round === 0) await offered(bench, agent);
  }
  await bench.reopen();
  for (const head of heads) await bench.ask<"Heartbeat">(agent.heartbeat(head));
  expect(bench.logged.filter(({ message }) => message.includes("set back"))).toEqual([]);
});

test("resume-after-restore opens the gate early, with who and why in the log", async () => {
  const bench = await begin();
  const agent = new TestAgent("web-1");
  await opened(
    bench,
    [agent, new TestAgent("web-2")],
    await releaseOf({ waves: [["web-1", "web-2"]], version: "new" }),
  );
  const head = bench.writer.logHead();
  if (head === null) throw new Error("the log is empty");
  await bench.ask<"Heartbeat">(agent.heartbeat({ offset: head.offset, hash: sha256("a fork") }));
  const poll = () => bench.ask<"TakeDispatch">(agent.poll());
  expect((await poll()).kind).toBe("none");
  const who = { by: "ops-1", reason: "all hosts were seen" };
  expect((await bench.ask<"ResumeAfterRestore">({ kind: "ResumeAfterRestore", ...who })).kind).toBe(
    "done",
  );
  expect((await poll()).kind).toBe("offer");
  expect(
    await bench.ask<"ResumeAfterRestore">({ kind: "ResumeAfterRestore", ...who }),
  ).toMatchObject({ kind: "refused" });
});
