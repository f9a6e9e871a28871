import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

/** Loads the package as the CLI does, and says which of the heavy libraries came with it. */
const PROBE = `
  import { registerHooks } from "node:module";
  const heavy = [];
  registerHooks({
    resolve(specifier, context, next) {
      if (/^(@peculiar\\/x509|jose|reflect-metadata)$/.test(specifier)) heavy.push(specifier);
      return next(specifier, context);
    },
  });
  const door = await import(process.argv[1]);
  console.log(JSON.stringify([typeof door.judgeEnrolment, heavy]));
`;

test("the package's door loads neither @peculiar/x509 nor jose: the CLI would wait for them at each start", () => {
  const door = new URL("../index.ts", import.meta.url).href;
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", PROBE, door], {
    encoding: "utf8",
  });
  expect(JSON.parse(said)).toEqual(["function", []]);
});
