import { Argument } from "@commander-js/extra-typings";
import { importFleet } from "../commands/importFleet.ts";
import { SOURCES } from "../import/source.ts";
import type { Root, Shell } from "../program.ts";

/** The way in from other tools. */
export function importCommands(root: Root, shell: Shell): void {
  root
    .command("import")
    .description("Write a first fleet declaration out of what another tool deploys by")
    .addArgument(new Argument("<SOURCE>", "which tool's output of the flake").choices(SOURCES))
    .option("--flake <REF>", "the flake, as Nix takes it", ".")
    .option("--out <FILE>", "where the declaration goes; it is never overwritten", "fleet.nix")
    .option("--dry-run", "print it instead")
    .addHelpText(
      "after",
      `
Hosts and tags are taken over; what Nixwave does otherwise is said, host by host. Nothing of the flake is changed.

Examples:
  $ nixwave import nixos-configurations --dry-run
  $ nixwave import colmena                      reads colmenaHive, else colmena
  $ nixwave import deploy-rs --flake github:example/infra --out fleet.nix`,
    )
    .action(async (source, { flake, out, dryRun = false }) => {
      await importFleet(shell.desk(), source, { flake, out, dryRun });
    });
}
