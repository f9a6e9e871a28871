import { init } from "../commands/init.ts";
import { release } from "../commands/release.ts";
import { operatorOf } from "../connect.ts";
import type { Root, Shell } from "../program.ts";
import { secsOf } from "../until.ts";

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

/** The commands that make fleets and releases. */
export function releaseCommands(root: Root, shell: Shell): void {
  root
    .command("init")
    .description("Write an example fleet of eight hosts, with comments that teach")
    .argument("[DIR]", "where fleet.yaml goes; it is never overwritten", ".")
    .addHelpText("after", "\nExample:\n  $ nixwave init demo && $EDITOR demo/fleet.yaml")
    .action((folder) => {
      init(shell.surroundings, folder);
    });
  root
    .command("release")
    .description("Resolve a fleet declaration and publish it as the channels' current releases")
    .requiredOption("--fleet <FILE>", "the declaration, in YAML or JSON")
    .requiredOption("--to <DIR>", "the folder that the control plane serves releases from")
    .option("--channel <CHANNEL>", "of one channel only")
    .option("--closure <HOST=CLOSURE>", "instead of the declared one; may be repeated", collect, [])
    .option("--note <TEXT>", "what it is about, for people", "")
    .option("--revision <REV>", "the git commit that it was made from")
    .option("--yes", "do not ask")
    .option("--dry-run", "say what would change, and write nothing")
    .option("--wait", "until the control plane has rolled it out, or it is stopped")
    .option("--timeout <DURATION>", "give up waiting after this", "1h")
    .addHelpText(
      "after",
      `
A broken declaration writes nothing: every fault is named with its line.
With --json: { dryRun, releases: [{ channel, rolloutId, previous, hosts, added, removed, moved, rules }], warnings }.

Examples:
  $ nixwave release --fleet fleet.yaml --to releases --dry-run
  $ nixwave release --fleet fleet.yaml --to releases --note "kernel 6.12.9"
  $ nixwave release --fleet fleet.yaml --to releases --closure web-1=$(basename $(readlink result))
  $ nixwave release --fleet fleet.yaml --to releases --wait --timeout 2h && echo healthy`,
    )
    .action(async ({ fleet, to, closure, note, yes = false, dryRun = false, ...typed }) => {
      const { channel = null, revision = null, wait = false, timeout } = typed;
      const waitSecs = wait ? secsOf("--timeout", timeout) : null;
      const createdBy = operatorOf(shell.surroundings.env);
      shell.exitWith(
        await release(
          shell.desk(),
          { fleet, to, channel, closures: closure, note, revision },
          { yes, dryRun, waitSecs, createdBy },
        ),
      );
    });
}
