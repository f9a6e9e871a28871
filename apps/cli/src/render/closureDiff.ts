import type { DiffGroup, PackageChange } from "../flake/closureDiff.ts";
import { listed } from "./name.ts";
import { paint, type Style } from "./style.ts";

/** Packages that a screen names one by one: a new nixpkgs changes thousands. */
const PACKAGES_SHOWN_MAX = 12;
const HOSTS_SHOWN_MAX = 6;

/** What changes on which hosts, each difference once. */
export function diffScreen(style: Style, groups: readonly DiffGroup[]): readonly string[] {
  return groups.flatMap(({ hosts, diff }) => {
    const who = paint(style, "strong", listed(hosts, HOSTS_SHOWN_MAX));
    if (diff === null) {
      return [`  ${who}  what changes can't be told: what runs now is not in this machine's store`];
    }
    const { packages, bytesNew } = diff;
    const shown = packages
      .slice(0, PACKAGES_SHOWN_MAX)
      .map((change) => `    ${changeText(change)}`);
    const more = packages.length - shown.length;
    return [
      `  ${who}  at most ${byteText(bytesNew)} to download`,
      ...(packages.length === 0
        ? ["    the same packages, built anew or configured otherwise"]
        : shown),
      ...(more > 0 ? [`    … and ${more} more packages`] : []),
    ];
  });
}

function changeText({ name, from, to }: PackageChange): string {
  const versions = (all: readonly string[]) => all.map((one) => one || "(no version)").join(", ");
  if (from.length === 0) return `+ ${name} ${versions(to)}`;
  if (to.length === 0) return `- ${name} ${versions(from)}`;
  return `${name} ${versions(from)} → ${versions(to)}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** `412 MB`: decimal units, as a network is measured in. */
export function byteText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ""}`;
}
