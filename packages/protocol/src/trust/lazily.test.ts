import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

/** Loads the package as the CLI does, makes and lists a repository's keys, and says whether tuf-js came with it. */
const PROBE = `
  import { registerHooks } from "node:module";
  const heavy = [];
  registerHooks({
    resolve(specifier, context, next) {
      if (/^(tuf-js|@tufjs)/.test(specifier)) heavy.push(specifier);
      return next(specifier, context);
    },
  });
  const door = await import(process.argv[1]);
  const opened = await door.openRepository("/nowhere");
  console.log(JSON.stringify([opened.error.code, heavy]));
`;

test("tuf-js is loaded by what verifies, and by nothing else: it takes 25 to 120 ms", () => {
  const door = new URL("../index.ts", import.meta.url).href;
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", PROBE, door], {
    encoding: "utf8",
  });
  expect(JSON.parse(said)).toEqual(["no-repository", []]);
});
