import { isInFlight, nextSeq } from "@nixwave/effects";
import { Steps } from "./ending.ts";
import { currentOf, journalOf } from "./host.ts";
import { contactOf, Model } from "./model.ts";
import { aStepAgo, NOW } from "./rows.ts";
import type { Setting, Spend } from "./setting.ts";
import { StateTable } from "./stateTable.ts";
import type { Watch } from "./watch.ts";

export interface Bounds {
  readonly statesMax: number;
  readonly secondsMax: number;
  readonly onProgress?: (found: Found) => void;
}

export interface Found {
  readonly world: Setting;
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly seconds: number;
  /** `closure`: every state that can be reached was. */
  readonly end: "closure" | "depth" | "states" | "seconds" | "failure";
  readonly parts: { readonly hosts: number; readonly planes: number };
  readonly failure: Failure | null;
  readonly watch: Watch;
}

export interface Failure {
  readonly what: string;
  /** The shortest path to it. */
  readonly path: readonly string[];
}

const SPENDS = ["faults", "copies", "acts"] as const satisfies readonly Spend[];

interface State {
  readonly hosts: readonly number[];
  readonly plane: number;
  readonly spent: readonly number[];
}

interface Step {
  readonly label: string;
  readonly state: State;
  readonly broken: string | null;
  /** It is something that must happen sooner or later, not a fault or a person's whim. */
  readonly isOwed: boolean;
}

/** Breadth first over every interleaving, so that the first failure found has a shortest path. */
export class Search {
  readonly model: Model;
  readonly #world: Setting;
  readonly #table: StateTable;
  readonly #parents: number[] = [];
  readonly #depths: number[] = [];
  /** What must happen sooner or later, and where all is over or has an answer that says what would move it (I14). */
  readonly #owed = new Steps();
  readonly #ends: number[] = [];
  #transitions = 0;

  constructor(world: Setting) {
    this.#world = world;
    this.model = new Model(world);
    this.#table = new StateTable(this.model.names.length + 2);
  }

  run(bounds: Bounds, now: () => number): Found {
    const began = now();
    const { hosts, plane, broken } = this.model.start();
    this.#add({ hosts, plane, spent: SPENDS.map(() => 0) }, -1);
    const found = (end: Found["end"], failure: Failure | null): Found => ({
      world: this.#world,
      states: this.#table.size,
      transitions: this.#transitions,
      depth: this.#depths.at(-1) ?? 0,
      seconds: (now() - began) / 1000,
      end,
      parts: { hosts: this.model.hosts.size, planes: this.model.planes.size },
      failure,
      watch: this.model.watch,
    });
    if (broken !== null) return found("failure", { what: broken, path: [] });
    for (let at = 0; at < this.#table.size; at += 1) {
      if ((this.#depths[at] ?? 0) >= (this.#world.depthMax ?? Number.POSITIVE_INFINITY))
        return found("depth", null);
      const failure = this.#expand(at);
      if (failure !== null) return found("failure", failure);
      if (at % 10_000 !== 9_999) continue;
      bounds.onProgress?.(found("seconds", null));
      if (this.#table.size > bounds.statesMax) return found("states", null);
      if (now() - began > bounds.secondsMax * 1000) return found("seconds", null);
    }
    const endless = this.#owed.firstWithoutEnd(this.#table.size, this.#ends);
    if (endless === null) return found("closure", null);
    const what = "I14: endless, without a fault or a person no end is reached any more from here";
    return found("failure", this.#failure(what, endless, null));
  }

  #expand(at: number): Failure | null {
    const state = this.#stateAt(at);
    let isStuck = true;
    for (const step of this.#steps(state)) {
      this.#transitions += 1;
      if (step.broken !== null) return this.#failure(step.broken, at, step.label);
      const added = this.#add(step.state, at);
      if (!step.isOwed || added === at) continue;
      isStuck = false;
      this.#owed.add(at, added);
    }
    const reason = this.model.rest(state.plane);
    // Heartbeats and clocks may go on there for ever, and change nothing that matters.
    if (reason === null) this.#ends.push(at);
    return reason === null || !isStuck
      ? null
      : this.#failure(`I14: a deadlock, ${reason}`, at, null);
  }

  #add({ hosts, plane, spent }: State, parent: number): number {
    const packed = spent.reduce((sum, each) => sum * 8 + each, 0);
    const { at, isNew } = this.#table.add([...hosts, plane, packed]);
    if (isNew) {
      this.#parents[at] = parent;
      this.#depths[at] = parent < 0 ? 0 : (this.#depths[parent] ?? 0) + 1;
    }
    return at;
  }

  #stateAt(at: number): State {
    const row = this.#table.row(at);
    const [plane = 0, packed = 0] = row.slice(-2);
    const spent = SPENDS.map(
      (_, place) => Math.floor(packed / 8 ** (SPENDS.length - 1 - place)) % 8,
    );
    return { hosts: row.slice(0, -2), plane, spent };
  }

  *#steps(state: State): Generator<Step> {
    for (const [place, name] of this.model.names.entries()) {
      yield* this.#hostSteps(state, place, name);
      yield* this.#wireSteps(state, place, name);
    }
    yield* this.#planeSteps(state);
  }

  *#hostSteps(state: State, place: number, name: string): Generator<Step> {
    const id = state.hosts[place] ?? 0;
    if (this.model.hosts.of(id).outbox.length >= this.#world.lagMax) return;
    for (const [nth, move] of this.model.movesOf(id).entries()) {
      const { label, spends } = move;
      const spent = spend(state.spent, spends, this.#world);
      if (spent === null) continue;
      const { next, broken } = this.model.moved(id, nth, move);
      const hosts = state.hosts.with(place, next);
      const to = { ...state, hosts, spent };
      yield { label: `${name} ${label}`, state: to, broken, isOwed: spends === null };
    }
  }

  *#wireSteps(state: State, place: number, name: string): Generator<Step> {
    const id = state.hosts[place] ?? 0;
    const host = this.model.hosts.of(id);
    if (host.copy !== null) {
      const { next, broken } = this.model.copyArrives(id);
      const to = { ...state, hosts: state.hosts.with(place, next) };
      yield { label: `${name}'s batch arrives once more`, state: to, broken, isOwed: true };
    }
    if (!host.isAlive) return;
    if (host.outbox.length > 0) yield* this.#sendSteps(state, place, name);
    const { sights, dispatches, marks } = this.model.planes.of(state.plane);
    const sight = sights[place];
    const own = dispatches.filter((each) => each.host === host.host);
    const isOut = own.some(
      ({ state: is, leaseUntil }) =>
        is === "queued" || (is === "handed-out" && leaseUntil !== null && leaseUntil < NOW),
    );
    const isRejecting = host.outbox.some(
      ({ envelope }) => envelope.event.kind === "DispatchReject",
    );
    if (isOut && host.offer === null && !isRejecting) {
      const arrival = this.model.arrivals.id({ kind: "poll", ...contactOf(host) });
      yield this.#arrives(state, arrival, `${name} polls`, place);
    }
    const isUnheard = sight?.journalId !== journalOf(host) || sight.heardAt === aStepAgo;
    const isMissed = marks.some(
      ({ host: of, lostAt, skippedAt }) =>
        of === host.host && (lostAt !== null || skippedAt !== null),
    );
    const mayFree = own.some(
      ({ state: is, leaseUntil }) =>
        (is === "cancelled" || is === "superseded") && leaseUntil === aStepAgo,
    );
    if (isUnheard || isMissed || mayFree) {
      const streams = host.records
        .filter(({ lastSeq }) => lastSeq > 0)
        .map(({ rolloutId, attempt }) => ({
          rolloutId,
          attempt,
          // Rows keep no numbers: 1 is more than the mirror has, 0 is not.
          lastSeq: host.outbox.some(({ envelope }) => envelope.rolloutId === rolloutId)
            ? nextSeq(0)
            : (0 as const),
        }));
      const arrival = this.model.arrivals.id({ kind: "heartbeat", ...contactOf(host), streams });
      yield this.#arrives(state, arrival, `${name} sends a heartbeat`, null);
    }
  }

  *#sendSteps(state: State, place: number, name: string): Generator<Step> {
    const id = state.hosts[place] ?? 0;
    const { arrival, acked, broken } = this.model.sending(id);
    const after = (host: number): State => ({ ...state, hosts: state.hosts.with(place, host) });
    const sent = this.#arrives(after(acked), arrival, `${name}'s events arrive`, null);
    yield broken === null ? sent : { ...sent, broken };
    const spent = spend(state.spent, "copies", this.#world);
    if (spent === null) return;
    const late = { ...after(this.model.unreceipted(id)), spent };
    yield {
      ...this.#arrives(late, arrival, `${name}'s events arrive, and their receipt is lost`, null),
      isOwed: false,
    };
    const twice = { ...after(this.model.copied(id)), spent };
    yield {
      ...this.#arrives(twice, arrival, `${name}'s events arrive, and will once more`, null),
      isOwed: false,
    };
    if (this.#world.bug !== "outbox-emptied-early") return;
    const emptied = this.model.derive(id, "emptied", { outbox: [] });
    const lost = { ...after(emptied), spent };
    yield { label: `${name}'s events are lost`, state: lost, broken: null, isOwed: false };
  }

  *#planeSteps(state: State): Generator<Step> {
    const { model } = this;
    const rows = model.planes.of(state.plane);
    const alive = state.hosts.map((id) => model.hosts.of(id)).filter(({ isAlive }) => isAlive);
    const heard = alive.map(contactOf);
    yield this.#clock(state, heard, "the CP's clock passes what was open");
    if (rows.released < this.#world.releases) {
      const arrival = model.arrivals.id({ kind: "release" });
      yield this.#arrives(state, arrival, "a new release appears", null);
    }
    const faulty = spend(state.spent, "faults", this.#world);
    if (faulty !== null) {
      const after = { ...state, spent: faulty };
      const restart = model.arrivals.id({ kind: "restart" });
      yield {
        ...this.#arrives(after, restart, "the CP is killed and starts again", null),
        isOwed: false,
      };
      for (const missing of heard) {
        const others = heard.filter((each) => each !== missing);
        const label = `the CP's clock passes what was open, and ${missing.host} is not heard meanwhile`;
        yield { ...this.#clock(after, others, label), isOwed: false };
      }
    }
    const acted = spend(state.spent, "acts", this.#world);
    if (acted === null) return;
    for (const act of this.#world.operators)
      for (const host of act === "retry" ? model.names : model.names.slice(0, 1)) {
        const arrival = model.arrivals.id({ kind: "operator", act, host });
        const label = `an operator says ${act}${act === "retry" ? ` ${host}` : ""}`;
        yield { ...this.#arrives({ ...state, spent: acted }, arrival, label, null), isOwed: false };
      }
  }

  /** What a lease allowed is over with it, on both sides. */
  #clock(state: State, heard: readonly ReturnType<typeof contactOf>[], label: string): Step {
    const { model } = this;
    const arrival = model.arrivals.id({ kind: "clock", heard });
    const hosts = state.hosts.map((id) =>
      model.hosts.of(id).offer === null ? id : model.derive(id, "no offer", { offer: null }),
    );
    return this.#arrives({ ...state, hosts }, arrival, label, null);
  }

  #arrives(state: State, arrival: number, label: string, poller: number | null): Step {
    const { model } = this;
    const { next, offer, queued, broken } = model.arrive(state.plane, arrival);
    const dispatched =
      poller !== null && offer !== null
        ? state.hosts.with(poller, model.offered(state.hosts[poller] ?? 0, offer))
        : state.hosts;
    const hosts = next === state.plane ? dispatched : model.joined(dispatched, next);
    const over = queued.length === 0 ? null : this.#overBudget(hosts, next, queued);
    return {
      label,
      state: { ...state, hosts, plane: next },
      broken: broken ?? over,
      isOwed: true,
    };
  }

  /** I9 by what the machines do, not by what the CP believes of them. */
  #overBudget(hosts: readonly number[], plane: number, queued: readonly string[]): string | null {
    const { maxInFlight } = this.#world;
    if (maxInFlight === null) return null;
    const { marks, records } = this.model.planes.of(plane);
    const moving = hosts
      .map((id) => this.model.hosts.of(id))
      .filter((host) => {
        const record = currentOf(host);
        if (record === null || !isInFlight(record) || queued.includes(host.host)) return false;
        const isExcused = marks.some(
          ({ host: of, lostAt, skippedAt, forgottenAt }) =>
            of === host.host && (lostAt !== null || skippedAt !== null || forgottenAt !== null),
        );
        const known = records.find(
          (each) => each.host === host.host && each.rolloutId === record.rolloutId,
        );
        return !isExcused && known?.kind !== "Deferred";
      });
    if (moving.length + queued.length <= maxInFlight) return null;
    const names = moving.map(({ host }) => host).join(", ");
    return `I9: ${queued.join(", ")} gets a dispatch while ${names} is in flight, and ${maxInFlight} may be`;
  }

  #failure(what: string, at: number, label: string | null): Failure {
    const path: string[] = label === null ? [] : [label];
    for (let to = at; to > 0; ) {
      const from = this.#parents[to] ?? 0;
      const steps = [...this.#steps(this.#stateAt(from))];
      path.unshift(steps.find(({ state }) => this.#add(state, from) === to)?.label ?? "…");
      to = from;
    }
    return { what, path };
  }
}

function spend(
  spent: readonly number[],
  what: Spend | null,
  world: Setting,
): readonly number[] | null {
  if (what === null) return spent;
  const place = SPENDS.indexOf(what);
  const now = spent[place] ?? 0;
  return now < world.spend[what] ? spent.with(place, now + 1) : null;
}
