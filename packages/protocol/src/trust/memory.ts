import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import { type TrustProblem, trustProblem } from "./attack.ts";
import type { Known } from "./gate.ts";
import { decodeMetadata, kindOfRole } from "./metadata.ts";
import { namesIn, place, placeIfOther, readIfThere, syncFolder } from "./place.ts";

const STAGING = ".staging";

/**
 * The metadata directory: the highest versions seen, for ever. tuf-js writes in place and may be killed while it does, so it works
 * on a copy, and what it verified is then put in place file by file, also when the refresh as a whole fails.
 */
export class Memory {
  readonly directory: string;
  readonly staging: string;

  constructor(directory: string) {
    this.directory = directory;
    this.staging = join(directory, STAGING);
  }

  /**
   * The root to start from: the one remembered, unless the one installed with the host is newer. A remembered root of the same
   * chain is at least as new; one that is older was left behind by a root given by hand, which then counts.
   */
  async anchor(installed: Uint8Array | null): Promise<Result<null, TrustProblem>> {
    const path = join(this.directory, "root.json");
    const remembered = await readIfThere(path);
    if (installed === null) {
      if (remembered !== null) return ok(null);
      return err(
        trustProblem(
          "no-root",
          path,
          "no root is installed: verification starts from one that came with the host",
        ),
      );
    }
    const given = decodeMetadata("root", installed);
    if (!given.ok) return err(trustProblem("malformed", "the installed root.json", given.error));
    const known = remembered === null ? null : decodeMetadata("root", remembered);
    if (known?.ok === true && known.value.signed.version >= given.value.signed.version) {
      return ok(null);
    }
    await place(path, installed);
    return ok(null);
  }

  /** Makes the copy, and decodes what the gate measures by. */
  async stage(): Promise<Result<Known, TrustProblem>> {
    await rm(this.staging, { recursive: true, force: true });
    await mkdir(this.staging, { recursive: true });
    for (const name of await metadataIn(this.directory)) {
      const bytes = await readIfThere(join(this.directory, name));
      // Only what can be read again: a file that a disk damaged is fetched anew.
      if (bytes === null || !decodeMetadata(kindOfRole(roleOf(name)), bytes).ok) continue;
      await writeFile(join(this.staging, name), bytes);
    }
    const read = async (role: string) => await readIfThere(join(this.staging, `${role}.json`));
    const root = await read("root");
    const decoded = root === null ? null : decodeMetadata("root", root);
    if (decoded?.ok !== true) {
      const reason =
        "the remembered root is damaged: remove it, and the installed one counts again";
      return err(trustProblem("no-root", join(this.directory, "root.json"), reason));
    }
    return ok({
      root: decoded.value,
      timestamp: decodedOrNull("timestamp", await read("timestamp")),
      snapshot: decodedOrNull("snapshot", await read("snapshot")),
      targets: decodedOrNull("targets", await read("targets")),
    });
  }

  /** Keeps what was verified, the root first: the others are measured by it. */
  async commit(): Promise<void> {
    const names = [...(await metadataIn(this.staging))].sort(
      (a, b) => Number(b === "root.json") - Number(a === "root.json"),
    );
    for (const name of names) {
      const bytes = await readIfThere(join(this.staging, name));
      if (bytes !== null) await placeIfOther(join(this.directory, name), bytes);
    }
    if (names.length > 0) await syncFolder(this.directory);
  }

  async staged(role: string): Promise<Uint8Array | null> {
    return await readIfThere(join(this.staging, `${role}.json`));
  }
}

const roleOf = (name: string): string => name.slice(0, -".json".length);
const metadataIn = async (folder: string): Promise<readonly string[]> =>
  (await namesIn(folder)).filter((name) => name.endsWith(".json"));

function decodedOrNull<K extends "timestamp" | "snapshot" | "targets">(
  kind: K,
  bytes: Uint8Array | null,
) {
  const decoded = bytes === null ? null : decodeMetadata(kind, bytes);
  return decoded?.ok === true ? decoded.value : null;
}
