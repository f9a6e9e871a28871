import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXAMPLE_FLEET } from "../exampleFleet.ts";
import { Refusal, systemCode } from "../refusal.ts";
import type { Surroundings } from "../surroundings.ts";

const FILE = "fleet.yaml";

/** Writes the example fleet into a folder; never over a file that is there. */
export function init(surroundings: Surroundings, folder: string): void {
  const shown = join(folder, FILE);
  const file = resolve(surroundings.cwd, shown);
  try {
    mkdirSync(resolve(surroundings.cwd, folder), { recursive: true });
    writeFileSync(file, EXAMPLE_FLEET, { flag: "wx" });
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "EEXIST") {
      throw new Refusal(
        `${shown} is there already and was left as it is. Remove it, or name another folder: nixwave init DIR`,
      );
    }
    throw new Refusal(
      `${shown} could not be written (${code}). Name a folder that you may write to: nixwave init DIR`,
    );
  }
  surroundings.terminal.data(`${shown}\n`);
  surroundings.terminal.talk(
    `Wrote ${shown}: eight hosts, one channel, three waves, a budget and an edge, with comments.\nnext: nixwave release --fleet ${shown} --to releases --dry-run\n`,
  );
}
