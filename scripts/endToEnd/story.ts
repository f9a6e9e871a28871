import type { RolloutId } from "@nixwave/effects";
import type { RolloutView } from "@nixwave/protocol";
import type { DemoHost, DemoRules } from "../demo/declaration.ts";
import type { DemoFleet, Version } from "../demo/fleet.ts";

/** A shortened demo: the same three chapters, seconds instead of a minute. */
export const QUICK_RULES: DemoRules = {
  channel: "stable",
  soakSecs: 1,
  // A killed agent needs seconds to come back on two busy cores, and two dozen hosts are probed at once: the healthy must not be
  // taken for sick meanwhile.
  thresholdSecs: 120,
  maxFailures: 0,
  budget: null,
  edges: [],
};

/** Who is sick on purpose need not be waited for. Long enough that something can still be killed meanwhile. */
const SICK_THRESHOLD_SECS = 5;

/** What makes a release sick on these hosts; nothing where there are none. */
export const sickOn = (hosts: readonly string[]): Omit<Version, "version"> =>
  hosts.length === 0
    ? {}
    : { sick: { hosts, reason: "sick on purpose" }, thresholdSecs: SICK_THRESHOLD_SECS };

export const FOUR_HOSTS: readonly DemoHost[] = [
  { name: "canary-1", wave: 1, tags: [] },
  { name: "web-1", wave: 2, tags: [] },
  { name: "web-2", wave: 2, tags: [] },
  { name: "web-3", wave: 3, tags: [] },
];

/** Agents back off for up to a minute from a control plane that dies again and again; a chapter that takes longer hangs. */
const CHAPTER_SECS = 400;

/** Waits until the rollout is what the chapter is to end with. */
export function reached(
  fleet: DemoFleet,
  rolloutId: RolloutId,
  what: string,
  done: (view: RolloutView) => boolean,
): Promise<RolloutView> {
  return fleet.until({ what, timeoutSecs: CHAPTER_SECS }, async () => {
    const view = await fleet.client.call("getRollout", { params: { rolloutId } });
    return view.ok && done(view.value) ? view.value : null;
  });
}

export const hasState =
  (state: string) =>
  ({ rollout }: RolloutView): boolean =>
    rollout.state === state;

/** A good release converges, a sick one is rolled back by the hosts of its first wave, a fix converges. */
export async function goodBadFixed(fleet: DemoFleet): Promise<ReadonlyMap<string, RolloutId>> {
  const releases = new Map<string, RolloutId>();
  const release = async (
    version: string,
    sick: readonly string[],
    state: string,
  ): Promise<void> => {
    const id = await fleet.release({ version, ...sickOn(sick) });
    releases.set(version, id);
    await reached(fleet, id, `${version} ${state}`, hasState(state));
  };
  const all = fleet.hosts.map(({ name }) => name);
  await release("app-1", [], "Completed");
  await release("app-2", all, "Reverted");
  await release("app-3", [], "Completed");
  return releases;
}

/** Waits until the control plane holds every line that the agents' journals hold, and every process is up. */
export async function settled(fleet: DemoFleet, isSettled: () => boolean): Promise<void> {
  await fleet.until(
    { what: "a control plane that has every agent's lines", timeoutSecs: 240 },
    async () => (isSettled() ? true : null),
  );
}
