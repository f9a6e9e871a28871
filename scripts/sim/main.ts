import { runCommand } from "../command.ts";
import { runFleet } from "./fleet.ts";
import { SIGNED_EVERY, signedFrom } from "./liarPlans.ts";
import { type Options, readOptions, SIM } from "./options.ts";
import { LOST_MAX, runSeeds } from "./pool.ts";
import { randomScenario } from "./randomScenario.ts";
import { runWorld } from "./run.ts";
import { ending, tell, tellShrunk } from "./story.ts";
import { type FailedWorld, sayTally, type Tally } from "./tally.ts";

/** Failures that are told whole; more of them say the same. */
const TOLD_MAX = 3;
const SAY_EVERY_MS = 15_000;

async function many(options: Options): Promise<number> {
  const { from: asked, seeds, liars, jobs, seconds, worldSeconds } = options;
  const [from, step] = liars ? [signedFrom(asked), SIGNED_EVERY] : [asked, 1];
  const began = Date.now();
  const since = (): number => (Date.now() - began) / 1000;
  let saidAt = began;
  let reported = 0;
  const all = await runSeeds({
    from,
    seeds,
    step,
    jobs,
    untilMs: seconds === null ? Number.POSITIVE_INFINITY : began + seconds * 1000,
    worldMsMax: worldSeconds * 1000,
    onWorld: (tally) => {
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
  for (const failed of all.failed.slice(0, TOLD_MAX)) console.log(`\n${await told(failed)}`);
  const isCut = all.worlds < seeds;
  if (isCut) console.log(`\n${cutText(all, options)}`);
  return all.failed.length === 0 && !isCut ? 0 : 1;
}

const told = async ({ seed, invariant, detail, isLost }: FailedWorld): Promise<string> =>
  isLost
    ? `seed ${seed} VIOLATED ${invariant}: ${detail}; what it does until then: pnpm sim --seed ${seed} --explain`
    : await tellShrunk(seed, invariant);

/** Fewer worlds than were asked for say less than was asked for: that is no success. */
function cutText({ worlds, failed }: Tally, { seeds, seconds }: Options): string {
  const lost = failed.filter(({ isLost }) => isLost).length;
  const why = lost >= LOST_MAX ? "too many of them ended their process" : `${seconds} s are over`;
  return `FAILED: ${worlds.toLocaleString("en")} of ${seeds.toLocaleString("en")} worlds were run, because ${why}.`;
}

async function one(seed: number, explain: boolean): Promise<number> {
  if (explain) {
    const { failure } = await tell(seed, (line) => console.log(line));
    return failure === null ? 0 : 1;
  }
  const result = await runWorld(randomScenario(seed), { isTold: false });
  const { failure } = result;
  console.log(failure === null ? ending(result) : await tellShrunk(seed, failure.invariant));
  return failure === null ? 0 : 1;
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
