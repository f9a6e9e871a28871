import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Desk, print, say } from "../desk.ts";
import { toolRunner } from "../flake/nix.ts";
import { fleetFileOf } from "../import/fleetFile.ts";
import { readSource, type Source } from "../import/source.ts";
import { Refusal, systemCode } from "../refusal.ts";

/** Writes a first declaration out of what another tool deploys by; never over a file that is there. */
export async function importFleet(
  desk: Desk,
  source: Source,
  { flake, out, dryRun }: { flake: string; out: string; dryRun: boolean },
): Promise<void> {
  const { cwd, stop } = desk.surroundings;
  const run = toolRunner({ cwd, stop, onLine: (line) => say(desk, `  ${line}`) });
  say(desk, `Evaluating the hosts of ${flake} …`);
  const hosts = await readSource(run, source, flake);
  const { text, notes } = fleetFileOf(source, hosts);
  if (dryRun) print(desk, [text.trimEnd()]);
  else put(resolve(cwd, out), out, text);
  for (const note of notes) say(desk, `note: ${note}`);
  if (dryRun) say(desk, `Dry run: ${out} was not written.`);
  else
    say(
      desk,
      `Wrote ${out}: ${hosts.length} hosts on channel stable. Its first lines say how to use it.`,
    );
}

function put(file: string, shown: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (cause) {
    const code = systemCode(cause);
    throw new Refusal(
      code === "EEXIST"
        ? `${shown} is there already and was left as it is. Name another: --out FILE, or look first: --dry-run`
        : `${shown} could not be written (${code}). Name a file that you may write to: --out FILE`,
    );
  }
}
