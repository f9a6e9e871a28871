import { type Loaded, memoryFrom } from "@nixwave/cp";
import { type Instant, plan, type Release } from "@nixwave/effects";

/** I13: the same inputs give the same plan in any order of the host list. Null where they do; both plans where not. */
export function shuffledPlan(loaded: Loaded, now: Instant): string | null {
  return turnedRound(loaded, now) ?? turnedRound(untried(loaded), now);
}

function turnedRound(loaded: Loaded, now: Instant): string | null {
  const at = { readyAt: now, now };
  const one = said(memoryFrom(loaded, at), now);
  const other = said(memoryFrom({ ...loaded, releases: loaded.releases.map(turned) }, at), now);
  return one === other ? null : `${one} and, turned round, ${other}`;
}

/** Whoever could move has moved by the time of a commit, so nothing is left to be ordered: here everybody still waits for a slot. */
const untried = (loaded: Loaded): Loaded => ({ ...loaded, records: [], dispatches: [], marks: [] });

function said(memory: ReturnType<typeof memoryFrom>, now: Instant): string {
  const { inputs, effects } = plan(memory.fleet, now);
  return JSON.stringify({ inputs, effects });
}

const turned = (release: Release): Release => ({
  ...release,
  hosts: release.hosts.toReversed(),
  budgets: release.budgets.map((one) => ({ ...one, hosts: one.hosts.toReversed() })).toReversed(),
  edges: release.edges.toReversed(),
});
