import {
  type Explanation,
  explainHost,
  type Fleet,
  type HostName,
  type Instant,
  planAll,
  type RolloutId,
} from "@nixwave/effects";
import type { SimHost } from "./agentProcess.ts";
import { AgentWatch } from "./agentWatch.ts";
import { ControlPlaneWatch } from "./controlPlaneWatch.ts";
import { isEverCloned } from "./scenario.ts";
import { shuffledPlan } from "./shuffled.ts";
import { thrown } from "./thrown.ts";
import type { World } from "./world.ts";

/** Looks at every step of a world, on both sides; at crashes and at the end it looks at everything. */
export class Watch {
  readonly agents: AgentWatch;
  readonly controlPlane: ControlPlaneWatch;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.agents = new AgentWatch(world);
    this.controlPlane = new ControlPlaneWatch(world);
  }

  /** I5, I6 and I13 over what is on the CP's disk: after a crash of it, and at the end. */
  async stored(): Promise<void> {
    const { cp } = this.#world;
    const { now } = cp;
    const unclean = cp.disk.unclean();
    if (unclean !== null) this.#hold(unclean.invariant, unclean.what);
    const plans = shuffledPlan(await cp.disk.loaded(), now);
    if (plans !== null) this.#hold("I13", plans);
  }

  /** I10: the answer for one host. It is total, so whoever has none throws. */
  explained(fleet: Fleet, name: HostName, now: Instant): Explanation | null {
    try {
      return explainHost(fleet, name, now);
    } catch (cause) {
      this.#hold("I10", `${name} has no answer: ${thrown(cause).detail}`);
      return null;
    }
  }

  /** I13: nothing that the full plan would do is left undone by the incremental one. */
  planned(fleet: Fleet, now: Instant): void {
    const { inputs, effects } = planAll(fleet, now);
    const left = [...inputs, ...effects].map((each) => JSON.stringify(each));
    if (left.length > 0) this.#hold("I13", `the full plan finds ${left.slice(0, 2).join(", ")}`);
  }

  /** Both sides of every record, when all was sent and taken. */
  everyParity(fleet: Fleet): void {
    for (const host of this.#world.hosts.values()) {
      for (const own of host.journal?.all() ?? []) {
        if (own.kind === "opaque" || host.isGone) continue;
        const mirror = fleet.record(own.rolloutId, own.host);
        if (mirror === null || mirror.journalId !== own.journalId || own.lastSeq === 0) continue;
        if (mirror.lastSeq === own.lastSeq) this.controlPlane.parity(own, mirror);
        // What a clone has told that is gone since is not this machine's to tell.
        else if (isKept(host, own.rolloutId) && !isEverCloned(this.#world.scenario, own.host))
          this.#hold(
            "I6",
            `${own.host} is at ${own.lastSeq} of ${own.rolloutId}, its mirror at ${mirror.lastSeq}`,
          );
      }
    }
  }

  #hold(invariant: string, broken: string | null): void {
    if (broken !== null) this.#world.fail(invariant, broken);
  }
}

/** Only the newest streams are kept for a replay; a CP that was set back misses the end of older ones for ever. */
const isKept = (host: SimHost, rolloutId: RolloutId): boolean =>
  host.journal?.records.streams().some((stream) => stream.rolloutId === rolloutId) === true;
