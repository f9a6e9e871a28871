import { join } from "node:path";
import { isHostName, type RolloutId } from "@nixwave/effects";
import { CP, type DemoFleet } from "../demo/fleet.ts";
import { openReadOnly, texts } from "../endToEnd/ends.ts";
import type { Place } from "./places.ts";

/** Where nothing is committed yet, so that no dispatch can be lost on its way to its host. */
const BEFORE_IT_IS_HANDED_OUT: ReadonlySet<string> = new Set(["before-commit", "inside-commit"]);

/**
 * When the control plane dies at which of its places. A dispatch whose answer dies with it is its host's for the length of a lease,
 * 120 s from the next start, and each such wait would be longer than all the rest. So it dies inside of what hands dispatches
 * out, and behind commits once every host has acknowledged. In between it is started anew, so that no place stays armed. What is
 * left when the fleet has come to rest, on a machine on which all happens at once, an operator's commands bring it to.
 */
export class Agenda {
  readonly #early: Place[];
  readonly #late: Place[];
  #phase: "quiet" | "early" | "late" = "quiet";
  #armed: Place | null = null;

  constructor(places: readonly Place[]) {
    this.#early = places.filter(({ point }) => BEFORE_IT_IS_HANDED_OUT.has(point));
    this.#late = places.filter(({ point }) => !BEFORE_IT_IS_HANDED_OUT.has(point));
  }

  /** Asked when the control plane is started: where it is to die, or null. */
  next(): Place | null {
    const [place = null] =
      this.#phase === "early" ? this.#early : this.#phase === "late" ? this.#late : [];
    this.#armed = place;
    return place;
  }

  /** It has died: where, or null where it was killed in between. */
  died(): Place | null {
    const place = this.#armed;
    this.#armed = null;
    if (place === null) return null;
    const list = this.#phase === "early" ? this.#early : this.#late;
    list.shift();
    // One of them for each chapter.
    if (this.#phase === "early") this.#phase = "quiet";
    return place;
  }

  async begins(fleet: DemoFleet): Promise<void> {
    await this.#startIn("early", fleet);
  }

  async released(fleet: DemoFleet, rolloutId: RolloutId): Promise<void> {
    const what = "an acknowledgement of every host";
    await fleet.until({ what, timeoutSecs: 400 }, async () =>
      acknowledged(fleet, rolloutId) === fleet.hosts.length ? true : null,
    );
    await this.#startIn("late", fleet);
  }

  async ended(fleet: DemoFleet, isLast: boolean): Promise<void> {
    if (isLast) await this.#finish("early", fleet);
    if (isLast) await this.#finish("late", fleet);
    if (this.#armed !== null) await this.#startIn("quiet", fleet);
    this.#phase = "quiet";
  }

  /** Each freeze is a commit, and with everybody at rest it holds nobody. */
  async #finish(phase: "early" | "late", fleet: DemoFleet): Promise<void> {
    const places = phase === "early" ? this.#early : this.#late;
    if (places.length === 0) return;
    if (this.#phase !== phase || this.#armed === null) await this.#startIn(phase, fleet);
    const what = `the death of the control plane at ${places.map(({ point }) => point).join(", ")}`;
    await fleet.until({ what, timeoutSecs: 400 }, async () => {
      if (places.length === 0) return true;
      // It has died at one of them, and was started again without the next.
      if (this.#phase !== phase) await this.#startIn(phase, fleet);
      const hosts = fleet.hosts.map(({ name }) => name).filter(isHostName);
      const reason = "the matrix wants a commit";
      await fleet.client.call("postFreeze", {
        body: { scope: { kind: "hosts", hosts }, reason, until: null },
      });
      return null;
    });
  }

  /** The supervisor starts it again, as `next` says. */
  async #startIn(phase: "quiet" | "early" | "late", fleet: DemoFleet): Promise<void> {
    const wanted = phase === "early" ? this.#early : phase === "late" ? this.#late : [];
    if (wanted.length === 0 && this.#armed === null) return;
    this.#phase = phase;
    this.#armed = null;
    await fleet.kill(CP);
  }
}

function acknowledged(fleet: DemoFleet, rolloutId: RolloutId): number {
  const db = openReadOnly(join(fleet.data, "cp.db"));
  try {
    return texts(
      db,
      "SELECT host AS text FROM host_rollouts WHERE rollout_id = ? AND state <> 'Pending'",
      rolloutId,
    ).length;
  } finally {
    db.close();
  }
}
