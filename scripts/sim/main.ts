import { runCommand } from "../command.ts";
import { runFleet } from "./fleet.ts";
import { SIGNED_EVERY, signedFrom } from "./liarPlans.ts";
import { type Options, readOptions, SIM } from "./options.ts";
import { runSeeds } from "./pool.ts";
import { randomScenario } from "./randomScenario.ts";
import { tell, tellShrunk } from "./story.ts";
import { sayTally } from "./tally.ts";

/** Failures that are told whole; more of them say the same. */
const TOLD_MAX = 3;
const SAY_EVERY_MS = 15_000;

async function many({ from: asked, seeds, liars, jobs, seconds }: Options): Promise<number> {
  const [from, step] = liars ? [signedFrom(asked), SIGNED_EVERY] : [asked, 1];
  const began = Date.now();
  const since = (): number => (Date.now() - began) / 1000;
  const untilMs = seconds === null ? Number.POSITIVE_INFINITY : began + seconds * 1000;
  let saidAt = began;
  let reported = 0;
  const all = await runSeeds({
    from,
    seeds,
    step,
    jobs,
    untilMs,
    onChunk: (tally) => {
      for (const { seed, invariant, detail } of tally.failed.slice(reported))
        console.error(`seed ${seed} violated ${invariant}: ${detail.slice(0, 300)}`);
      reported = tally.failed.length;
      if (Date.now() - saidAt < SAY_EVERY_MS) return;
      saidAt = Date.now();
      console.error(sayTally(tally, since()));
    },
  });
  const last = from + Math.max(0, all.worlds - 1) * step;
  const which = step === 1 ? "" : `, every ${step}th`;
  console.log(`seeds ${from} to ${last}${which}: ${sayTally(all, since())}`);
  for (const { seed, invariant } of all.failed.slice(0, TOLD_MAX))
    console.log(`\n${await tellShrunk(seed, invariant)}`);
  return all.failed.length === 0 ? 0 : 1;
}

async function one(seed: number, explain: boolean): Promise<number> {
  const { text, failed } = await tell(randomScenario(seed));
  console.log(explain ? text : text.split("\n").at(-1));
  return failed ? 1 : 0;
}

await runCommand(SIM, async (typed) => {
  const options = readOptions(typed);
  if (options.fleet !== null) {
    await runFleet(options.fleet, (line) => console.log(line));
    return 0;
  }
  if (options.seed !== null) return await one(options.seed, options.explain);
  return await many(options);
});
