import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  addSecs,
  type FreezeScope,
  GATES,
  type GateName,
  isOffset,
  type Release,
} from "@nixwave/effects";
import type { Client, DispatchOffer, LogHead } from "@nixwave/protocol";
import { channelName, closure, hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sha256 } from "../log/hash.ts";
import { fleetOf, openPlane, type TestPlane } from "./plane.fixture.ts";
import { putRelease } from "./releaseFolder.fixture.ts";
import { operatorClient, ScriptedAgent } from "./scriptedAgent.fixture.ts";

// Hazards 16 and 72: for every gate, from what triggers it on the wire to what `nixwave why` says and the dispatch that is not handed out, and
// back. Releases are signed files,
// agents and operators are HTTP, the database is on a disk; only the clock is the test's. What can't be triggered so is said here:
// - release-unverified: by a damaged file; every attack has a test of its own in repository/attack.test.ts.
// - quarantine: its host is passed over as well, so that its wave need not wait for it; that is the word it gets.
// - offline: a poll counts as heard and so is what opens it; that nothing is kept for the host is asked of the writer's fleet.
// - revoked is no gate; it has tests of its own over TLS.

let plane: TestPlane;
let ops: Client;
let one: ScriptedAgent;
let two: ScriptedAgent;
/** What `one` has still to say of its switch. */
let rest: () => Promise<unknown>;
beforeEach(async () => {
  plane = await openPlane();
  ops = operatorClient(plane.plane.url);
  [one, two] = [agent("web-1"), agent("web-2")];
});
afterEach(() => plane.close());

const agent = (name: string, journal = "1"): ScriptedAgent =>
  new ScriptedAgent(plane.plane.url, { host: hostName(name), running: closure("old"), journal });

/** What makes the gate hold the host, and what makes it let go; `as` where `nixwave why` has another word for it than the gate's. */
interface Scene {
  readonly trigger: () => Promise<void>;
  readonly held: () => ScriptedAgent;
  readonly as?: object;
  readonly asked?: "fleet";
  readonly open: () => Promise<void>;
}

const BECAUSE = { reason: "a test" };
const STABLE = channelName("stable");
let release: Release;

async function releases(
  waves: readonly (readonly string[])[],
  more: { readonly [key: string]: unknown } = {},
  version = "new",
): Promise<void> {
  for (const each of [one, two]) await each.heartbeat();
  release = await plane.release(fleetOf(version, waves, more), version);
}

function sure<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (result.ok) return result.value;
  throw new Error(JSON.stringify(result.error));
}

async function offered(host: ScriptedAgent): Promise<DispatchOffer> {
  const offer = await host.poll(0);
  if (offer === null) throw new Error(`${host.host} was handed nothing`);
  return offer;
}

const both = [["web-1", "web-2"]];
const params = () => ({ rolloutId: release.rolloutId });
const converges = async (host: ScriptedAgent): Promise<void> =>
  void (await host.converge(await offered(host)));
const rollsBack = async (host: ScriptedAgent): Promise<void> =>
  void (await host.rollBack(await offered(host)));

/** One channel of which both hosts have the same system, and failures that are borne. */
const twins = () => {
  const fleet = fleetOf("same", both);
  const { stable } = fleet.channels;
  const system = { ...fleet.hosts["web-1"], closure: closure("same") };
  return {
    hosts: { "web-1": system, "web-2": system },
    channels: { stable: { ...stable, policy: { maxFailures: 5 } } },
  };
};

/** A channel for each host. */
const inTwoChannels = (more: { readonly [key: string]: unknown } = {}) => {
  const { hosts, channels } = fleetOf("new", both);
  const [first, second] = [hosts["web-1"], hosts["web-2"]];
  return {
    hosts: { "web-1": { ...first, channel: "lab" }, "web-2": second },
    channels: { lab: channels.stable, stable: channels.stable },
    ...more,
  };
};

async function freeze(scope: FreezeScope): Promise<void> {
  sure(await ops.call("postFreeze", { body: { ...BECAUSE, scope, until: null } }));
}

async function unfreeze(): Promise<void> {
  for (const { freezeId } of sure(await ops.call("getFreezes", {})).items)
    sure(await ops.call("liftFreeze", { params: { freezeId }, body: BECAUSE }));
}

/** A heartbeat that has seen more of the log than there is: the control plane was set back. */
async function hasSeen(host: ScriptedAgent, logHead: LogHead): Promise<void> {
  const body = {
    agentVersion: "0.0.0",
    currentClosure: host.running,
    bootId: host.bootId,
    uptimeSecs: 1,
    wallClock: plane.time.now,
    streams: {},
    logHead,
    diskFreeBytes: null,
    waitsFor: null,
    leaving: null,
  };
  sure(await host.client.call("postHeartbeat", { body }));
}

/** The file of the repository that a test damaged, and how to mend it. */
let mend = (): void => undefined;
function damage(file: string): void {
  const path = join(plane.folder.releases, "metadata", file);
  const bytes = readFileSync(path);
  writeFileSync(path, "{}");
  mend = () => writeFileSync(path, bytes);
}
const looked = async (): Promise<void> => {
  plane.time.pass(31);
  await plane.plane.watch.look();
};
/** The newest file of a role. */
const newestFile = (role: string): string => {
  const files = readdirSync(join(plane.folder.releases, "metadata"));
  const versions = files.flatMap((file) => Number(file.split(`.${role}.json`)[0]) || []);
  return `${Math.max(...versions)}.${role}.json`;
};

const SCENES: Readonly<Record<GateName, readonly Scene[]>> = {
  "rollout-halted": [
    {
      trigger: async () => {
        await releases(both);
        await rollsBack(one);
      },
      held: () => two,
      open: async () =>
        void sure(await ops.call("clearRollout", { params: params(), body: BECAUSE })),
    },
  ],
  replay: [
    {
      trigger: async () => {
        await one.heartbeat();
        await plane.release(fleetOf("new", both), "new");
        const offset = 10_000;
        if (!isOffset(offset)) throw new Error("not an offset");
        await hasSeen(one, { offset, hash: sha256("another log") });
      },
      held: () => one,
      open: async () => {
        // Only once the repository's older releases were taken does "nothing to send" say anything.
        plane.time.pass(1);
        await plane.plane.watch.look();
        for (const host of [one, two]) await host.heartbeat();
      },
    },
  ],
  "release-unverified": [
    {
      trigger: async () => {
        await releases(both);
        damage("timestamp.json");
        await looked();
      },
      held: () => one,
      open: () => {
        mend();
        return looked();
      },
    },
  ],
  paused: [
    {
      trigger: async () => {
        await releases(both);
        const body = { ...BECAUSE, until: null };
        sure(await ops.call("pauseRollout", { params: params(), body }));
      },
      held: () => one,
      open: async () =>
        void sure(await ops.call("resumeRollout", { params: params(), body: BECAUSE })),
    },
  ],
  frozen: [
    {
      trigger: async () => {
        await releases(both);
        await freeze({ kind: "channel", channel: STABLE });
      },
      held: () => one,
      open: unfreeze,
    },
    {
      trigger: async () => {
        await releases(both);
        await freeze({ kind: "hosts", hosts: [one.host] });
      },
      held: () => one,
      open: unfreeze,
    },
  ],
  "channel-conflict": [
    {
      trigger: async () => {
        await releases(both);
        const { hosts, channels } = fleetOf("lab", [["web-1"]]);
        const moved = { "web-1": { ...hosts["web-1"], channel: "lab" } };
        const lab = { schemaVersion: 1, hosts: moved, channels: { lab: channels.stable } };
        const about = { createdAt: addSecs(plane.time.now, 1), note: "moved", now: plane.time.now };
        await putRelease(plane.folder.releases, fleetOf("apart", [["web-2"]]), about);
        await putRelease(plane.folder.releases, lab, about);
        // The owner moved the host in order; the mirror holds back one half of it.
        damage(newestFile("stable"));
        await looked();
      },
      held: () => one,
      open: () => {
        mend();
        return looked();
      },
    },
  ],
  "duplicate-host": [
    {
      trigger: async () => {
        await releases(both);
        for (const journal of ["2", "3", "4", "5"]) {
          one = agent("web-1", journal);
          await one.heartbeat();
        }
      },
      held: () => one,
      open: async () => {
        plane.time.pass(3600);
        await one.heartbeat();
      },
    },
  ],
  quarantine: [
    {
      trigger: async () => {
        await releases(both, twins());
        await rollsBack(one);
      },
      held: () => two,
      as: { kind: "skipped", reason: "quarantined" },
      open: async () => {
        const of = { channel: STABLE, closure: closure("same") };
        sure(await ops.call("liftQuarantine", { params: of, body: BECAUSE }));
      },
    },
  ],
  offline: [
    {
      trigger: () => releases([["web-1", "web-2", "web-3"]]),
      held: () => agent("web-3"),
      as: { kind: "never-seen" },
      asked: "fleet",
      open: async () => void (await agent("web-3").heartbeat()),
    },
  ],
  refused: [
    {
      trigger: async () => {
        await releases(both);
        const { rolloutId, attempt, dispatchedAt, soakDueAt } = await offered(one);
        const of = { attempt, dispatchedAt, soakDueAt, rejectedAt: plane.time.now };
        const why = { code: "unsigned", reason: "no", retryable: false } as const;
        const reject = { kind: "DispatchReject", ...of, ...why } as const;
        await one.send(rolloutId, [reject]);
      },
      held: () => one,
      open: async () =>
        void sure(await ops.call("retryHost", { params: { host: one.host }, body: BECAUSE })),
    },
  ],
  "channel-edge": [
    {
      trigger: () => {
        const channelEdges = [{ gates: "lab", gated: "stable", reason: "lab first" }];
        return releases(both, inTwoChannels({ channelEdges }));
      },
      held: () => two,
      open: () => converges(one),
    },
  ],
  wave: [
    {
      trigger: () => releases([["web-1"], ["web-2"]]),
      held: () => two,
      open: () => converges(one),
    },
  ],
  "host-edge": [
    {
      trigger: () => {
        const edges = [{ gates: "web-1", gated: "web-2", reason: "the database first" }];
        return releases(both, { edges });
      },
      held: () => two,
      open: () => converges(one),
    },
  ],
  "host-busy": [
    {
      trigger: async () => {
        await releases(both, {}, "first");
        const offer = await offered(one);
        const all = one.upToHealth(offer, "pass");
        await one.send(offer.rolloutId, all.slice(0, 2));
        rest = () => one.send(offer.rolloutId, all.slice(2));
        await releases(both, {}, "second");
      },
      held: () => one,
      open: async () => void (await rest()),
    },
  ],
  budget: [
    {
      trigger: () =>
        releases(both, { budgets: [{ name: "a", select: { all: true }, maxInFlight: 1 }] }),
      held: () => two,
      open: () => converges(one),
    },
  ],
};

const answerOf = async ({ host }: ScriptedAgent): Promise<unknown> =>
  sure(await ops.call("getWhy", { params: { host } })).explanation.answer;

describe.each(GATES.map(({ name }) => name))("hazard 16: the gate %s", (gate) => {
  test.each(SCENES[gate])("hands nothing out while it is closed, and does after", async (scene) => {
    await scene.trigger();
    const held = scene.held();
    expect(await answerOf(held)).toMatchObject(scene.as ?? { kind: "gate", block: { gate } });
    if (scene.asked === "fleet")
      expect(plane.plane.writer.fleet().openDispatch(held.host)).toBeNull();
    else expect(await held.poll(0)).toBeNull();
    await scene.open();
    expect(await held.poll(0)).toMatchObject({ channel: expect.any(String) });
  });
});
