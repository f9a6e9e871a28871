import { runCommand, wholeNumber } from "../command.ts";
import { ROOT } from "../source.ts";
import { runLanes } from "../verify/run.ts";
import { type Asked, proofs, WORLDS_SECS_MAX } from "./proofs.ts";

const USAGE = `pnpm prove                          10,000 seeded worlds, a fleet of 10,000 hosts, every interleaving of small worlds
pnpm prove [--seeds N] [--fleet N]  as many worlds and hosts
pnpm prove [--seconds N]            all worlds within N seconds (default ${WORLDS_SECS_MAX}), or it fails
`;

const PROVE = {
  name: "prove",
  usage: USAGE,
  options: {
    seeds: { type: "string", default: "10,000" },
    fleet: { type: "string", default: "10,000" },
    seconds: { type: "string", default: `${WORLDS_SECS_MAX}` },
  },
} as const;

/** Each part runs, whatever becomes of the others: together they take long, and each says something of its own. */
async function prove(asked: Asked): Promise<number> {
  const write = (text: string): void => void process.stdout.write(`${text}\n`);
  const summary: string[] = [];
  let failed = 0;
  for (const { step, shows } of proofs(asked)) {
    write(`== ${step.name}`);
    await runLanes([[step]], {
      folder: ROOT,
      said: (_, line) => write(line),
      ended: ({ ok, output, secs }) => {
        const shown = output.split("\n").findLast((line) => shows.test(line));
        // Who ends well and has not shown what it is to show has shown nothing.
        const isShown = ok && shown !== undefined;
        if (!isShown) failed += 1;
        const how = isShown ? `done in ${secs} s` : `FAILED after ${secs} s`;
        summary.push(`${step.name}: ${how}\n  ${shown ?? output.trimEnd().split("\n").at(-1)}`);
      },
    });
  }
  write(`\n${summary.join("\n")}\nprove: ${failed === 0 ? "all was shown" : `${failed} FAILED`}.`);
  return failed === 0 ? 0 : 1;
}

await runCommand(PROVE, ({ seeds, fleet, seconds }) =>
  prove({
    seeds: wholeNumber("seeds", seeds),
    hosts: wholeNumber("fleet", fleet),
    secondsMax: wholeNumber("seconds", seconds),
  }),
);
