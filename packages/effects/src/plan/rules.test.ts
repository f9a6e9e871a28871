import { describe, expect, test } from "vitest";
import { addSecs } from "../time.ts";
import { act } from "./agent.fixture.ts";
import {
  ControlPlane,
  channel,
  closure,
  freezeId,
  host,
  idOf,
  journal,
  START,
} from "./controlPlane.fixture.ts";
import { explainHost } from "./explain.ts";
import { GATES } from "./gates.ts";
import { operatorPaused } from "./inputs.ts";
import { plan, planAll } from "./plan.ts";
import { releaseOf, type Spec } from "./release.fixture.ts";
import { reloaded } from "./reload.fixture.ts";
import type { GateName } from "./waiting.ts";

const stable = channel("stable");
const who = { by: "ops-1", reason: "a look" };

function verified(
  cp: ControlPlane,
  spec: Partial<Spec> & Pick<Spec, "waves">,
  current = true,
): void {
  const release = releaseOf({ channel: "stable", ref: "a", createdAt: cp.now, ...spec });
  cp.commit({ kind: "ReleaseVerified", release, current, at: cp.now });
}

function heard(cp: ControlPlane, ...names: readonly string[]): ControlPlane {
  for (const name of names) cp.heard(host(name));
  return cp;
}

function deeds(
  cp: ControlPlane,
  name: string,
  ...what: readonly Parameters<typeof act>[2][]
): void {
  for (const deed of what) {
    const dispatch = cp.fleet.openDispatch(host(name));
    const record = cp.fleet.recordsOf(host(name)).at(-1);
    expect(record).toBeDefined();
    if (record !== undefined)
      expect(act(cp, record, deed, dispatch?.attempt ?? record.attempt)).toBe(true);
  }
}

const converges = ["ack", "run", "converge"] as const;
const dispatched = (cp: ControlPlane, ...names: readonly string[]) =>
  names.filter((name) => cp.fleet.openDispatch(host(name)) !== null);

test("GATES is the table of the design, in its order, and has every gate of the union", () => {
  const order: readonly GateName[] = [
    "rollout-halted",
    "replay",
    "release-unverified",
    "paused",
    "frozen",
    "channel-conflict",
    "duplicate-host",
    "quarantine",
    "offline",
    "refused",
    "channel-edge",
    "wave",
    "host-edge",
    "host-busy",
    "budget",
  ];
  expect(GATES.map(({ name }) => name)).toEqual(order);
  const missing: Exclude<GateName, (typeof GATES)[number]["name"]>[] = [];
  expect(missing).toEqual([]);
});

describe("never", () => {
  test("does a gating and a gated channel open and move in one tick; what was stored goes before what the tick does (hazards 19 and 20)", () => {
    const cp = heard(new ControlPlane(), "web-1", "l-1");
    const releases = [
      releaseOf({
        channel: "app",
        ref: "a",
        createdAt: cp.now,
        waves: [["web-1"]],
        after: ["lab"],
      }),
      releaseOf({ channel: "lab", ref: "a", createdAt: cp.now, waves: [["l-1"]] }),
    ];
    cp.commit(
      ...releases.map(
        (release) => ({ kind: "ReleaseVerified", release, current: true, at: cp.now }) as const,
      ),
    );
    expect(cp.fleet.channels()).toEqual(["lab", "app"]);
    expect(dispatched(cp, "web-1", "l-1")).toEqual(["l-1"]);
    deeds(cp, "l-1", ...converges);
    expect(dispatched(cp, "web-1")).toEqual(["web-1"]);
  });

  test("does the predecessor's Completed of a former ref open an edge (hazard 21), nor is a Completed one forgotten (hazard 22)", () => {
    const cp = heard(new ControlPlane(), "web-1", "l-1");
    verified(cp, { channel: "lab", waves: [["l-1"]] });
    deeds(cp, "l-1", ...converges);
    cp.now = addSecs(cp.now, 1);
    verified(cp, { channel: "lab", ref: "b", waves: [["l-1"]] });
    verified(cp, { waves: [["web-1"]], after: ["lab"] });
    expect(dispatched(cp, "web-1")).toEqual([]);
    deeds(cp, "l-1", ...converges);
    expect(dispatched(cp, "web-1")).toEqual(["web-1"]);
  });

  test("is a host dispatched to that no wave lists (hazard 25)", () => {
    const cp = heard(new ControlPlane(), "web-1", "stray");
    verified(cp, { waves: [["web-1"]], budgets: [{ name: "web", max: 5, hosts: ["stray"] }] });
    expect(dispatched(cp, "stray")).toEqual([]);
    expect(explainHost(cp.fleet, host("stray"), cp.now).answer.kind).toBe("unlisted");
  });

  test("is a budget's resolved limit read in any other way than as it is signed (hazard 28)", () => {
    const names = ["w-1", "w-2", "w-3", "w-4"];
    const cp = heard(new ControlPlane(), ...names);
    verified(cp, { waves: [names], budgets: [{ name: "web", max: 3, hosts: names }] });
    expect(dispatched(cp, ...names)).toEqual(["w-1", "w-2", "w-3"]);
  });

  test("is a wave complete because rows are missing (hazard 31)", () => {
    const cp = heard(new ControlPlane(), "web-1");
    verified(cp, { waves: [["web-1", "web-2"], ["web-3"]] });
    deeds(cp, "web-1", ...converges);
    expect(cp.fleet.newestRollout(stable)?.cursor).toBe(1);
    expect(cp.fleet.waves(idOf(stable, "a"))[0]).toMatchObject({ hosts: 2, done: 1, proven: 1 });
  });

  test("does a failure count twice, or for longer than its attempt (hazard 32)", () => {
    const cp = heard(new ControlPlane(), "web-1", "web-2");
    verified(cp, { waves: [["web-1", "web-2"]], policy: { maxFailures: 1 } });
    deeds(cp, "web-1", "ack", "break", "rollbackFailed", "rollbackFailed");
    expect(cp.fleet.failures(idOf(stable, "a"))).toEqual({
      failures: 1,
      reverted: 0,
      maxFailures: 1,
    });
    expect(cp.fleet.newestRollout(stable)?.kind).toBe("Active");
    deeds(cp, "web-1", "revert");
    expect(cp.fleet.failures(idOf(stable, "a"))).toEqual({
      failures: 1,
      reverted: 1,
      maxFailures: 1,
    });
  });

  test("does a failure count that is over by then, where one host is found and another lost in the same plan (hazard 32)", () => {
    const names = ["web-1", "web-2"];
    const cp = heard(new ControlPlane(), ...names);
    verified(cp, { waves: [names], policy: { maxFailures: 1 } });
    for (const name of names) deeds(cp, name, "ack", "run");
    cp.now = addSecs(cp.now, 600);
    heard(cp, "web-2");
    cp.now = addSecs(cp.now, 350);
    cp.commit();
    cp.now = addSecs(cp.now, 600);
    heard(cp, "web-1");
    expect(cp.inputs.slice(-3).map(({ kind }) => kind)).toEqual([
      "HostLost",
      "HostFound",
      "HostLost",
    ]);
    expect(cp.fleet.newestRollout(stable)?.kind).toBe("Active");
  });

  test("does a channel that can't be verified open an edge (hazard 33)", () => {
    const cp = heard(new ControlPlane(), "web-1");
    cp.commit({
      kind: "ChannelUnverified",
      channel: channel("lab"),
      reason: "no metadata",
      since: START,
    });
    verified(cp, { waves: [["web-1"]], after: ["lab"] });
    expect(dispatched(cp, "web-1")).toEqual([]);
    expect(explainHost(cp.fleet, host("web-1"), cp.now).clears).toBe("nixwave refresh");
  });

  test("is a host looked at twice in one plan (hazard 35)", () => {
    const names = ["w-1", "w-2", "w-3"];
    const cp = heard(new ControlPlane(), ...names);
    verified(cp, {
      waves: [names],
      budgets: [
        { name: "a", max: 1, hosts: names },
        { name: "b", max: 1, hosts: names },
      ],
    });
    cp.now = addSecs(cp.now, 1);
    verified(cp, { ref: "b", waves: [names], budgets: [{ name: "a", max: 1, hosts: names }] });
    const waiting = planAll(cp.fleet, cp.now).waiting.map(({ host: name }) => name);
    expect(waiting).toEqual([...new Set(waiting)]);
    expect(waiting).toEqual(["w-2", "w-3"]);
  });

  test("is a release opened again, or one that is older than any opened, even after it was pruned (hazards 23, 36 and 70)", () => {
    const cp = heard(new ControlPlane(), "web-1");
    cp.now = addSecs(cp.now, 10);
    verified(cp, { waves: [["web-1"]] });
    deeds(cp, "web-1", ...converges);
    cp.fold({ kind: "RetentionExpired", rolloutId: idOf(stable, "a"), at: cp.now });
    verified(cp, { waves: [["web-1"]] });
    verified(cp, { ref: "b", waves: [["web-1"]], createdAt: START });
    expect(cp.fleet.rolloutsOf(stable).map(({ kind }) => kind)).toEqual(["Pruned"]);
    expect(dispatched(cp, "web-1")).toEqual([]);
  });

  test("does a plan change its fleet, and asking twice gives the same", () => {
    const cp = heard(new ControlPlane(), "web-1", "web-2");
    const release = releaseOf({
      channel: "stable",
      ref: "a",
      createdAt: cp.now,
      waves: [["web-1", "web-2"]],
    });
    cp.fleet.apply({ kind: "ReleaseVerified", release, current: true, at: cp.now });
    const first = plan(cp.fleet, cp.now);
    expect(first.inputs).toHaveLength(1);
    expect(plan(cp.fleet, cp.now)).toEqual(first);
  });
});

describe("what a host is known to run", () => {
  const drift = (fleet: ControlPlane["fleet"]) => ({
    drifted: fleet.hasDrifted(idOf(stable, "a"), host("web-1")),
    runs: fleet.runningClosure(host("web-1")),
  });
  const web1 = closure("web-1-a");
  const other = closure("other");

  test("is what an event says until a heartbeat that was written after it, whenever that arrives", () => {
    const cp = new ControlPlane();
    cp.heard(host("web-1"), { runs: other });
    verified(cp, { waves: [["web-1"]] });
    expect(drift(cp.fleet).runs).toBe(other);
    deeds(cp, "web-1", "ack", "run");
    const written = cp.fleet.host(host("web-1"))?.report ?? null;
    const record = cp.fleet.record(idOf(stable, "a"), host("web-1"));
    if (written === null || record === null || record.lastSeq === 0) throw new Error("no stream");
    deeds(cp, "web-1", "converge");
    const streams = [
      { rolloutId: record.rolloutId, attempt: record.attempt, lastSeq: record.lastSeq },
    ];
    const at = addSecs(cp.now, 5);
    const report = { ...written, currentClosure: other, streams };
    cp.commit({ kind: "HostHeard", host: host("web-1"), journalId: journal("a"), at, report });
    expect(drift(cp.fleet)).toEqual({ drifted: false, runs: web1 });
    cp.heard(host("web-1"), { runs: other });
    expect(drift(cp.fleet)).toEqual({ drifted: true, runs: other });
  });

  test("is no drift by a heartbeat that this control plane did not hear itself", () => {
    const cp = new ControlPlane();
    cp.heard(host("web-1"));
    verified(cp, { waves: [["web-1"]] });
    deeds(cp, "web-1", ...converges);
    cp.heard(host("web-1"), { runs: other });
    expect(drift(reloaded(cp))).toEqual({ drifted: true, runs: other });
    const restarted = reloaded(cp, addSecs(cp.now, 1));
    expect(drift(restarted)).toEqual({ drifted: false, runs: other });
    const report = cp.fleet.host(host("web-1"))?.report ?? null;
    const at = addSecs(cp.now, 2);
    restarted.apply({
      kind: "HostHeard",
      host: host("web-1"),
      journalId: journal("a"),
      at,
      report,
    });
    expect(drift(restarted)).toEqual({ drifted: true, runs: other });
  });
});

describe("one event costs the same in a fleet of any size", () => {
  const looks = (hosts: number, happens: (cp: ControlPlane) => void) => {
    const names = Array.from({ length: hosts }, (_, at) => `w-${String(at).padStart(6, "0")}`);
    let looked = 0;
    const cp = new ControlPlane({
      planned: (next) => {
        looked += next.notes.decided.length;
      },
      queued: () => undefined,
    });
    for (const name of names)
      cp.fleet.apply({
        kind: "HostHeard",
        host: host(name),
        journalId: journal("a"),
        at: cp.now,
        report: null,
      });
    verified(cp, {
      waves: [names.slice(0, hosts / 2), names.slice(hosts / 2)],
      budgets: [{ name: "web", max: 5, hosts: names }],
    });
    looked = 0;
    happens(cp);
    return looked;
  };
  const costs = (happens: (cp: ControlPlane) => void) => [
    looks(100, happens),
    looks(20_000, happens),
  ];
  const first = "w-000000";

  test.each<[string, (cp: ControlPlane) => void]>([
    ["a host runs and frees its slot for the next", (cp) => deeds(cp, first, ...converges)],
    ["a host is heard", (cp) => cp.heard(host(first))],
    [
      "a pause and its end",
      (cp) => {
        cp.submit(
          operatorPaused(
            cp.fleet,
            idOf(stable, "a"),
            { ...who, until: addSecs(cp.now, 60) },
            cp.now,
          ),
        );
        cp.now = addSecs(cp.now, 60);
        cp.commit();
      },
    ],
    ["a failure that halts", (cp) => deeds(cp, first, "ack", "break", "revert")],
    [
      "a freeze of all, and a budget that frees meanwhile",
      (cp) => {
        deeds(cp, first, "ack", "run");
        cp.fold({
          kind: "Frozen",
          at: cp.now,
          freeze: {
            freezeId: freezeId("1"),
            scope: { kind: "all" },
            since: cp.now,
            until: null,
            ...who,
          },
        });
        deeds(cp, first, "converge");
      },
    ],
  ])("%s", (_, happens) => {
    const [small = 0, large = 1] = costs(happens);
    expect(large).toBe(small);
    expect(large).toBeLessThan(40);
  });
});
