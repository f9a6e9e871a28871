import type { Release } from "@nixwave/effects";
import type { DispatchOffer, Verified } from "@nixwave/protocol";
import type { Bench } from "./bench.fixture.ts";
import type { TestAgent } from "./fleet.fixture.ts";

/** The agents are heard, then the release is seen: the first wave is dispatched. */
export async function opened(
  bench: Bench,
  agents: readonly TestAgent[],
  release: Verified<Release>,
): Promise<void> {
  for (const agent of agents) await bench.ask<"Heartbeat">(agent.heartbeat());
  await seen(bench, release);
}

export const seen = (bench: Bench, release: Verified<Release>) =>
  bench.ask<"ReleasesSeen">({
    kind: "ReleasesSeen",
    withHeld: true,
    releases: [{ release, current: true }],
  });

/** Polls, and expects to be handed a dispatch. */
/** The watch's look while the log replays, where the repository holds nothing that is not known. */
export const seenAll = (bench: Bench) =>
  bench.ask<"ReleasesSeen">({ kind: "ReleasesSeen", withHeld: true, releases: [] });

export async function offered(bench: Bench, agent: TestAgent): Promise<DispatchOffer> {
  const taken = await bench.ask<"TakeDispatch">(agent.poll());
  if (taken.kind !== "offer") throw new Error(`${agent.host} was answered ${taken.kind}`);
  return taken.offer;
}

export const sent = (bench: Bench, agent: TestAgent, lines: readonly string[]) =>
  bench.ask<"AgentEvents">(agent.send(...lines));
