import type { HostName } from "../ids.ts";
import type { FailureCount } from "../rollout/input.ts";
import {
  type Counted,
  hasReverted,
  holdsSlot,
  isFailing,
  type Member,
  type RolloutEntry,
  type Standing,
  standingOf,
  UNCOUNTED,
} from "./member.ts";

/** How far a wave is; `proven` hosts are Converged (or Deferred where that counts). */
export interface WaveTally {
  readonly wave: number;
  readonly hosts: number;
  readonly done: number;
  readonly proven: number;
  /** Each host is done and at least one has shown its health. */
  readonly complete: boolean;
}

/** What gates and inputs count. Kept by FleetState as it changes; `scan` counts anew, for the reference plan. */
export interface Counts {
  failures(rollout: RolloutEntry): FailureCount;
  failingHosts(rollout: RolloutEntry): ReadonlySet<HostName>;
  wave(rollout: RolloutEntry, wave: number): WaveTally;
  /** The hosts that hold a slot of this budget, over all rollouts; a host holds one at most. */
  held(budget: string): {
    readonly size: number;
    has(host: HostName): boolean;
    keys(): Iterable<HostName>;
  };
}

interface RolloutTally {
  readonly failing: Set<HostName>;
  reverted: number;
  readonly waves: Map<number, { [S in Standing]: number }>;
}

const EMPTY: ReadonlySet<HostName> = new Set();

export class KeptCounts implements Counts {
  readonly #rollouts = new Map<RolloutEntry, RolloutTally>();
  /** Budget → host → how many of its rollouts hold a slot for it. */
  readonly #budgets = new Map<string, Map<HostName, number>>();

  failures(rollout: RolloutEntry): FailureCount {
    const tally = this.#rollouts.get(rollout);
    return failureCount(rollout, tally?.failing.size ?? 0, tally?.reverted ?? 0);
  }

  failingHosts(rollout: RolloutEntry): ReadonlySet<HostName> {
    return this.#rollouts.get(rollout)?.failing ?? EMPTY;
  }

  wave(rollout: RolloutEntry, wave: number): WaveTally {
    const standings = this.#rollouts.get(rollout)?.waves.get(wave) ?? noStandings();
    return waveTally(rollout, wave, standings, this.failures(rollout));
  }

  /** Hosts of a wave that were never dispatched to, and are not passed over. */
  untried(rollout: RolloutEntry, wave: number): number {
    return this.#rollouts.get(rollout)?.waves.get(wave)?.untried ?? 0;
  }

  held(budget: string): ReadonlyMap<HostName, number> {
    return this.#budgets.get(budget) ?? new Map();
  }

  /** Takes a member out as it was last counted. Answers the budgets in which a slot became free. */
  remove(member: Member): readonly string[] {
    const { counted, host, rollout } = member;
    const tally = this.#tally(rollout);
    if (counted.failing) tally.failing.delete(host.host);
    if (counted.reverted) tally.reverted -= 1;
    if (counted.wave !== null) this.#wave(tally, counted.wave)[counted.standing] -= 1;
    member.counted = UNCOUNTED;
    return counted.slots.filter((budget) => this.#release(budget, host.host));
  }

  /** Counts a member as it is now. */
  add(member: Member): void {
    const counted = countedAs(member);
    member.counted = counted;
    const { host, rollout } = member;
    const tally = this.#tally(rollout);
    if (counted.failing) tally.failing.add(host.host);
    if (counted.reverted) tally.reverted += 1;
    if (counted.wave !== null) this.#wave(tally, counted.wave)[counted.standing] += 1;
    for (const budget of counted.slots) this.#take(budget, host.host);
  }

  forget(rollout: RolloutEntry): void {
    this.#rollouts.delete(rollout);
  }

  #tally(rollout: RolloutEntry): RolloutTally {
    const known = this.#rollouts.get(rollout);
    if (known !== undefined) return known;
    const made: RolloutTally = { failing: new Set(), reverted: 0, waves: new Map() };
    this.#rollouts.set(rollout, made);
    return made;
  }

  #wave(tally: RolloutTally, wave: number): { [S in Standing]: number } {
    const known = tally.waves.get(wave);
    if (known !== undefined) return known;
    const made = noStandings();
    tally.waves.set(wave, made);
    return made;
  }

  #take(budget: string, host: HostName): void {
    const holders = this.#budgets.get(budget) ?? new Map<HostName, number>();
    holders.set(host, (holders.get(host) ?? 0) + 1);
    this.#budgets.set(budget, holders);
  }

  #release(budget: string, host: HostName): boolean {
    const holders = this.#budgets.get(budget);
    const left = (holders?.get(host) ?? 0) - 1;
    if (left > 0) holders?.set(host, left);
    else holders?.delete(host);
    return left <= 0;
  }
}

/** The same counts, from every member of every rollout, once: what KeptCounts must agree with. */
export function scan(rollouts: Iterable<RolloutEntry>): Counts {
  const counts = new KeptCounts();
  for (const rollout of rollouts)
    for (const member of rollout.members.values()) counts.add({ ...member });
  return counts;
}

const countedAs = (member: Member): Counted => ({
  standing: standingOf(member),
  failing: isFailing(member),
  reverted: hasReverted(member),
  slots: holdsSlot(member) ? budgetsOf(member) : [],
  wave: member.listed?.wave ?? null,
});

/** By the rollout's own release, so a host that a newer release took out of a budget still holds its old slot. */
const budgetsOf = ({ rollout, host }: Member): readonly string[] =>
  (rollout.release?.budgetsOf.get(host.host) ?? []).map(({ name }) => name);

const failureCount = (
  { release }: RolloutEntry,
  failures: number,
  reverted: number,
): FailureCount => ({
  failures,
  reverted,
  // Without its release nothing is tolerated: halting is the safe side.
  maxFailures: release?.release.policy.maxFailures ?? 0,
});

const noStandings = (): { [S in Standing]: number } => ({
  proven: 0,
  skipped: 0,
  forgiven: 0,
  tolerated: 0,
  open: 0,
  untried: 0,
});

function waveTally(
  { release }: RolloutEntry,
  wave: number,
  standings: { readonly [S in Standing]: number },
  { failures, maxFailures }: FailureCount,
): WaveTally {
  // The expected hosts are the release's, never the rows that happen to exist (hazard 31).
  const hosts = release?.byWave.get(wave)?.length ?? 0;
  const tolerated = failures <= maxFailures ? standings.tolerated : 0;
  const done = standings.proven + standings.skipped + standings.forgiven + tolerated;
  const { proven } = standings;
  return { wave, hosts, done, proven, complete: hosts > 0 && done === hosts && proven > 0 };
}
