import { type ClosureHash, type HostName, isHostName, parseClosureHash } from "@nixwave/effects";
import { z } from "zod";
import { Refusal } from "../refusal.ts";
import { jsonOf, type RunTool } from "./nix.ts";

/** A host's system as the flake describes it; `output` need not be in the store yet. */
export interface Toplevel {
  readonly host: HostName;
  /** The store derivation that makes it. */
  readonly derivation: string;
  /** Its store path. */
  readonly output: string;
  readonly closure: ClosureHash;
}

/** Flakes are still an experiment to Nix; asking for them by name works in every version. */
export const NIX = ["nix", "--extra-experimental-features", "nix-command flakes"] as const;

/** `.#fleet` where only `.` was typed. */
export const fleetOf = (flake: string): string => (flake.includes("#") ? flake : `${flake}#fleet`);

/** The declaration that mkFleet made, as JSON text: a fleet file without closures. */
export async function evaluateDeclaration(run: RunTool, flake: string): Promise<string> {
  const fleet = fleetOf(flake);
  return run([...NIX, "eval", "--json", `${fleet}.declaration`], `evaluate ${fleet}`);
}

const toplevels = z.record(z.string(), z.object({ derivation: z.string(), output: z.string() }));

/** The systems of these hosts, each evaluated and none built. */
export async function evaluateToplevels(
  run: RunTool,
  flake: string,
  hosts: readonly HostName[],
): Promise<readonly Toplevel[]> {
  const fleet = fleetOf(flake);
  const text = await run(
    [...NIX, "eval", "--json", `${fleet}.toplevels`, "--apply", pickOf(hosts)],
    `evaluate the systems of ${fleet}`,
  );
  const read = toplevels.safeParse(jsonOf(text, `${fleet}.toplevels`));
  if (!read.success) {
    throw new Refusal(
      `${fleet}.toplevels: expected a system per host, as nixwave.lib.mkFleet makes them.`,
    );
  }
  return Object.entries(read.data).flatMap(([host, { derivation, output }]) => {
    const closure = parseClosureHash(output.split("/").at(-1) ?? "");
    if (!isHostName(host) || !closure.ok) {
      throw new Refusal(`${fleet}.toplevels.${host}: expected a store path, not ${output}.`);
    }
    return [{ host, derivation, output, closure: closure.value }];
  });
}

/** Host names are letters, digits, dots and dashes: they need no escape in a Nix text. */
const pickOf = (hosts: readonly HostName[]): string =>
  `fleet: builtins.mapAttrs (_: system: {
    derivation = builtins.unsafeDiscardStringContext system.drvPath;
    output = builtins.unsafeDiscardStringContext system.outPath;
  }) (builtins.intersectAttrs { ${hosts.map((host) => `"${host}" = null;`).join(" ")} } fleet)`;
