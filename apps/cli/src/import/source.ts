import { z } from "zod";
import { NIX } from "../flake/evaluate.ts";
import { jsonOf, type RunTool } from "../flake/nix.ts";
import { Refusal } from "../refusal.ts";

/** What other tools deploy by, each as an output of a flake. */
export const SOURCES = ["nixos-configurations", "colmena", "deploy-rs"] as const;
export type Source = (typeof SOURCES)[number];

/** What a declaration of another tool says of one host. */
export interface FoundHost {
  readonly name: string;
  readonly tags: readonly string[];
  /** What it says beside that and Nixwave does otherwise, as the option's name. */
  readonly leftOut: readonly string[];
}

interface Asked {
  readonly output: string;
  /** A Nix function from the output to { NAME = { tags, leftOut }; }. */
  readonly reading: string;
}

const PRESENT =
  "present = names: set: builtins.filter (name: set ? ${name} && set.${name} != null && set.${name} != { } && set.${name} != [ ]) names;";

/** The first output that a flake has is read. */
const ASKED = {
  "nixos-configurations": [
    {
      output: "nixosConfigurations",
      reading: "builtins.mapAttrs (_: _: { tags = [ ]; leftOut = [ ]; })",
    },
  ],
  colmena: [
    {
      output: "colmenaHive",
      reading: `hive: let ${PRESENT} in builtins.mapAttrs (_: node: {
        tags = node.config.deployment.tags or [ ];
        leftOut = map (name: "deployment.\${name}")
          (present [ "targetHost" "keys" ] (node.config.deployment or { }));
      }) hive.nodes`,
    },
    {
      // A raw hive: a node that is a function says nothing before colmena has evaluated it.
      output: "colmena",
      reading: `hive: let ${PRESENT} in builtins.mapAttrs (_: node:
        if builtins.isAttrs node then {
          tags = node.deployment.tags or [ ];
          leftOut = map (name: "deployment.\${name}") (present [ "targetHost" "keys" ] (node.deployment or { }));
        } else { tags = [ ]; leftOut = [ "deployment.tags" ]; })
        (removeAttrs hive [ "meta" "network" "defaults" ])`,
    },
  ],
  "deploy-rs": [
    {
      output: "deploy",
      reading: `deploy: let ${PRESENT} in builtins.mapAttrs (_: node: {
        tags = [ ];
        leftOut = map (name: "profiles.\${name}") (builtins.attrNames (removeAttrs (node.profiles or { }) [ "system" ]))
          ++ present [ "hostname" "sshUser" "sshOpts" "activationTimeout" "confirmTimeout" "magicRollback" "autoRollback" ] node;
      }) deploy.nodes`,
    },
  ],
} as const satisfies Record<Source, readonly Asked[]>;

const found = z.record(
  z.string(),
  z.object({ tags: z.array(z.string()), leftOut: z.array(z.string()) }),
);

/** Nix' words for an output that a flake has not. */
const NO_SUCH_OUTPUT = "does not provide attribute";

/** Evaluates the flake's output of that tool. */
export async function readSource(
  run: RunTool,
  source: Source,
  flake: string,
): Promise<readonly FoundHost[]> {
  for (const { output, reading } of ASKED[source]) {
    const argv = [...NIX, "eval", "--json", `${flake}#${output}`, "--apply", reading] as const;
    try {
      const text = await run(argv, `evaluate ${flake}#${output}`);
      const hosts = found.safeParse(jsonOf(text, `${flake}#${output}`));
      if (!hosts.success)
        throw new Refusal(
          `${flake}#${output}: expected hosts with tags, which is not what it has.`,
        );
      return Object.entries(hosts.data).map(([name, host]) => ({ name, ...host }));
    } catch (cause) {
      if (!(cause instanceof Refusal && cause.message.includes(NO_SUCH_OUTPUT))) throw cause;
    }
  }
  const wanted = ASKED[source].map(({ output }) => output).join(" or ");
  throw new Refusal(
    `the flake ${flake} has no output ${wanted}: expected one. Name another flake with --flake, or import from another of ${SOURCES.join(", ")}.`,
  );
}
