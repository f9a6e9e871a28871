import { type HostName } from "../ids.ts";
import type { Release } from "../release.ts";
import { addSecs, instant } from "../time.ts";
import { act, type Deed } from "./agent.fixture.ts";
import {
  ControlPlane,
  channel,
  freezeId,
  host,
  idOf,
  journal,
  START,
  type Watcher,
} from "./controlPlane.fixture.ts";
import {
  frozen,
  operatorAdvanced,
  operatorCancelled,
  operatorCleared,
  operatorPaused,
  operatorResumed,
  operatorRetried,
  quarantineLifted,
  replayEnded,
  unfrozen,
} from "./inputs.ts";
import { releaseOf } from "./release.fixture.ts";

// A small fleet for random histories: two channels, two budgets, edges, losses and operators.

const HOSTS = ["a-1", "a-2", "b-1", "b-2", "c-1", "c-2", "c-3"] as const;
const LAB = ["l-1", "l-2"] as const;
export const EVERYONE = [...HOSTS, ...LAB];
export const DEEDS: readonly Deed[] = [
  "ack",
  "reject",
  "refuse",
  "run",
  "defer",
  "break",
  "converge",
  "fail",
  "rollbackFailed",
  "revert",
];
const REFS = "abcdef0123456789";
const who = { by: "ops-1", reason: "a test" };

export type Op =
  | { readonly kind: "release"; readonly channel: "stable" | "lab"; readonly shape: number }
  | { readonly kind: "deed"; readonly host: string; readonly deed: Deed }
  | { readonly kind: "well"; readonly host: string }
  /** No pause, freeze, revocation, replay or doubt is left; only what failed stays failed. */
  | { readonly kind: "calm"; readonly secs: number }
  /** Everyone but one host is heard and goes one step on, in time that passes. */
  | { readonly kind: "round"; readonly but: string; readonly secs: number }
  | { readonly kind: "handOut"; readonly host: string }
  | {
      readonly kind: "heard";
      readonly host: string;
      readonly leaving: boolean;
      readonly journal: string | null;
    }
  | { readonly kind: "tick"; readonly secs: number }
  | {
      readonly kind: "operator";
      readonly what: number;
      readonly host: string;
      readonly secs: number | null;
    };

/** One fleet under a history; `shuffle` turns the host lists round (I13). */
export class World {
  readonly cp: ControlPlane;
  readonly log: unknown[] = [];
  #releases = 0;
  readonly #shuffle: boolean;

  constructor(shuffle: boolean, watcher?: Watcher) {
    this.#shuffle = shuffle;
    this.cp = new ControlPlane({
      planned: (plan, cp) => {
        this.log.push(plan.inputs, plan.effects, plan.waiting);
        watcher?.planned(plan, cp);
      },
      queued: (name, cp) => watcher?.queued(name, cp),
    });
  }

  do(one: Op): void {
    const { cp } = this;
    switch (one.kind) {
      case "release":
        return this.#release(one.channel, one.shape);
      case "tick":
        cp.now = addSecs(cp.now, one.secs);
        return cp.commit();
      case "heard":
        return cp.heard(host(one.host), {
          leaving: one.leaving ? "off" : null,
          ...(one.journal === null ? {} : { journalId: journal(one.journal) }),
        });
      case "handOut":
        return cp.fleet.openDispatch(host(one.host)) === null
          ? undefined
          : cp.handOut(host(one.host));
      case "deed":
        return this.#deed(one.host, one.deed);
      case "well":
        return this.#well(one.host);
      case "round":
        cp.now = addSecs(cp.now, one.secs);
        for (const name of EVERYONE) {
          if (name === one.but) continue;
          cp.heard(host(name));
          this.#well(name);
        }
        return;
      case "calm":
        return this.#calm(one.secs);
      case "operator":
        return this.#operator(one.what, one.host, one.secs);
    }
  }

  #release(name: "stable" | "lab", shape: number): void {
    const digit = REFS[this.#releases];
    if (digit === undefined) return;
    this.#releases += 1;
    const isLab = name === "lab";
    const release = releaseOf({
      channel: name,
      ref: digit,
      createdAt: instant(START + this.#releases * 1000),
      waves: isLab
        ? [LAB]
        : [["a-1", "b-1"], ["a-2", "b-2", "c-1"], shape === 7 ? ["c-2", "l-1"] : ["c-2", "c-3"]],
      budgets: isLab
        ? []
        : [
            { name: "one", max: 1 + (shape % 2), hosts: ["a-1", "a-2", "c-1", "c-2"] },
            { name: "two", max: 2, hosts: ["b-1", "b-2", "c-1", "c-3"] },
          ],
      edges: isLab ? [] : [{ gates: "a-1", gated: "a-2" }],
      after: !isLab && shape % 4 === 1 ? ["lab"] : [],
      policy: { maxFailures: shape % 3, deferredCounts: shape % 2 === 0 ? "done" : "waiting" },
      ...(shape === 2 || shape === 6 ? { closure: "shared" } : {}),
    });
    this.cp.commit({
      kind: "ReleaseVerified",
      release: this.#turned(release),
      current: true,
      at: this.cp.now,
    });
  }

  #turned(release: Release): Release {
    if (!this.#shuffle) return release;
    return {
      ...release,
      hosts: release.hosts.toReversed(),
      budgets: release.budgets
        .map((one) => ({ ...one, hosts: one.hosts.toReversed() }))
        .toReversed(),
      edges: release.edges.toReversed(),
    };
  }

  #calm(secs: number): void {
    const { cp } = this;
    const { fleet, now } = cp;
    for (const freeze of fleet.freezes()) cp.submit(unfrozen(fleet, freeze.freezeId, who, now));
    for (const of of fleet.channels()) {
      cp.commit(
        { kind: "ChannelUnverified", channel: of, reason: null, since: now },
        { kind: "ReplayEnded", channels: [of] },
      );
      const newest = fleet.newestRollout(of);
      if (newest === null) continue;
      cp.submit(operatorResumed(fleet, newest.rolloutId, who, now));
      cp.submit(operatorCleared(fleet, newest.rolloutId, who, now));
    }
    for (const name of EVERYONE)
      cp.commit({ kind: "HostRevoked", host: host(name), revoked: false });
    cp.now = addSecs(now, secs);
    cp.commit();
  }

  /** Two machines under one name: each is answered under a journal of its own. */
  #forget(name: HostName): void {
    for (const digit of ["d", "e", "d", "e"]) this.cp.heard(name, { journalId: journal(digit) });
  }

  #deed(name: string, deed: Deed): void {
    const { cp } = this;
    const dispatch = cp.fleet.openDispatch(host(name));
    const newest = cp.fleet.recordsOf(host(name)).at(-1);
    const record =
      dispatch === null ? newest : (cp.fleet.record(dispatch.rolloutId, dispatch.host) ?? newest);
    if (record !== undefined) act(cp, record, deed, dispatch?.attempt ?? record.attempt);
  }

  /** Whatever brings the host forward. */
  #well(name: string): void {
    const { cp } = this;
    if (cp.fleet.openDispatch(host(name)) !== null) return this.#deed(name, "ack");
    const record = cp.fleet.recordsOf(host(name)).at(-1);
    if (record?.kind === "Activating" || record?.kind === "Deferred")
      return this.#deed(name, "run");
    if (record?.kind === "Soaking") return this.#deed(name, "converge");
    if (record?.kind === "Failed") return this.#deed(name, "revert");
  }

  #operator(what: number, name: string, secs: number | null): void {
    const { cp } = this;
    const { fleet, now } = cp;
    const on = host(name).startsWith("l-") ? channel("lab") : channel("stable");
    const newest = fleet.newestRollout(on);
    const until = { ...who, until: secs === null ? null : addSecs(now, secs) };
    const id = newest?.rolloutId ?? idOf(on, "a");
    const quarantined = fleet.quarantines()[0];
    const open = fleet.freezes()[0]?.freezeId ?? freezeId("9");
    const cursor = newest?.cursor ?? 1;
    const acts = [
      () => cp.submit(operatorPaused(fleet, id, until, now)),
      () => cp.submit(operatorResumed(fleet, id, who, now)),
      () => cp.submit(operatorResumed(fleet, id, who, now)),
      () => cp.submit(operatorCleared(fleet, id, who, now)),
      () => cp.submit(operatorCleared(fleet, id, who, now)),
      () => cp.submit(operatorAdvanced(fleet, { rolloutId: id, wave: cursor }, who, now)),
      () => cp.submit(operatorRetried(fleet, host(name), who, now)),
      () => cp.submit(operatorCancelled(fleet, id, who, now)),
      () => quarantined && cp.submit(quarantineLifted(fleet, quarantined, who, now)),
      () =>
        cp.submit(
          frozen(
            fleet,
            { freezeId: freezeId("1"), scope: { kind: "hosts", hosts: [host(name)] } },
            until,
            now,
          ),
        ),
      () =>
        cp.submit(
          frozen(
            fleet,
            { freezeId: freezeId("2"), scope: { kind: "channel", channel: on } },
            until,
            now,
          ),
        ),
      () => cp.submit(unfrozen(fleet, open, who, now)),
      () =>
        cp.commit({
          kind: "ChannelUnverified",
          channel: on,
          reason: secs === null ? null : "it has expired",
          since: now,
        }),
      () => cp.commit({ kind: "HostRevoked", host: host(name), revoked: secs !== null }),
      () => cp.commit({ kind: "ReplayBegan", channels: [on], since: now }),
      () => cp.submit(operatorResumed(fleet, id, who, now)),
      () => cp.submit(operatorCleared(fleet, id, who, now)),
      () => cp.submit(unfrozen(fleet, open, who, now)),
      () => this.#forget(host(name)),
      () =>
        secs === null
          ? cp.submit(replayEnded(fleet, [on], who, now))
          : cp.commit({ kind: "HostReplayed", host: host(name) }),
    ];
    acts[what]?.();
  }
}
