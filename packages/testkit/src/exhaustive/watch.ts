import type {
  ByKind,
  Envelope,
  EventKind,
  HostRollout,
  HostState,
  Input,
  RolloutState,
} from "@nixwave/effects";

export type HostCell = `${HostState} × ${EventKind}`;
export type RolloutInputs = ByKind<Extract<Input, { readonly rolloutId: unknown }>>;
export type RolloutInputKind = keyof RolloutInputs;
export type RolloutCell = `${RolloutState} × ${RolloutInputKind}`;

/** What steps see that the search is to know: broken invariants of this very step, and cells reached by any. */
export class Watch {
  readonly hostCells = new Set<HostCell>();
  readonly rolloutCells = new Set<RolloutCell>();
  /** One record of each state, and one event of each kind, to ask the tables with. */
  readonly records = new Map<HostState, HostRollout>();
  readonly events = new Map<EventKind, Envelope>();
  #broken: string | null = null;

  taken(before: HostRollout, envelope: Envelope): void {
    this.hostCells.add(`${before.kind} × ${envelope.event.kind}`);
    this.events.set(envelope.event.kind, envelope);
    const owesNothing = before.kind === "Failed" && before.rollback === "none";
    if (before.supersededBy === null && !owesNothing) this.records.set(before.kind, before);
  }

  /** Only the first is kept: the others follow from it. */
  check(holds: boolean, invariant: string, what: () => string): void {
    if (!holds) this.#broken ??= `${invariant}: ${what()}`;
  }

  /** What the last step broke, or null; it is forgotten then. */
  take(): string | null {
    const broken = this.#broken;
    this.#broken = null;
    return broken;
  }
}
