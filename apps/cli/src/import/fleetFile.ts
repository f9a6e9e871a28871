import { isHostName } from "@nixwave/effects";
import { isTag } from "@nixwave/protocol";
import type { FoundHost, Source } from "./source.ts";

/** A declaration that mkFleet takes, and what a person has to know of it. */
export interface ImportedFleet {
  readonly text: string;
  readonly notes: readonly string[];
}

/** With so few hosts a canary would be half of the fleet. */
const HOSTS_WITHOUT_CANARY = 2;

/** Writes the definition: one channel; the first host by name as a canary, then everything else. */
export function fleetFileOf(source: Source, hosts: readonly FoundHost[]): ImportedFleet {
  const known = hosts.filter(({ name }) => isHostName(name));
  const notes = [
    ...hosts
      .filter(({ name }) => !isHostName(name))
      .map(({ name }) => `${name} was left out: expected an RFC 1123 name in lower case`),
    ...hosts.flatMap(({ name, tags }) =>
      tags
        .filter((tag) => !isTag(tag))
        .map(
          (tag) =>
            `${name}: tag ${JSON.stringify(tag)} was left out: expected letters, digits, dots, _ and -`,
        ),
    ),
    ...leftOutNotes(known),
  ];
  const sorted = known.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const text = `# Made by \`nixwave import ${source}\`. In the flake's outputs:
#
#   fleet = nixwave.lib.mkFleet ({ inherit (self) nixosConfigurations; } // import ./fleet.nix);
#
# Then: nixwave release --flake .#fleet --dry-run
{
  hosts = {
${sorted.map(hostLine).join("")}  };

  channels.stable.waves = [
${wavesOf(sorted.map(({ name }) => name))}  ];
}
`;
  return { text, notes };
}

function hostLine({ name, tags }: FoundHost): string {
  const own = tags.filter(isTag).map((tag) => JSON.stringify(tag));
  const list = own.length === 0 ? "" : ` tags = [ ${own.join(" ")} ];`;
  return `    ${JSON.stringify(name)} = { channel = "stable";${list} };\n`;
}

function wavesOf(names: readonly string[]): string {
  const [first] = names;
  if (first === undefined || names.length <= HOSTS_WITHOUT_CANARY) {
    return "    { select.all = true; soakSecs = 600; }\n";
  }
  const canary = `[ ${JSON.stringify(first)} ]`;
  return `    { description = "canary"; select.hosts = ${canary}; soakSecs = 600; }
    { description = "everything else"; select.not.hosts = ${canary}; soakSecs = 600; }
`;
}

/** What becomes of the other tools' options, each once and with the hosts that have it. */
const INSTEAD: Readonly<Record<string, string>> = {
  "deployment.targetHost": "agents pull, and need no address",
  "deployment.keys": "secrets go by sops-nix, agenix or the like",
  "deployment.tags": "a node that is a function shows its tags to colmenaHive only",
  hostname: "agents pull, and need no address",
  sshUser: "nobody logs in",
  sshOpts: "nobody logs in",
  activationTimeout: "it is the policy's activationTimeoutSecs",
  confirmTimeout: "health checks decide, while the release soaks",
  magicRollback: "every agent rolls back by itself: the probe reachability",
  autoRollback: "every agent rolls back by itself",
};

function leftOutNotes(hosts: readonly FoundHost[]): string[] {
  const byOption = new Map<string, string[]>();
  for (const { name, leftOut } of hosts) {
    for (const option of leftOut) byOption.set(option, [...(byOption.get(option) ?? []), name]);
  }
  return [...byOption].map(([option, names]) => {
    const why = INSTEAD[option] ?? "Nixwave activates one profile of a host";
    const who = names.length > 3 ? `${names.length} hosts` : names.join(", ");
    return `${option} of ${who} was left out: ${why}`;
  });
}
