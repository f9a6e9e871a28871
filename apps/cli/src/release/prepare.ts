import { readFileSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import {
  type Channel,
  type ClosureHash,
  type HostName,
  type Instant,
  parseClosureHash,
  type Release,
} from "@nixwave/effects";
import {
  type Declaration,
  didYouMean,
  type Finding,
  type FleetHosts,
  formatFinding,
  readFleet,
  refuseOlder,
  resolve,
  type WrittenRelease,
} from "@nixwave/protocol";
import { channelNamed, hostNamed } from "../find.ts";
import { Refusal, systemCode } from "../refusal.ts";
import { declaredHosts } from "../signing/declaredHosts.ts";
import { type Changes, changesOf } from "./changes.ts";

/** What was typed of a release. */
export interface ReleaseTyped {
  /** The declaration's file, or the flake's output: for sentences. */
  readonly fleet: string;
  readonly channel: string | null;
  /** `HOST=CLOSURE`, each as typed. */
  readonly closures: readonly string[];
  readonly note: string;
  readonly revision: string | null;
}

/** A release that could be published as it is. */
export interface Prepared {
  readonly declared: FleetHosts;
  readonly releases: readonly WrittenRelease[];
  readonly changes: readonly Changes[];
  readonly warnings: readonly Finding[];
}

export interface By {
  readonly createdBy: string;
  readonly now: Instant;
  /** What is current now, or null before the first release. */
  readonly current: (channel: Channel) => Promise<Release | null>;
}

/** Resolves and compares; writes nothing. Everything that is wrong comes as one Refusal, a line each. */
export async function prepare(
  declared: Declaration,
  typed: ReleaseTyped,
  by: By,
): Promise<Prepared> {
  const declaration = withClosures(declared, typed.closures);
  const resolved = resolve(declaration, {
    revision: typed.revision,
    createdAt: by.now,
    createdBy: by.createdBy,
    note: typed.note,
  });
  if (!resolved.ok) throw refusalOf(resolved.error);
  const releases = ofChannel(resolved.value.releases, typed);
  const changes: Changes[] = [];
  for (const { release } of releases) {
    const previous = await by.current(release.channel);
    const older = refuseOlder(release, previous?.createdAt ?? null);
    if (older !== null) throw new Refusal(`${older}. Is this machine's clock right?`);
    changes.push(changesOf(release, previous));
  }
  return {
    declared: declaredHosts(declaration.fleet.hosts),
    releases,
    changes,
    warnings: resolved.value.warnings,
  };
}

const refusalOf = (findings: readonly Finding[]): Refusal =>
  new Refusal(`nothing was released.\n${findings.map(formatFinding).join("\n")}`);

export function declarationOf(file: string, cwd: string): Declaration {
  let text: string;
  try {
    text = readFileSync(resolvePath(cwd, file), "utf8");
  } catch (cause) {
    throw new Refusal(
      `${file} can't be read (${systemCode(cause)}): expected a fleet declaration in YAML or JSON. Make one with: nixwave init`,
    );
  }
  const read = readFleet({ file, text });
  if (!read.ok) throw refusalOf(read.error);
  return read.value;
}

/** `--closure` wins over the file, for CI that builds closures and does not edit files. */
function withClosures(declaration: Declaration, typed: readonly string[]): Declaration {
  const closures = new Map(typed.map(closureOf));
  const { fleet } = declaration;
  for (const host of closures.keys()) {
    if (fleet.hosts[host] === undefined) {
      const meant = didYouMean(host, Object.keys(fleet.hosts));
      throw new Refusal(`--closure names host ${host}, which is not in the fleet.${meant}`);
    }
  }
  const hosts = Object.fromEntries(
    Object.entries(fleet.hosts).map(([name, host]) => {
      const closure = closures.get(hostNamed(name));
      return [name, closure === undefined ? host : { ...host, closure, closureDigest: null }];
    }),
  );
  return { ...declaration, fleet: { ...fleet, hosts } };
}

function closureOf(text: string): [HostName, ClosureHash] {
  const at = text.indexOf("=");
  const expected = "expected HOST=CLOSURE, as in web-1=5kxq1…-nixos-system-web-1";
  if (at < 1) throw new Refusal(`--closure “${text}”: ${expected}.`);
  // What `readlink result` prints is a whole path; its last part is the closure.
  const base =
    text
      .slice(at + 1)
      .split("/")
      .at(-1) ?? "";
  const closure = parseClosureHash(base);
  if (!closure.ok) {
    throw new Refusal(`--closure “${text}”: expected ${closure.error.expected}, not “${base}”.`);
  }
  return [hostNamed(text.slice(0, at)), closure.value];
}

function ofChannel(
  releases: readonly WrittenRelease[],
  { channel, fleet }: ReleaseTyped,
): readonly WrittenRelease[] {
  if (channel === null) return releases;
  const name = channelNamed(channel);
  const own = releases.filter(({ release }) => release.channel === name);
  if (own.length > 0) return own;
  const declared = releases.map(({ release }) => release.channel);
  throw new Refusal(
    `--channel ${channel} is not declared in ${fleet}: expected one of ${declared.join(", ")}.${didYouMean(channel, declared)}`,
  );
}
