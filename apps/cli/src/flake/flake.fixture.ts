import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder with a flake, and a Nix store of its own that holds nothing yet. Both are gone after the test. */
export interface FlakeFolder {
  readonly folder: string;
  readonly store: string;
  readonly write: (file: string, text: string) => void;
}

/** Nix without root's configuration: no sandbox, no cache to ask, a store below the folder. The process keeps it for its tests. */
export function flakeFolder(flake: string): FlakeFolder {
  const folder = mkdtempSync(join(tmpdir(), "nixwave-flake-"));
  const store = join(folder, "store");
  mkdirSync(store);
  onTestFinished(() => {
    // Store paths are read-only.
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  process.env["NIX_CONFIG"] = [
    "sandbox = false",
    "build-users-group =",
    "substituters =",
    `store = ${store}`,
    "sandbox-paths = /bin /usr /lib /lib64",
  ].join("\n");
  const write = (file: string, text: string): void => {
    writeFileSync(join(folder, file), text);
  };
  mkdirSync(join(folder, "home"));
  process.env["HOME"] = join(folder, "home");
  write("flake.nix", flake);
  return { folder, store, write };
}
