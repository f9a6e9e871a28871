import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSync } from "oxc-parser";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT, read, repositoryFiles } from "./source.ts";

// The programs run from source, and Node itself leaves the types out.

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), "nixwave-programs-"));
});
afterEach(() => {
  rmSync(temporary, { recursive: true });
});

// An agent is root. Code that it would read from a folder that everybody may write to is everybody's.
test.each(["agent/bin/nixwave-agent", "cp/bin/nixwave-cp", "cli/bin/nixwave"])(
  "apps/%s leaves nothing in the temporary folder, and says nothing of its own about it",
  (program) => {
    const { NODE_COMPILE_CACHE: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, "apps", `${program}.mjs`), "--help"],
      { encoding: "utf8", env: { ...env, TMPDIR: temporary } },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("Usage: nixwave");
    expect(readdirSync(temporary)).toEqual([]);
  },
);

// A method that is called like a modifier (`private declare(`) is TypeScript, and Node strips it wrongly.
test("every source is TypeScript that Node runs as it is", () => {
  const wrong = repositoryFiles()
    .filter((path) => path.endsWith(".ts"))
    .flatMap((path) => faultsOf(read(path)).map((fault) => `${path}: ${fault}`));
  expect(wrong, "say it in another way").toEqual([]);
});

function faultsOf(text: string): readonly string[] {
  try {
    const { errors } = parseSync("stripped.mjs", stripTypeScriptTypes(text));
    return errors.map(({ message }) => message);
  } catch (cause) {
    return [cause instanceof Error ? cause.message : String(cause)];
  }
}
