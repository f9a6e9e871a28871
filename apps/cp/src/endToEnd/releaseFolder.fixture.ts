import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { instant, type Release } from "@nixwave/effects";
import { formatFinding, readFleet, resolve } from "@nixwave/protocol";

/** A declaration, resolved and put in place as `nixwave release` does it: current.json last, by a rename. */
export function putRelease(
  dir: string,
  declaration: unknown,
  about: { readonly createdAt: number; readonly note: string },
): Release {
  const read = readFleet({ file: "fleet.json", text: JSON.stringify(declaration, null, 2) });
  if (!read.ok) throw new Error(read.error.map(formatFinding).join("\n"));
  const resolved = resolve(read.value, {
    revision: null,
    createdAt: instant(about.createdAt),
    createdBy: "ci",
    note: about.note,
  });
  if (!resolved.ok) throw new Error(resolved.error.map(formatFinding).join("\n"));
  for (const { files } of resolved.value.releases) {
    for (const { path, bytes } of files) {
      const target = join(dir, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(`${target}.tmp`, bytes);
      renameSync(`${target}.tmp`, target);
    }
  }
  const release = resolved.value.releases[0]?.release;
  if (release === undefined) throw new Error("the declaration has a channel");
  return release;
}
