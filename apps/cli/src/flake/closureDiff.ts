import type { HostName } from "@nixwave/effects";
import type { StorePathInfo } from "@nixwave/protocol";

/** One package that another closure has in other versions; an empty list: not at all. */
export interface PackageChange {
  readonly name: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export interface ClosureDiff {
  readonly packages: readonly PackageChange[];
  /** What a host of the old closure has not got: at most so much is downloaded, before compression. */
  readonly bytesNew: number;
}

/** Hosts whose closures change in the same way; `diff` null: one of the two is not in this machine's store. */
export interface DiffGroup {
  readonly hosts: readonly HostName[];
  readonly diff: ClosureDiff | null;
}

const STORE_PATH = /^.*\/[0-9a-df-np-sv-z]{32}-(.+)$/;
/** As Nix itself parts them: the version begins at the first dash that no letter follows. */
const NAME_AND_VERSION = /^(.+?)-([^a-zA-Z].*)$/;

interface Package {
  readonly name: string;
  readonly version: string;
}

/** `/nix/store/…-openssl-3.0.14-bin` is openssl, 3.0.14-bin. A path without a version has the empty one. */
export function packageOf(path: string): Package {
  const base = STORE_PATH.exec(path)?.[1] ?? path;
  const [, name = base, version = ""] = NAME_AND_VERSION.exec(base) ?? [];
  return { name, version };
}

function versionsByName(paths: readonly StorePathInfo[]): Map<string, Set<string>> {
  const versions = new Map<string, Set<string>>();
  for (const { path } of paths) {
    const { name, version } = packageOf(path);
    const known = versions.get(name);
    if (known === undefined) versions.set(name, new Set([version]));
    else known.add(version);
  }
  return versions;
}

const sorted = (versions: ReadonlySet<string> | undefined): string[] =>
  [...(versions ?? [])].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

/** What is different by package and version. Paths that were only rebuilt count in bytes, not as packages. */
export function diffClosures(
  before: readonly StorePathInfo[],
  after: readonly StorePathInfo[],
): ClosureDiff {
  const [old, young] = [versionsByName(before), versionsByName(after)];
  const packages: PackageChange[] = [];
  for (const name of [...new Set([...old.keys(), ...young.keys()])].sort()) {
    const [from, to] = [sorted(old.get(name)), sorted(young.get(name))];
    if (from.join(" ") !== to.join(" ") || old.has(name) !== young.has(name)) {
      packages.push({ name, from, to });
    }
  }
  const known = new Set(before.map(({ path }) => path));
  const bytesNew = after
    .filter(({ path }) => !known.has(path))
    .reduce((sum, { narSize }) => sum + narSize, 0);
  return { packages, bytesNew };
}

/** A host's own names (its hostname in a path) would make each host a group of its own. */
const comparable = (host: HostName, { packages }: ClosureDiff): string =>
  JSON.stringify(packages.map(({ name, from, to }) => [name.replaceAll(host, "HOST"), from, to]));

/** Groups hosts by identical difference, the largest group first. */
export function groupByDiff(
  hosts: readonly { readonly host: HostName; readonly diff: ClosureDiff | null }[],
): readonly DiffGroup[] {
  const groups = new Map<string, { hosts: HostName[]; diff: ClosureDiff | null }>();
  for (const { host, diff } of hosts) {
    const key = diff === null ? "unknown" : comparable(host, diff);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { hosts: [host], diff });
    else {
      group.hosts.push(host);
      if (group.diff !== null && diff !== null && diff.bytesNew > group.diff.bytesNew) {
        group.diff = { ...group.diff, bytesNew: diff.bytesNew };
      }
    }
  }
  return [...groups.values()].sort((a, b) => b.hosts.length - a.hosts.length);
}
