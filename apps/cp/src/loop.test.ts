import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bench, openBench } from "./bench.fixture.ts";
import { ack, releaseOf, TestAgent } from "./fleet.fixture.ts";
import { parseLine } from "./log/read.ts";
import { FIRST_OFFSET } from "./log/segment.ts";
import { check, sayChecked } from "./maintenance/check.ts";
import { offered, opened, seen, sent } from "./scenes.fixture.ts";
import { openReader } from "./store/reader.ts";

const WHO = { by: "ops", reason: "a test" };
let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(async () => {
  await bench.close();
});

const lineCount = (): number =>
  Number(bench.db.prepare("SELECT coalesce(sum(count), 0) FROM log_segments").pluck().get());

function linesOfKind(kind: string) {
  const reader = openReader(bench.path);
  const page = reader.events({ kind }, { from: FIRST_OFFSET, limit: 1000 });
  reader.close();
  return page.lines.map(({ line }) => parseLine(line));
}

describe("a good release", () => {
  test("goes wave by wave and completes; only the host concerned is woken (hazard 77)", async () => {
    const [one, two] = [new TestAgent("web-1"), new TestAgent("web-2")];
    await opened(
      bench,
      [one, two],
      await releaseOf({ waves: [["web-1"], ["web-2"]], version: "new" }),
    );
    expect(bench.woken).toEqual(["web-1"]);
    expect((await bench.ask<"TakeDispatch">(two.poll())).kind).toBe("none");
    const first = await offered(bench, one);
    expect(first).toMatchObject({ wave: 1, attempt: 1, leaseSecs: 120 });
    await sent(bench, one, one.goodRun(first, bench.time.now));
    expect(bench.woken).toEqual(["web-1", "web-2"]);
    const second = await offered(bench, two);
    await sent(bench, two, two.goodRun(second, bench.time.now));
    expect(bench.writer.fleet().rollout(first.rolloutId)?.kind).toBe("Completed");
    const checked = check(bench.db);
    expect(sayChecked(checked)).toEqual([
      `clean: ${checked.lines} lines fold into the stored tables`,
    ]);
  });
});

describe("a bad release", () => {
  test("is quarantined and halts: nobody else is handed it, queued or not (I7, hazards 16 and 18)", async () => {
    const [one, two] = [new TestAgent("web-1"), new TestAgent("web-2")];
    await opened(
      bench,
      [one, two],
      await releaseOf({ waves: [["web-1", "web-2"]], version: "bad" }),
    );
    const offer = await offered(bench, one);
    const lines = one.badRun(offer, bench.time.now);
    const [, taken] = await Promise.all([
      sent(bench, one, lines),
      bench.ask<"TakeDispatch">(two.poll()),
    ]);
    expect(taken.kind).toBe("none");
    const fleet = bench.writer.fleet();
    expect(fleet.rollout(offer.rolloutId)?.kind).toBe("Reverted");
    expect(fleet.quarantines().map(({ closure }) => closure)).toEqual([offer.targetClosure]);
    expect(fleet.openDispatch(two.host)).toBeNull();
    await bench.reopen();
    expect((await bench.ask<"TakeDispatch">(two.poll())).kind).toBe("none");
  });
});

describe("group commit (hazard 62)", () => {
  test("whatever waits together shares one commit", async () => {
    const agents = ["web-1", "web-2", "web-3"].map((name) => new TestAgent(name));
    await opened(
      bench,
      agents,
      await releaseOf({ waves: [["web-1", "web-2", "web-3"]], version: "new" }),
    );
    const offers = await Promise.all(agents.map((agent) => offered(bench, agent)));
    const before = bench.commits;
    await Promise.all(
      agents.map((agent, place) => {
        const offer = offers[place];
        if (offer === undefined) throw new Error("no offer");
        return sent(bench, agent, agent.goodRun(offer, bench.time.now));
      }),
    );
    expect(bench.commits).toBe(before + 1);
  });

  test("an answer comes after the commit that holds it (hazard 1)", async () => {
    const agent = new TestAgent("web-1");
    await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
    const offer = await offered(bench, agent);
    const order: string[] = [];
    bench.crash = { point: (name) => void order.push(name) };
    await sent(bench, agent, [agent.write(offer.rolloutId, ack(offer, bench.time.now))]);
    order.push("answered");
    expect(order.indexOf("after-commit")).toBeLessThan(order.indexOf("answered"));
    expect(order.indexOf("before-answer")).toBeLessThan(order.indexOf("answered"));
  });
});

describe("a disk that can't be written", () => {
  test("answers not-now, says the path once, changes nothing, and recovers by itself", async () => {
    const agent = new TestAgent("web-1");
    await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
    const offer = await offered(bench, agent);
    const [first = "", ...rest] = agent.goodRun(offer, bench.time.now);
    bench.broken = new Error("database or disk is full");
    for (let round = 0; round < 3; round++) {
      const refused = await bench.writer.submit<"AgentEvents">(agent.send(first));
      expect(refused).toMatchObject({ kind: "not-now", code: "not-stored" });
      await bench.writer.submit<"Tick">({ kind: "Tick" });
      bench.time.pass(2);
    }
    expect(bench.writer.storeFailed()).toBe(true);
    const said = bench.logged.filter(({ message }) => message.includes("can't be written"));
    expect(said.map(({ fields }) => fields["path"])).toEqual([bench.path]);
    expect(bench.writer.fleet().record(offer.rolloutId, agent.host)?.kind).toBe("Pending");
    bench.broken = null;
    bench.time.pass(2);
    const taken = await sent(bench, agent, [first, ...rest]);
    expect(taken).toMatchObject({ streams: { [offer.rolloutId]: { ackedThrough: 6 } } });
    expect(bench.writer.storeFailed()).toBe(false);
    expect(sayChecked(check(bench.db))).toEqual([
      `clean: ${lineCount()} lines fold into the stored tables`,
    ]);
  });
});

test("SQLite's own full database is such a disk", async () => {
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  const offer = await offered(bench, agent);
  const pages = Number(bench.db.pragma("page_count", { simple: true }));
  bench.db.pragma(`max_page_count = ${pages}`);
  const lines = agent.goodRun(offer, bench.time.now);
  let refused = 0;
  for (let round = 0; round < 50 && refused === 0; round++) {
    const scope = { kind: "hosts", hosts: Array.from({ length: 100 }, () => agent.host) } as const;
    const frozen = await bench.writer.submit<"Freeze">({
      kind: "Freeze",
      ...WHO,
      scope,
      until: null,
    });
    if (frozen.kind === "not-now") refused += 1;
  }
  expect(refused).toBe(1);
  bench.db.pragma("max_page_count = 1000000");
  bench.time.pass(2);
  expect(await sent(bench, agent, lines)).toMatchObject({
    streams: { [offer.rolloutId]: { ackedThrough: 6 } },
  });
  const checked = check(bench.db);
  expect(sayChecked(checked)).toEqual([
    `clean: ${checked.lines} lines fold into the stored tables`,
  ]);
});

test("who came with a new journal into a commit that failed was heard all the same", async () => {
  const agent = new TestAgent("web-1");
  await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
  bench.time.pass(100);
  bench.broken = new Error("the disk is full");
  const anew = new TestAgent("web-1", "b");
  const answer = await bench.writer.submit<"Heartbeat">(anew.heartbeat());
  expect(answer.kind).toBe("not-now");
  expect(bench.writer.fleet().host(anew.host)?.lastHeardAt).toBe(bench.time.now);
  bench.broken = null;
});

describe("limits", () => {
  test("a full queue refuses at once, and what is in it is served", async () => {
    const asked = Array.from({ length: 5000 }, () => bench.writer.submit<"Tick">({ kind: "Tick" }));
    const kinds = (await Promise.all(asked)).map((answer) =>
      "code" in answer ? answer.code : answer.kind,
    );
    expect(kinds.filter((kind) => kind === "done").length).toBeGreaterThanOrEqual(4000);
    expect(kinds.filter((kind) => kind === "queue-full").length).toBeGreaterThan(0);
  });

  test("a command that meets a mistake of ours is answered `internal`, alone of its batch", async () => {
    const agent = new TestAgent("web-1");
    const freeze = { kind: "Freeze", ...WHO, scope: { kind: "all" }, until: null } as const;
    expect((await bench.ask<"Freeze">(freeze)).kind).toBe("done");
    // The same random number again: the second freeze would have the id of the first.
    bench.stuck = true;
    const [failed, heard] = await Promise.all([
      bench.writer.submit<"Freeze">(freeze),
      bench.writer.submit<"Heartbeat">(agent.heartbeat()),
    ]);
    expect(failed).toMatchObject({ kind: "not-now", code: "internal" });
    expect(heard.kind).toBe("heard");
    expect(
      bench.logged.filter(({ message }) => message.includes("could not be decided")),
    ).toHaveLength(1);
  });
});

describe("at rest", () => {
  test("five minutes of heartbeats and polls commit at most once per 30 s (hazard 71)", async () => {
    const agents = ["web-1", "web-2"].map((name) => new TestAgent(name));
    await opened(bench, agents, await releaseOf({ waves: [["web-1"], ["web-2"]], version: "new" }));
    const held = await offered(bench, new TestAgent("web-1"));
    await bench.pass(31);
    const [commits, lines] = [bench.commits, lineCount()];
    for (let secs = 0; secs < 300; secs += 5) {
      await bench.pass(5);
      for (const agent of agents) {
        if (secs % 60 === 0) await bench.ask<"Heartbeat">(agent.heartbeat());
        const holding = agent.host === "web-1" ? held : null;
        await bench.ask<"TakeDispatch">(agent.poll(holding));
      }
    }
    expect(bench.commits - commits).toBeLessThanOrEqual(10);
    expect(bench.commits - commits).toBeGreaterThan(0);
    expect(lineCount()).toBe(lines);
  });

  test("a gate that holds hosts is one line for its rollout, and one when it opens (hazard 71)", async () => {
    const names = ["web-1", "web-2", "web-3"];
    const agents = names.map((name) => new TestAgent(name));
    const budgets = [{ name: "web", hosts: names.map(hostName), maxInFlight: 1 }];
    await opened(bench, agents, await releaseOf({ waves: [names], version: "new", budgets }));
    const gates = () =>
      linesOfKind("GateChanged").map((line) =>
        line.kind === "GateChanged" ? `${line.gate} ${line.hosts}` : "",
      );
    for (const [place, agent] of agents.entries()) {
      for (let secs = 0; secs < 30; secs += 2) await bench.pass(2);
      expect(gates()).toEqual(place < 2 ? ["budget 2"] : ["budget 2", "budget 0"]);
      await sent(bench, agent, agent.goodRun(await offered(bench, agent), bench.time.now));
    }
  });
});

describe("releases", () => {
  test("seen again, also after a restart, nothing is opened or changed (hazards 23 and 70)", async () => {
    const agent = new TestAgent("web-1");
    const release = await releaseOf({ waves: [["web-1"]], version: "new" });
    await opened(bench, [agent], release);
    const offer = await offered(bench, agent);
    await sent(bench, agent, agent.goodRun(offer, bench.time.now));
    const lines = lineCount();
    expect(await seen(bench, release)).toMatchObject({ opened: [], refused: [] });
    await bench.reopen();
    expect(await seen(bench, release)).toMatchObject({ opened: [], refused: [] });
    expect(lineCount()).toBe(lines);
    expect(bench.writer.fleet().record(offer.rolloutId, agent.host)?.kind).toBe("Converged");
  });

  test("one created no later than one that was opened is refused, and what ran goes on (hazard 70)", async () => {
    const newer = await releaseOf({ waves: [["web-1"]], version: "new" });
    await seen(bench, newer);
    const older = await releaseOf({ waves: [["web-1"]], version: "old" });
    const answer = await seen(bench, older);
    expect(answer.refused.map(({ code }) => code)).toEqual(["older"]);
    const { channel, rolloutId } = newer.value;
    expect(bench.writer.fleet().newestRollout(channel)?.rolloutId).toBe(rolloutId);
  });

  test("two channels of one content are two rollouts (hazard 11)", async () => {
    await seen(bench, await releaseOf({ waves: [["web-1"]], version: "new" }));
    await seen(bench, await releaseOf({ waves: [["db-1"]], version: "new", channel: "edge" }));
    const fleet = bench.writer.fleet();
    expect(fleet.channels().flatMap((channel) => fleet.rolloutsOf(channel))).toHaveLength(2);
  });

  test("an unverifiable release is logged when that changes, not at each look (hazard 97)", async () => {
    const { channel } = (await releaseOf({ waves: [["web-1"]], version: "new" })).value;
    const unreadable = {
      kind: "ReleaseUnreadable",
      channel,
      code: "missing",
      reason: "gone",
    } as const;
    for (let round = 0; round < 3; round++) await bench.ask(unreadable);
    expect(linesOfKind("ReleaseRefused")).toHaveLength(1);
  });
});

describe("stopping (hazard 79)", () => {
  test("what waits is committed and answered, later work is refused, what was heard is stored", async () => {
    const agent = new TestAgent("web-1");
    await opened(bench, [agent], await releaseOf({ waves: [["web-1"]], version: "new" }));
    bench.time.pass(5);
    const waiting = bench.ask<"Heartbeat">(agent.heartbeat());
    const stopped = bench.writer.stop();
    expect(await bench.writer.submit<"Heartbeat">(agent.heartbeat())).toMatchObject({
      code: "stopping",
    });
    expect((await waiting).kind).toBe("heard");
    await stopped;
    const reader = openReader(bench.path);
    expect(reader.host(agent.host)?.lastHeardAt).toBe(bench.time.now);
    reader.close();
  });
});
