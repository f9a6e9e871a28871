import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, read } from "../source.ts";
import { type Lane, lanesOf, type Step } from "./lanes.ts";
import { runLanes } from "./run.ts";

const sh = (name: string, text: string, kind: Step["kind"] = "waits"): Step => ({
  name,
  command: ["sh", "-c", text],
  kind,
});

async function ran(...lanes: readonly Lane[]) {
  const lines: string[] = [];
  const outputs: string[] = [];
  const result = await runLanes(lanes, {
    folder: ROOT,
    said: ({ name }, line) => {
      lines.push(`${name}: ${line}`);
    },
    ended: ({ step, ok, output }) => {
      outputs.push(`${step.name} ${ok} ${output}`);
    },
  });
  return { ...result, lines, outputs };
}

test("a lane goes on while all is well, and its steps keep their order", async () => {
  expect(await ran([sh("a", "echo one; echo two >&2; printf three"), sh("b", "exit 0")])).toEqual({
    failed: [],
    left: [],
    lines: expect.arrayContaining(["a: one", "a: two", "a: three"]),
    outputs: [expect.stringMatching(/^a true /), "b true "],
  });
});

test("lanes go side by side: each of two steps waits for what the other one writes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nixwave-verify-"));
  try {
    await ran([sh("pipes", `cd ${folder}; mkfifo 1 2`)]);
    const { failed, lines } = await ran(
      [sh("a", `cd ${folder}; echo from a > 1; cat 2`)],
      [sh("b", `cd ${folder}; cat 1; echo from b > 2`)],
    );
    expect({ failed, lines: lines.toSorted() }).toEqual({
      failed: [],
      lines: ["a: from b", "b: from a"],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("after a failure nothing new is begun, and what failed is there to be read", async () => {
  expect(await ran([sh("a", "echo why; exit 3"), sh("b", "echo never")])).toEqual({
    failed: ["a"],
    left: ["b"],
    lines: ["a: why"],
    outputs: ["a false why\n"],
  });
});

test("a command that is not there is a failure, and so is a step that was killed", async () => {
  const missing: Step = { name: "a", command: ["nixwave-no-such-command"], kind: "waits" };
  const { failed, outputs } = await ran([missing], [sh("b", "kill -9 $$")]);
  expect(failed.toSorted()).toEqual(["a", "b"]);
  expect(outputs.join()).toContain("nixwave-no-such-command could not be started");
});

test("a step that takes longer than it may is killed, and says so", async () => {
  const stuck: Step = { ...sh("a", "exec sleep 600"), secondsMax: 0.2 };
  expect(await ran([stuck])).toMatchObject({
    failed: ["a"],
    outputs: ["a false killed after 0.2 s\n"],
  });
});

test("what only computes gives way", async () => {
  const { lines } = await ran([sh("waits", "nice"), sh("computes", "nice", "computes")]);
  const [computes = 0, waits = 0] = lines.toSorted().map((line) => Number(line.split(": ")[1]));
  expect(computes).toBe(Math.min(19, waits + 15));
});

const scripts: Readonly<Record<string, string>> = JSON.parse(read("package.json")).scripts;

const RESULTS = "/results/vitest.json";
const stepsOf = (hosts: "as root" | "by sudo") => lanesOf({ results: RESULTS, hosts }).flat();

test("every step is a script of ours, and the two runs of tests are `pnpm test`, each file once", () => {
  const steps = stepsOf("as root");
  const runs = steps.filter(({ command }) => command[1] === "exec");
  const others = steps.filter((step) => !runs.includes(step));
  expect(others.filter(({ command }) => !((command[1] ?? "") in scripts))).toEqual([]);
  expect(scripts["test"]).toBe("vitest run --project '!system'");
  expect(runs.map(({ command }) => command.slice(2).join(" "))).toEqual([
    "vitest run --project endToEnd",
    "vitest run --project !system --project !endToEnd",
  ]);
});

test("no two runs of tests write one file, and the tests on hosts are run where they are wanted", () => {
  const written = stepsOf("as root").flatMap(({ env }) => Object.values(env ?? {}));
  expect(written).toEqual(["/results/endToEnd.json", "/results/system.json"]);
  const bySudo = stepsOf("by sudo").find(({ name }) => name === "tests on hosts");
  expect(bySudo?.command.join(" ")).toBe(
    `sudo -n env PATH=${process.env["PATH"]} NIXWAVE_TEST_RESULTS=/results/system.json pnpm test:system`,
  );
  const names = lanesOf({})
    .flat()
    .map(({ name }) => name);
  expect(names).not.toContain("tests on hosts");
});
