import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSeq, type Release } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { expect, test } from "vitest";
import type { Journal } from "./journal/journal.ts";
import { isOutboxFull, OUTBOX_BYTES_MAX, OUTBOX_ROWS_MAX } from "./outbox.ts";
import { World } from "./world/world.fixture.ts";

async function inWorld(run: (world: World) => Promise<void>): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), "nixwave-outbox-"));
  const world = new World(stateDir);
  try {
    await run(world);
    expect(world.broken).toEqual([]);
  } finally {
    await world.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/** Watches what a power cut could not take any more: every line that was committed before the last FULL commit began or by it. */
function watchSynced(journal: Journal): ReadonlySet<string> {
  const synced = new Set<string>();
  const commit = journal.commit.bind(journal);
  journal.commit = (sync, write) => {
    commit(sync, write);
    if (sync !== "full") return;
    const all = { lines: 1e6, bytes: 1e9, without: new Set<string>() };
    for (const { line } of journal.outbox.nextBatch(all)) synced.add(line);
  };
  return synced;
}

/** A small generator, so that a seed gives the same run everywhere. */
function chance(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state >>> 8) & 0xffffff) % below;
  };
}

test("nothing is sent before it is on the disk", async () => {
  await inWorld(async (world) => {
    world.start();
    const synced = watchSynced(world.journal);
    let batches = 0;
    world.cp.onBatch = (lines) => {
      batches += 1;
      expect(lines.filter((line) => !synced.has(line))).toEqual([]);
    };
    const release = world.cp.release(closure("new"));
    world.cp.dispatch(release);
    await world.passUntil(() => world.record(release)?.kind === "Converged", 600);
    await world.pass(5);
    expect(batches).toBeGreaterThan(3);
  });
});

test("a probe's result waits for the drainer's write, a transition for none", async () => {
  await inWorld(async (world) => {
    world.cp.down = false;
    world.start();
    const syncs: string[] = [];
    const { journal } = world;
    const commit = journal.commit.bind(journal);
    journal.commit = (sync, write) => {
      commit(sync, write);
      const last = journal.outbox.nextBatch({ lines: 1e6, bytes: 1e9, without: new Set() }).at(-1);
      syncs.push(`${sync} ${last === undefined ? "-" : kindIn(last.line)}`);
    };
    const release = world.cp.release(closure("new"));
    world.cp.dispatch(release);
    await world.passUntil(() => world.record(release)?.kind === "Converged", 600);
    expect(syncs).toContain("normal ProbeResult");
    expect(syncs).toContain("full DispatchAck");
    expect(syncs).toContain("full Converged");
    expect(syncs).not.toContain("normal Converged");
  });
});

const kindIn = (line: string): string => /"event":\{"kind":"(\w+)"/.exec(line)?.[1] ?? "?";

test("with a bad network, a refusing control plane and kills, each stream arrives whole and once (hazards 1, 7, 8 and 54)", {
  timeout: 60_000,
}, async () => {
  for (let seed = 1; seed <= 12; seed += 1)
    await inWorld(async (world) => {
      const roll = chance(seed);
      world.start();
      const releases: Release[] = [];
      world.cp.refuse = (line) =>
        line.event.kind === "ProbeObservedFirst" && roll(3) === 0 ? "bad-event" : null;
      for (let round = 0; round < 3; round += 1) {
        const name = `new-${round}`;
        world.machine.behaviours.set(closure(name), { exitCode: 0, secs: 3, healthy: roll(3) > 0 });
        const release = world.cp.release(closure(name));
        releases.push(release);
        world.cp.dispatch(release);
        for (let act = 0; act < 6; act += 1) {
          await world.pass(1 + roll(15));
          world.cp.down = roll(3) === 0;
          if (roll(3) === 0) world.cp.answersToLose += 1;
          if (roll(3) === 0) world.cp.answerNext.push("not-stored");
          if (roll(4) === 0) {
            await world.kill();
            world.start();
          }
        }
      }
      world.cp.down = false;
      const last = releases.at(-1);
      const settled = (): boolean =>
        ["Converged", "Reverted"].includes((last && world.cp.record(last)?.kind) ?? "");
      await world.passUntil(() => {
        // A control plane asks again after a rejection that may pass.
        const mirror = last && world.cp.record(last);
        if (last && mirror?.kind === "Pending" && mirror.lastReject !== null)
          world.cp.dispatch(last);
        return settled();
      }, 2000);
      await world.pass(120);
      for (const release of releases) {
        const seqs = world.cp.log
          .filter(({ rolloutId }) => rolloutId === release.rolloutId)
          .map(({ line }) => line.seq);
        expect({ seed, seqs }).toEqual({ seed, seqs: seqs.map((_, index) => index + 1) });
        const record = world.record(release);
        if (record !== null && record.kind !== "Pending")
          expect({ seed, record: world.cp.record(release) }).toEqual({ seed, record });
      }
      expect(world.journal.outbox.counts().unacknowledged).toBe(0);
    });
});

test("an answer that acknowledges more than was ever written begins a new journal: somebody else writes under this one", async () => {
  await inWorld(async (world) => {
    world.start();
    const release = world.cp.release(closure("new"));
    world.cp.dispatch(release);
    await world.passUntil(() => world.cp.record(release)?.kind === "Soaking", 600);
    const before = world.journal.facts().journalId;
    const mirror = world.cp.mirrors.get(release.rolloutId);
    const lastSeq = 99;
    if (mirror === undefined || !isSeq(lastSeq)) throw new Error("the host soaks");
    mirror.record = { ...mirror.record, lastSeq };
    await world.passUntil(() => world.journal.facts().journalId !== before, 300);
    expect(world.record(release)).toBeNull();
  });
});

test("what no replay can ask for any more is dropped; the newest rollout and its previous stay whole", async () => {
  await inWorld(async (world) => {
    world.start();
    const releases: Release[] = [];
    for (const name of ["a", "b", "c"]) {
      const release = world.cp.release(closure(name));
      releases.push(release);
      world.cp.dispatch(release);
      await world.passUntil(() => world.cp.record(release)?.kind === "Converged", 600);
      await world.pass(70);
    }
    const kept = world.journal.records.streams().map(({ rolloutId }) => rolloutId);
    expect(kept).toEqual(releases.slice(1).map(({ rolloutId }) => rolloutId));
    for (const release of releases.slice(1)) {
      world.cp.forget(release);
      await world.passUntil(() => world.cp.record(release)?.kind === "Converged", 200);
    }
  });
});

test("the last 1,000 rows are for transitions", () => {
  expect(isOutboxFull({ rows: OUTBOX_ROWS_MAX - 1001, bytes: 0 })).toBe(false);
  expect(isOutboxFull({ rows: OUTBOX_ROWS_MAX - 1000, bytes: 0 })).toBe(true);
  expect(isOutboxFull({ rows: 0, bytes: OUTBOX_BYTES_MAX })).toBe(true);
});
