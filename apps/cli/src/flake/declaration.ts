import { type Channel, type HostName, isChannel, isHostName, type Release } from "@nixwave/effects";
import {
  type Declaration,
  formatFinding,
  matcher,
  parseSelector,
  readFleet,
  type Selectable,
} from "@nixwave/protocol";
import { z } from "zod";
import { type Desk, say } from "../desk.ts";
import { Refusal } from "../refusal.ts";
import type { Push } from "./build.ts";
import type { DiffGroup } from "./closureDiff.ts";
import { type Closure, closuresOf } from "./closuresOf.ts";
import { evaluateDeclaration, fleetOf } from "./evaluate.ts";
import { jsonOf, toolRunner } from "./nix.ts";

/** What was typed of a release that comes from a flake. */
export interface FlakeTyped {
  /** `.#fleet`, as Nix takes it. */
  readonly flake: string;
  /** A selector: hosts that are built and released anew; the others keep what they have. Null: all. */
  readonly hosts: string | null;
  /** False: what is not built yet is refused. */
  readonly mayBuild: boolean;
  readonly push: Push | null;
}

/** A declaration with closures, and what a person is shown and what is done before it goes live. */
export interface Declared {
  readonly declaration: Declaration;
  readonly groups: readonly DiffGroup[];
  /** Hosts fetch as soon as they are told: closures are in the caches first. */
  readonly push: () => Promise<void>;
}

const described = z.looseObject({
  hosts: z.record(z.string(), z.looseObject({ channel: z.string(), tags: z.array(z.string()) })),
});
type Described = z.output<typeof described>;

/** Exported for its test. */
export function readDescribed(text: string, fleet: string): Described {
  const read = described.safeParse(jsonOf(text, `${fleet}.declaration`));
  if (read.success) return read.data;
  throw new Refusal(
    `${fleet}.declaration: expected a fleet, as nixwave.lib.mkFleet makes it. Name the output: --flake .#fleet`,
  );
}

export interface FlakeBy {
  readonly current: (channel: Channel) => Promise<Release | null>;
  /** What can be refused of the channels that the flake declares, before anything is built. */
  readonly refuse: (channels: ReadonlySet<Channel>) => void;
}

/** Evaluates, builds and digests; the declaration is then read like one from a file. */
export async function declarationOfFlake(
  desk: Desk,
  typed: FlakeTyped,
  { current, refuse }: FlakeBy,
): Promise<Declared> {
  const { cwd, stop } = desk.surroundings;
  const run = toolRunner({ cwd, stop, onLine: (line) => say(desk, `  ${line}`) });
  const fleet = fleetOf(typed.flake);
  say(desk, `Evaluating ${fleet} …`);
  const read = readDescribed(await evaluateDeclaration(run, typed.flake), fleet);
  const declared = Object.values(read.hosts).flatMap(({ channel }) =>
    isChannel(channel) ? [channel] : [],
  );
  refuse(new Set(declared));
  const hosts = Object.entries(read.hosts).flatMap(([host, { tags }]) =>
    isHostName(host) ? [{ host, tags }] : [],
  );
  const selected = selectedOf(desk, hosts, typed.hosts);
  const before = await closuresBefore(read, current);
  const kept = hosts.filter(({ host }) => !selected.has(host));
  const homeless = kept.filter(({ host }) => !before.has(host)).map(({ host }) => host);
  if (homeless.length > 0) {
    throw new Refusal(
      `--hosts leaves out ${homeless.join(", ")}, which no release has given a closure yet. Release them too.`,
    );
  }
  const { closures, groups, push } = await closuresOf(run, {
    flake: typed.flake,
    hosts: [...selected],
    mayBuild: typed.mayBuild,
    push: typed.push,
    previous: new Map([...before].map(([host, { closure }]) => [host, closure])),
    onStep: (sentence) => say(desk, sentence),
  });
  const all = new Map(before);
  for (const { host, ...closure } of closures) all.set(host, closure);
  return { declaration: withClosures(fleet, read, all), groups, push };
}

/** The selection is echoed, as everywhere. */
function selectedOf(
  desk: Desk,
  hosts: readonly Selectable[],
  typed: string | null,
): ReadonlySet<HostName> {
  if (typed === null) return new Set(hosts.map(({ host }) => host));
  const selector = parseSelector(typed);
  if (!selector.ok) throw new Refusal(`--hosts: ${selector.error}.`);
  const selected = hosts.filter(matcher(selector.value)).map(({ host }) => host);
  if (selected.length === 0) {
    throw new Refusal(`--hosts ${typed} selects none of ${hosts.length} hosts.`);
  }
  say(
    desk,
    `Selected ${selected.length} of ${hosts.length} hosts (${typed}); the others keep their closures.`,
  );
  return new Set(selected);
}

/** What each host has by the channels' current releases. */
async function closuresBefore(
  { hosts }: Described,
  current: (channel: Channel) => Promise<Release | null>,
): Promise<ReadonlyMap<HostName, Closure>> {
  const channels = new Set(Object.values(hosts).map(({ channel }) => channel));
  const before = new Map<HostName, Closure>();
  for (const channel of channels) {
    if (!isChannel(channel)) continue;
    for (const { host, closure, closureDigest } of (await current(channel))?.hosts ?? []) {
      before.set(host, { closure, digest: closureDigest });
    }
  }
  return before;
}

function withClosures(
  file: string,
  fleet: Described,
  closures: ReadonlyMap<string, Closure>,
): Declaration {
  const hosts = Object.fromEntries(
    Object.entries(fleet.hosts).map(([host, declared]) => {
      const given = closures.get(host);
      return [host, { ...declared, closure: given?.closure, closureDigest: given?.digest ?? null }];
    }),
  );
  const read = readFleet({ file, text: JSON.stringify({ ...fleet, hosts }, null, 1) });
  if (read.ok) return read.value;
  throw new Refusal(`nothing was released.\n${read.error.map(formatFinding).join("\n")}`);
}
