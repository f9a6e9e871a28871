import type { HostName } from "../ids.ts";
import type { FailureCount } from "../rollout/input.ts";
import type { Instant } from "../time.ts";
import type { ChannelEntry } from "./channel.ts";
import type { Counts } from "./counts.ts";
import type { FleetIndex } from "./fleetIndex.ts";
import type { Blocked, Gate } from "./gates.ts";
import { hasReverted, isFailing, type Member, type RolloutEntry } from "./member.ts";
import { compareNames } from "./releaseIndex.ts";

/** Hosts named as evidence of one block: enough to go and see, few enough to read. */
const EVIDENCE_MAX = 8;

/**
 * What one call of `plan` sees: the fleet as it was, and the slots that this call has taken so far, so that one call can't
 * over-commit a budget either (hazard 26). Slots are only taken during a call, never freed.
 */
export class Look {
  readonly index: FleetIndex;
  readonly counts: Counts;
  readonly now: Instant;
  readonly #taken = new Map<string, Set<HostName>>();
  readonly #evidence = new Map<string, readonly HostName[]>();
  readonly #changed = new Map<RolloutEntry, Pick<FailureCount, "failures" | "reverted">>();
  readonly #ofRollout = new Map<RolloutEntry, Map<Gate, Blocked | null>>();

  constructor(index: FleetIndex, counts: Counts, now: Instant) {
    this.index = index;
    this.counts = counts;
    this.now = now;
  }

  channelOf({ channel }: RolloutEntry): ChannelEntry {
    return this.index.channel(channel);
  }

  holds(budget: string, host: HostName): boolean {
    return this.counts.held(budget).has(host) || this.#taken.get(budget)?.has(host) === true;
  }

  held(budget: string): number {
    return this.counts.held(budget).size + (this.#taken.get(budget)?.size ?? 0);
  }

  holders(budget: string): readonly HostName[] {
    const known = this.#evidence.get(budget);
    if (known !== undefined) return known;
    const all = [...this.counts.held(budget).keys(), ...(this.#taken.get(budget) ?? [])];
    const first = all.toSorted(compareNames).slice(0, EVIDENCE_MAX);
    this.#evidence.set(budget, first);
    return first;
  }

  failing(rollout: RolloutEntry): readonly HostName[] {
    const all = [...this.counts.failingHosts(rollout)];
    return all.toSorted(compareNames).slice(0, EVIDENCE_MAX);
  }

  /** Counted as folding this input will count it: whoever was lost or found earlier in this call is so already. */
  failuresWith(member: Member, becomes: "lost" | "found"): FailureCount {
    const { rollout, record } = member;
    // As stepMarks has it: nobody has forgiven a new loss yet.
    const lost = { ...member.marks, lostAt: this.now, forgivenAt: null };
    const marks = becomes === "lost" ? lost : { ...member.marks, lostAt: null };
    const will = { record, marks };
    const earlier = this.#changed.get(rollout) ?? { failures: 0, reverted: 0 };
    const failures = earlier.failures + Number(isFailing(will)) - Number(isFailing(member));
    const reverted = earlier.reverted + Number(hasReverted(will)) - Number(hasReverted(member));
    this.#changed.set(rollout, { failures, reverted });
    const counted = this.counts.failures(rollout);
    return {
      ...counted,
      failures: counted.failures + failures,
      reverted: counted.reverted + reverted,
    };
  }

  /** The member moves: it holds a slot of each of its budgets for the rest of this call. */
  take({ host, rollout }: Member): void {
    for (const { name } of rollout.release?.budgetsOf.get(host.host) ?? []) {
      if (this.holds(name, host.host)) continue;
      const taken = this.#taken.get(name) ?? new Set<HostName>();
      this.#taken.set(name, taken.add(host.host));
      this.#evidence.delete(name);
    }
  }

  /** A gate's answer for the whole rollout, asked once a call. */
  ofRollout(gate: Gate, rollout: RolloutEntry): Blocked | null {
    if (gate.ofRollout === null) return null;
    const answers = this.#ofRollout.get(rollout) ?? new Map<Gate, Blocked | null>();
    this.#ofRollout.set(rollout, answers);
    const known = answers.get(gate);
    if (known !== undefined) return known;
    const answer = gate.ofRollout(rollout, this);
    answers.set(gate, answer);
    return answer;
  }
}
