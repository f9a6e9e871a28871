import type { Budget, HostName, RolloutId } from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import { channelName, hostName } from "@nixwave/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Bench, openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { DERIVED_TABLE_NAMES } from "../store/schema.ts";
import { countShown } from "../views/hostRow.ts";
import { rowsOf } from "../views/rolloutSummary.ts";
import { shownCounts } from "../views/shownCounts.ts";
import { check, sayChecked } from "./check.ts";
import { rebuild } from "./rebuild.ts";

const NAMES = ["web-1", "web-2", "web-3", "web-4"] as const;
const BUDGETS: readonly Budget[] = [{ name: "web", hosts: NAMES.map(hostName), maxInFlight: 2 }];

/** One thing that may happen to a fleet. `host` is a place in NAMES; `lines` how many of what an agent owes it sends. */
type Step =
  | { readonly do: "release" }
  | { readonly do: "heartbeat" | "poll" | "forget" | "retry"; readonly host: number }
  | {
      readonly do: "go";
      readonly host: number;
      readonly good: boolean;
      readonly lines: number;
    }
  | { readonly do: "send"; readonly host: number; readonly lines: number; readonly skip: number }
  | { readonly do: "pass"; readonly secs: number }
  | { readonly do: OnRollout | "freeze" | "unfreeze" | "lift" | "reopen" | "refuse" | "retain" };
type OnRollout = "pause" | "resume" | "clear" | "cancel" | "advance";

const host = fc.nat({ max: NAMES.length - 1 });
const chosen = <K extends Step["do"]>(...kinds: readonly K[]) => fc.constantFrom(...kinds);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: chosen("release") }) },
  {
    weight: 20,
    arbitrary: fc.record({
      do: chosen("go"),
      host,
      good: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
      lines: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: chosen("heartbeat", "poll", "retry", "forget"), host }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: chosen("send"),
      host,
      lines: fc.integer({ min: 1, max: 9 }),
      skip: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: chosen("pass"), secs: fc.constantFrom(1, 1, 40, 130, 1000, 4000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: chosen(
        "pause",
        "resume",
        "resume",
        "clear",
        "clear",
        "cancel",
        "advance",
        "freeze",
        "unfreeze",
        "unfreeze",
        "lift",
        "reopen",
        "refuse",
        "retain",
      ),
    }),
  },
);

const WHO = { by: "ops", reason: "a test" };
const CHANNEL = channelName("stable");

/** A fleet that does what the steps say, through the real writer. */
class Walk {
  readonly bench: Bench;
  readonly agents = NAMES.map((name) => new TestAgent(name));
  readonly #offers = new Map<HostName, DispatchOffer>();
  readonly #sent = new Map<string, number>();
  #releases = 0;
  #journals = 0;

  constructor(bench: Bench) {
    this.bench = bench;
  }

  async take(each: Step): Promise<void> {
    const { bench } = this;
    const newest = bench.writer.fleet().newestRollout(CHANNEL);
    switch (each.do) {
      case "release": {
        this.#releases += 1;
        const version = `v${this.#releases}`;
        const waves = [NAMES.slice(0, 1), NAMES.slice(1)];
        const release = await releaseOf({
          waves,
          version,
          createdAt: bench.time.now,
          budgets: BUDGETS,
        });
        await bench.ask<"ReleasesSeen">({
          kind: "ReleasesSeen",
          withHeld: true,
          releases: [{ release, current: true }],
        });
        return;
      }
      case "pass":
        await bench.pass(each.secs);
        return;
      case "retain": {
        const endedBefore = bench.time.now;
        await bench.ask<"Retain">({ kind: "Retain", endedBefore, checkpoint: true });
        return;
      }
      case "reopen":
        await bench.reopen();
        return;
      case "refuse":
        await bench.ask<"ReleaseUnreadable">({
          kind: "ReleaseUnreadable",
          channel: CHANNEL,
          code: "missing",
          reason: `at ${bench.time.now}`,
        });
        return;
      case "freeze":
        await bench.ask<"Freeze">({ kind: "Freeze", ...WHO, scope: { kind: "all" }, until: null });
        return;
      case "unfreeze":
        for (const { freezeId } of bench.writer.fleet().freezes())
          await bench.ask<"Unfreeze">({ kind: "Unfreeze", ...WHO, freezeId, mayLiftOthers: true });
        return;
      case "lift":
        for (const { channel, closure } of bench.writer.fleet().quarantines())
          await bench.ask<"LiftQuarantine">({ kind: "LiftQuarantine", ...WHO, channel, closure });
        return;
      case "pause":
      case "resume":
      case "clear":
      case "cancel":
      case "advance":
        if (newest !== null) await this.#onRollout(each.do, newest.rolloutId);
        return;
      case "heartbeat":
      case "poll":
      case "forget":
      case "go":
      case "retry":
      case "send":
        await this.#onHost(each);
    }
  }

  async #onRollout(what: OnRollout, rolloutId: RolloutId): Promise<void> {
    const { bench } = this;
    if (what === "pause")
      await bench.ask<"Pause">({ kind: "Pause", ...WHO, rolloutId, until: null });
    if (what === "resume") await bench.ask<"Resume">({ kind: "Resume", ...WHO, rolloutId });
    if (what === "clear") await bench.ask<"Clear">({ kind: "Clear", ...WHO, rolloutId });
    if (what === "cancel") await bench.ask<"Cancel">({ kind: "Cancel", ...WHO, rolloutId });
    if (what === "advance")
      await bench.ask<"Advance">({ kind: "Advance", ...WHO, rolloutId, wave: null });
  }

  async #onHost(each: Extract<Step, { readonly host: number }>): Promise<void> {
    const { bench } = this;
    const agent = this.agents[each.host];
    if (agent === undefined) return;
    switch (each.do) {
      case "heartbeat":
        await bench.ask<"Heartbeat">(agent.heartbeat());
        return;
      case "poll":
        await this.#poll(agent);
        return;
      case "go":
        await this.#go(agent, each);
        return;
      case "forget":
        this.#journals += 1;
        this.agents[each.host] = new TestAgent(agent.host, `${this.#journals + 10}`);
        this.#offers.delete(agent.host);
        return;
      case "retry":
        await bench.ask<"Retry">({ kind: "Retry", ...WHO, host: agent.host });
        return;
      case "send":
        await this.#send(agent, each);
    }
  }

  async #poll(agent: TestAgent): Promise<void> {
    const taken = await this.bench.ask<"TakeDispatch">(agent.poll());
    if (taken.kind === "offer") this.#offers.set(agent.host, taken.offer);
  }

  /** Takes a dispatch if there is one, and tells some of what came of it and of those before. */
  async #go(
    agent: TestAgent,
    { good, lines }: { readonly good: boolean; readonly lines: number },
  ): Promise<void> {
    await this.#poll(agent);
    const offer = this.#offers.get(agent.host);
    const { now } = this.bench.time;
    if (offer !== undefined) {
      if (good) agent.goodRun(offer, now);
      else agent.badRun(offer, now);
    }
    this.#offers.delete(agent.host);
    await this.#send(agent, { lines, skip: 0 });
  }

  /** The next lines of each stream, perhaps with one left out first, perhaps some again. */
  async #send(
    agent: TestAgent,
    { lines, skip }: { readonly lines: number; readonly skip: number },
  ): Promise<void> {
    for (const [rolloutId, all] of agent.streams) {
      const key = `${agent.host} ${agent.journalId} ${rolloutId}`;
      const from = Math.max(0, (this.#sent.get(key) ?? 0) - 1) + skip;
      const batch = all.slice(from, from + lines);
      if (batch.length === 0) continue;
      const answer = await this.bench.ask<"AgentEvents">(agent.send(...batch));
      if (answer.kind === "taken")
        this.#sent.set(key, answer.streams[rolloutId]?.ackedThrough ?? 0);
    }
  }
}

/** What the writer has in memory of what is stored. */
function remembered({ writer }: Bench) {
  const fleet = writer.fleet();
  return {
    rollouts: fleet.channels().flatMap((channel) => fleet.rolloutsOf(channel)),
    records: NAMES.flatMap((name) =>
      fleet.recordsOf(hostName(name)).toSorted((a, b) => (a.rolloutId < b.rolloutId ? -1 : 1)),
    ),
    quarantines: fleet.quarantines(),
    freezes: fleet.freezes(),
  };
}

const opened = (bench: Bench) => {
  const fleet = bench.writer.fleet();
  return fleet.rolloutsOf(CHANNEL).flatMap(({ rolloutId }) => fleet.release(rolloutId) ?? []);
};
/** What a status counts, and what the rows that explain each host say. */
const briefCounts = (bench: Bench) =>
  opened(bench).map((release) => shownCounts(bench.writer.fleet(), release));
const explainedCounts = (bench: Bench) =>
  opened(bench).map((release) => countShown(rowsOf(bench.writer.fleet(), release, bench.time.now)));

const tables = ({ db }: Bench): string =>
  DERIVED_TABLE_NAMES.map(
    (table) => `${table}\n${JSON.stringify(db.prepare(`SELECT * FROM ${table}`).all())}`,
  ).join("\n");

test("folding the log gives the stored tables byte for byte, whatever happened (I5, hazards 62 and 63)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
      async (steps) => {
        const bench = await openBench();
        try {
          const walk = new Walk(bench);
          for (const agent of walk.agents) await bench.ask<"Heartbeat">(agent.heartbeat());
          await walk.take({ do: "release" });
          for (const each of steps) await walk.take(each);
          await bench.pass(2);
          const checked = check(bench.db);
          expect(sayChecked(checked)).toEqual([
            `clean: ${checked.lines} lines fold into the stored tables`,
          ]);
          expect(briefCounts(bench)).toEqual(explainedCounts(bench));
          const known = remembered(bench);
          await bench.reopen();
          expect(remembered(bench)).toEqual(known);
          const before = tables(bench);
          expect(rebuild(bench.db).lines).toBe(checked.lines);
          expect(tables(bench)).toBe(before);
          expect(
            bench.logged.filter(({ message }) => message.includes("could not be decided")),
          ).toEqual([]);
        } finally {
          await bench.close();
        }
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);
