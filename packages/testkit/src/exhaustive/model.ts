import type { Dispatch, HostName } from "@nixwave/effects";
import { type Answered, type Arrival, arrive, type Contact, firstRows } from "./controlPlane.ts";
import { form } from "./form.ts";
import { type Host, journalOf, newHost, type Offer, put } from "./host.ts";
import { formOf } from "./hostForm.ts";
import { type HostMove, hostMoves } from "./hostMoves.ts";
import { Interned } from "./interned.ts";
import { restReason } from "./rest.ts";
import type { Rows } from "./rows.ts";
import { hostsOf, releaseOf, type Setting } from "./setting.ts";
import { Watch } from "./watch.ts";
import { deliver, deliverCopy } from "./wire.ts";

/** A step of one part of the world, found once however many worlds take it. */
export interface PartStep {
  readonly next: number;
  readonly broken: string | null;
}

export interface PlaneMove extends Pick<Answered, "queued"> {
  readonly next: number;
  readonly offer: Dispatch | null;
  readonly broken: string | null;
}

/** A batch that the CP takes: what arrives there, and the host with its receipt. */
interface Sending {
  readonly arrival: number;
  readonly acked: number;
  readonly mirror: Host["mirror"];
  readonly broken: string | null;
}

/**
 * The parts that worlds are made of. A host's own steps depend on nothing but the host, and the CP's on nothing but its rows and
 * what arrives: each is computed by the real functions once, and afterwards a step of a world is a few look-ups.
 */
export class Model {
  readonly world: Setting;
  readonly watch = new Watch();
  readonly names: readonly HostName[];
  readonly hosts = new Interned<Host>(formOf);
  readonly planes = new Interned<Rows>((rows) => form(rows, String));
  readonly arrivals = new Interned<Arrival>((arrival) => form(arrival, String));
  readonly #hostMoves: (readonly HostMove[])[] = [];
  readonly #hostSteps: PartStep[][] = [];
  readonly #planeMoves: Map<number, PlaneMove>[] = [];
  readonly #sendings: Sending[] = [];
  readonly #rests: (string | null)[] = [];
  readonly #derived = new Map<string, number>();

  constructor(world: Setting) {
    this.world = world;
    this.names = hostsOf(world);
  }

  /** The hosts and the CP at the start: the first release is open, and everyone was heard. */
  start(): {
    readonly hosts: readonly number[];
    readonly plane: number;
    readonly broken: string | null;
  } {
    const hosts = this.names.map(newHost);
    const rows = firstRows(this.world, hosts.map(contactOf), this.watch);
    const ids = hosts.map((host) => this.hosts.id(host));
    const plane = this.planes.id(rows);
    return { hosts: this.joined(ids, plane), plane, broken: this.watch.take() };
  }

  movesOf(id: number): readonly HostMove[] {
    return (this.#hostMoves[id] ??= hostMoves(this.hosts.of(id), this));
  }

  /** The n-th of a host's moves, done. A fault that no path can afford is never worked out. */
  moved(id: number, nth: number, move: HostMove): PartStep {
    const memo = (this.#hostSteps[id] ??= []);
    return (memo[nth] ??= { next: this.hosts.id(move.next()), broken: this.watch.take() });
  }

  arrive(plane: number, arrival: number): PlaneMove {
    const memo = (this.#planeMoves[plane] ??= new Map());
    const known = memo.get(arrival);
    if (known !== undefined) return known;
    const rows = this.planes.of(plane);
    const answered = arrive(rows, this.arrivals.of(arrival), this.world, this.watch);
    const move: PlaneMove = {
      next: this.planes.id(answered.rows),
      offer: answered.offer,
      queued: answered.queued,
      broken: this.watch.take(),
    };
    memo.set(arrival, move);
    return move;
  }

  sending(id: number): Sending {
    const known = this.#sendings[id];
    if (known !== undefined) return known;
    const host = this.hosts.of(id);
    const { mirror, mirrored } = deliver(host, this.watch);
    const arrival = this.arrivals.id({ kind: "events", ...contactOf(host), mirrored });
    const acked = this.hosts.id({ ...host, mirror, outbox: [] });
    const sending: Sending = { arrival, acked, mirror, broken: this.watch.take() };
    this.#sendings[id] = sending;
    return sending;
  }

  /** The CP has the batch, and the agent does not know. */
  unreceipted(id: number): number {
    return this.derive(id, "no receipt", { mirror: this.sending(id).mirror });
  }

  /** The network has kept a second copy of the batch. */
  copied(id: number): number {
    const { mirror } = this.sending(id);
    const copy = this.hosts.of(id).outbox.map(({ envelope }) => envelope);
    return this.derive(id, "copied", { mirror, outbox: [], copy });
  }

  /** What a copy on the wire does when it arrives, and the host without it. */
  copyArrives(id: number): { readonly next: number; readonly broken: string | null } {
    const host = this.hosts.of(id);
    const { copy } = host;
    // A former journal's batch is refused whole, before any line is looked at.
    if (copy !== null && copy.every(({ journalId }) => journalId === journalOf(host)))
      deliverCopy(host, copy, this.watch);
    return { next: this.derive(id, "no copy", { copy: null }), broken: this.watch.take() };
  }

  derive(id: number, how: string, change: Partial<Host>): number {
    const key = `${id} ${how}`;
    const known = this.#derived.get(key);
    if (known !== undefined) return known;
    const next = this.hosts.id({ ...this.hosts.of(id), ...change });
    this.#derived.set(key, next);
    return next;
  }

  offered(id: number, dispatch: Dispatch): number {
    const { rolloutId, attempt, targetClosure, dispatchedAt, soakDueAt } = dispatch;
    let nth = 0;
    while (releaseOf(this.world, nth).rolloutId !== rolloutId) nth += 1;
    const offer: Offer = { rolloutId, nth, attempt, targetClosure, dispatchedAt, soakDueAt };
    return this.derive(id, `offer ${rolloutId} ${attempt} ${dispatchedAt}`, { offer });
  }

  /** A record that the CP has just opened is in the mirror too. */
  joined(hosts: readonly number[], plane: number): readonly number[] {
    const { records } = this.planes.of(plane);
    return hosts.map((id) => {
      const { host, mirror } = this.hosts.of(id);
      const missing = records.filter(
        (record) =>
          record.host === host && !mirror.some(({ rolloutId }) => rolloutId === record.rolloutId),
      );
      if (missing.length === 0) return id;
      const how = `joins ${form(missing, String)}`;
      return this.derive(id, how, { mirror: missing.reduce(put, mirror) });
    });
  }

  /** Why nothing may be left to do at this plane, or null where that is in order. */
  rest(plane: number): string | null {
    const known = this.#rests[plane];
    if (known !== undefined) return known;
    const reason = restReason(this.planes.of(plane), this.world);
    this.#rests[plane] = reason;
    return reason;
  }
}

export const contactOf = (host: Host): Contact => ({
  host: host.host,
  journalId: journalOf(host),
});
