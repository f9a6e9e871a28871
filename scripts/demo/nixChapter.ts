import { canaryOf, type Stage } from "./chapters.ts";
import { NotReached } from "./deadline.ts";
import type { NixHosts } from "./nixHosts.ts";

/** First closure, the good one and the fix; the canary went to the bad one and back between them. */
const GENERATIONS = 3;
const GENERATIONS_CANARY = 5;

/** What the story came to in stores and profiles, read from them: by Nix' own traces, and asked of nobody. */
export function sayOfNix({ fleet, board }: Stage, nix: NixHosts): void {
  const canary = canaryOf(fleet);
  for (const { name } of fleet.hosts) {
    const [running, named] = [nix.running(name), nix.named(name)];
    if (running === null || running !== named) {
      throw new NotReached(`${name} runs ${running}, and its profile names ${named}`);
    }
    const [found, expected] = [
      nix.generations(name),
      name === canary ? GENERATIONS_CANARY : GENERATIONS,
    ];
    if (found !== expected) {
      throw new NotReached(`${name} was expected to have ${expected} generations, not ${found}`);
    }
    const hasBad = nix.holds(name, "app-2");
    if (hasBad !== (name === canary)) {
      throw new NotReached(`${name} ${hasBad ? "has" : "lacks"} the closure of app-2 in its store`);
    }
  }
  const fetched = nix.cache.fetched();
  // The first closure came with the host; app-1 and app-3 everywhere, app-2 on the canary.
  const least = fleet.hosts.length * 2 + 1;
  if (fetched < least)
    throw new NotReached(`at least ${least} closures had to be fetched, and ${fetched} were`);
  board.say(`
What Nix has seen: ${fetched} closures fetched from ${nix.cache.url}, each signed and each by the host that runs it.
Only ${canary} ever had the bad one, and went back to the very closure before it; its profile has ${GENERATIONS_CANARY} generations, every other one ${GENERATIONS}.`);
}
