import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { pathToFileURL } from "node:url";
import { bugNamed, type Patch, patched, pathOf } from "./bugs.ts";

// Loaded into a child of the hunt (node --import) and nowhere else: while NIXWAVE_PLANT names a bug, one source file is
// another one in that process. Nothing of it is in packages/ or apps/, so nothing of it can ship.

const name = process.env["NIXWAVE_PLANT"];
if (name !== undefined && name !== "") plant(bugNamed(name));

/** From now on whoever imports the file gets the other one. */
export function plant(bug: Patch): void {
  const path = pathOf(bug);
  const target = pathToFileURL(path).href;
  const source = stripTypeScriptTypes(patched(bug, readFileSync(path, "utf8")));
  registerHooks({
    load: (url, context, nextLoad) =>
      url === target ? { format: "module", source, shortCircuit: true } : nextLoad(url, context),
  });
}
