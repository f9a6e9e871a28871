import { dirname, join } from "node:path";
import { CONTROL_PLANE_BUGS } from "./controlPlaneBugs.ts";
import { HOST_BUGS } from "./hostBugs.ts";
import { TRUST_BUGS } from "./trustBugs.ts";

/** Where a bug is looked for: from a seed on, in a scenario that was made for it, or in every interleaving of a small world. */
export type Ground =
  | { readonly kind: "seed"; readonly seed: number }
  /** The same, among the worlds that are signed and have a liar. */
  | { readonly kind: "liars"; readonly seed: number }
  | { readonly kind: "scenario"; readonly name: string }
  | { readonly kind: "exhaustive"; readonly name: string };

/** A textual change of one source file. */
export interface Patch {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A mistake that somebody could make. */
export interface Bug extends Patch {
  /** One sentence. */
  readonly what: string;
  readonly ground: Ground;
  /** Which invariants may tell: the first to be broken depends on the world. */
  readonly tells: readonly string[];
}

export const BUGS: readonly Bug[] = [...CONTROL_PLANE_BUGS, ...HOST_BUGS, ...TRUST_BUGS];

/** Throws where there is none, with the names that there are. */
export function bugNamed(name: string): Bug {
  const bug = BUGS.find((each) => each.name === name);
  if (bug !== undefined) return bug;
  const names = BUGS.map((each) => each.name).join(", ");
  throw new Error(`"${name}" is no planted bug; expected one of ${names}`);
}

export const pathOf = ({ file }: Patch): string =>
  join(dirname(dirname(import.meta.dirname)), file);

/** The file with the bug in it. Throws where the text to replace is not there exactly once. */
export function patched(bug: Patch, text: string): string {
  const parts = text.split(bug.find);
  if (parts.length === 2) return parts.join(bug.replace);
  throw new Error(
    `the bug ${bug.name} replaces a text that ${bug.file} has ${parts.length - 1} times; expected once: mend scripts/planted`,
  );
}
