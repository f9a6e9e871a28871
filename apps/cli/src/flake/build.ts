import type { Sha256 } from "@nixwave/effects";
import { closureDigestOf, readStoreDump, type StorePathInfo } from "@nixwave/protocol";
import { Refusal } from "../refusal.ts";
import type { Toplevel } from "./evaluate.ts";
import type { RunTool } from "./nix.ts";

/** What the store of this machine holds of one closure. */
export interface StoredClosure {
  readonly digest: Sha256;
  readonly paths: readonly StorePathInfo[];
}

/** The kernel takes two megabytes of arguments; a store path has up to 255 characters. */
const PATHS_MAX = 4000;

function* batches<T>(all: readonly T[]): Iterable<readonly T[]> {
  for (let at = 0; at < all.length; at += PATHS_MAX) yield all.slice(at, at + PATHS_MAX);
}

/** Builds or fetches what is not there yet. */
export async function build(run: RunTool, systems: readonly Toplevel[]): Promise<void> {
  for (const some of batches(systems)) {
    const derivations = some.map(({ derivation }) => derivation);
    await run(["nix-store", "--realise", ...derivations], "build the systems");
  }
}

/** With `--no-build`: all of it must be there. */
export async function demandBuilt(run: RunTool, systems: readonly Toplevel[]): Promise<void> {
  for (const { host, output } of systems) {
    try {
      await run(["nix-store", "--check-validity", output], "look for what is built");
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause;
      throw new Refusal(
        `--no-build: ${output} of host ${host} is not in this machine's store. Build it first, or leave --no-build out.`,
      );
    }
  }
}

/** Where closures go for hosts to fetch them: a store's URL, or a command of the operator's. */
export type Push =
  | { readonly kind: "copy"; readonly to: string }
  /** Taken by the shell, as it was typed; the store paths are its further arguments. */
  | { readonly kind: "command"; readonly command: string };

/** Pushes whole closures; signatures are the store's (`nix copy`), or the command's own affair. */
export async function push(run: RunTool, how: Push, systems: readonly Toplevel[]): Promise<void> {
  for (const some of batches(systems)) {
    const outputs = some.map(({ output }) => output);
    switch (how.kind) {
      case "copy":
        await run(
          [
            "nix",
            "--extra-experimental-features",
            "nix-command",
            "copy",
            "--to",
            how.to,
            ...outputs,
          ],
          `copy the closures to ${how.to}`,
        );
        break;
      case "command":
        await run(
          ["sh", "-c", `${how.command} "$@"`, "push-cmd", ...outputs],
          "push the closures with --push-cmd",
        );
        break;
      default:
        how satisfies never;
    }
  }
}

/** Reads a closure from this machine's store; null where it is not there, whole. */
export async function readClosure(run: RunTool, output: string): Promise<StoredClosure | null> {
  let listing: string;
  try {
    listing = await run(["nix-store", "-q", "--requisites", output], `read the closure ${output}`);
  } catch (cause) {
    if (cause instanceof Refusal) return null;
    throw cause;
  }
  const requisites = listing.split("\n").filter((path) => path !== "");
  const dumps: string[] = [];
  for (const some of batches(requisites)) {
    dumps.push(await run(["nix-store", "--dump-db", ...some], `read the closure ${output}`));
  }
  const dump = dumps.join("");
  const [digest, paths] = [closureDigestOf(dump), readStoreDump(dump)];
  if (!digest.ok || !paths.ok)
    throw new Refusal(`the closure ${output} can't be read from the store.`);
  return { digest: digest.value, paths: paths.value };
}
