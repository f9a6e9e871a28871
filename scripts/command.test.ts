import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT, read } from "./source.ts";

const COMMANDS = [
  "crash-matrix",
  "demo",
  "exhaustive",
  "planted",
  "prove",
  "sim",
  "verify",
] as const;

const scripts: Readonly<Record<string, string>> = JSON.parse(read("package.json")).scripts;

function run(command: string, ...typed: string[]) {
  const [node, ...args] = (scripts[command] ?? "").split(" ");
  expect(node).toBe("node");
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, ...typed], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("each command that is a program of scripts/ is looked at here, and all read what is typed by runCommand", () => {
  const programs = Object.entries(scripts).flatMap(([name, script]) => {
    const path = /scripts\/\S*main\.ts/.exec(script)?.[0];
    return path === undefined ? [] : [{ name, path }];
  });
  expect(programs.map(({ name }) => name).toSorted()).toEqual(COMMANDS);
  for (const { path } of programs) expect(read(path)).toContain("await runCommand(");
});

test.each(COMMANDS)("pnpm %s --help teaches, and does nothing", (command) => {
  const { status, stdout, stderr } = run(command, "--help");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(new RegExp(`^pnpm ${command} `));
});

test("what is typed wrongly is a sentence and the usage, not a stack", () => {
  const { status, stdout, stderr } = run("verify", "--host");
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^verify: Unknown option '--host'\n\npnpm verify /);
  expect(stderr).not.toMatch(/^ +at /m);
});

test.each([
  ["sim", ["--seeds", "a few"], '--seeds is "a few"; expected a whole number from 1'],
  ["sim", ["--fleet", "0"], '--fleet is "0"; expected a whole number from 1'],
  ["exhaustive", ["--only", "no such"], 'no world\'s name contains "no such". There are:'],
  ["planted", ["--only", "none"], 'no planted bug is named "none". There are:'],
  ["prove", ["--seconds", "none"], '--seconds is "none"; expected a whole number from 1'],
  ["crash-matrix", ["--only", "cli"], '--only is "cli"; expected agent or cp'],
  ["demo", ["now"], "Unexpected argument 'now'"],
])("pnpm %s %j says what was expected", (command, typed, said) => {
  const { status, stderr } = run(command, ...typed);
  expect(status).toBe(2);
  expect(stderr.startsWith(`${command}: ${said}`), stderr).toBe(true);
});
