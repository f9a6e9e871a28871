import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FIRST_ATTEMPT, nextAttempt } from "@nixwave/effects";
import { journal, rollout } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SOON, type TestHost, testHost } from "./host.fixture.ts";
import { type UnitRef, unitName } from "./unit.ts";

const UNIT: UnitRef = {
  rolloutId: rollout("stable@a1"),
  journalId: journal("1"),
  attempt: FIRST_ATTEMPT,
  purpose: "switch",
  tryNo: 1,
};
const never = new AbortController().signal;
const FOREVER = "echo entered; : > entered; trap '' TERM; while :; do sleep 1000; done";

let host: TestHost;
vi.setConfig({ testTimeout: 30_000 });
beforeEach(() => {
  host = testHost();
});
afterEach(() => host.remove());

async function fire(script: string, unit: UnitRef = UNIT, deadlineSecs = 60) {
  const closure = host.makeClosure("new", { switch: script });
  return await host.activation.fire({ unit, closure, deadlineSecs });
}
const ended = async (unit: UnitRef = UNIT) => {
  await host.activation.ended(unit, new AbortController().signal);
  return await host.activation.unit(unit);
};
const entered = () => vi.waitFor(() => expect(host.exists("entered")).toBe(true), SOON);
const unitFile = (name: string) => join(host.root, "units", unitName(UNIT), name);
test.each([
  ["swap boot; swap current-system", { kind: "exited", code: 0 }],
  ["exit 1", { kind: "exited", code: 1 }],
  ["swap current-system; exit 4", { kind: "exited", code: 4 }],
  ["exit 100", { kind: "exited", code: 100 }],
  ["kill -9 $$", { kind: "killed" }],
])("%s ends as %o", async (script, expected) => {
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "none" });
  expect(await fire(script)).toEqual({ ok: true, value: null });
  expect(await ended()).toEqual(expected);
});

test("it sees PATH and NIXWAVE_ROOT of us, and nothing else", async () => {
  await fire("env");
  await ended();
  const names = (await host.activation.output(UNIT))
    .split("\n")
    .map((line) => line.split("=")[0])
    .filter((name) => name !== "" && name !== "_" && name !== "PWD" && name !== "OLDPWD");
  expect(new Set(names)).toEqual(new Set(["PATH", "NIXWAVE_ROOT"]));
});

test("a second fire of the same name is refused, and runs nothing", async () => {
  await fire("echo run >> runs");
  await ended();
  const second = await fire("echo run >> runs");
  expect(second).toMatchObject({ ok: false, error: { kind: "taken" } });
  expect(readFileSync(join(host.root, "runs"), "utf8")).toBe("run\n");
});

test("of two fires at once one is taken", async () => {
  const results = await Promise.all([fire("echo run >> runs"), fire("echo run >> runs")]);
  expect(results.filter(({ ok }) => ok)).toHaveLength(1);
  await ended();
  expect(readFileSync(join(host.root, "runs"), "utf8")).toBe("run\n");
});

test("a unit that outlives its deadline ends itself", async () => {
  await fire("echo hangs; exec sleep 1000", UNIT, 0.2);
  expect(await ended()).toEqual({ kind: "killed" });
  expect(await host.activation.output(UNIT)).toBe("hangs\n");
});

test("past its deadline all that it started is ended before it reads as ended, TERM heeded or not (hazard 60)", async () => {
  await fire("(trap '' TERM; sleep 1000; :) & sleep 1000", UNIT, 0.2);
  expect(await ended()).toEqual({ kind: "killed" });
  // The shell around it may still be on its way out.
  await vi.waitFor(() => expect(host.processes()).toEqual([]), { ...SOON, timeout: 5000 });
});

test("it outlives kill -9 of the process that fired it, mid-switch, and its end is seen (hazard 53)", async () => {
  const closure = host.makeClosure("new", {
    switch: "swap current-system; mkfifo gate; : > entered; read go < gate; swap boot",
  });
  const program = `
    import { testHost } from ${JSON.stringify(join(import.meta.dirname, "host.fixture.ts"))};
    await testHost(${JSON.stringify(host.dir)}).activation.fire(${JSON.stringify({ unit: UNIT, closure, deadlineSecs: 60 })});
    setInterval(() => {}, 1000);`;
  const agent = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  await vi.waitFor(() => expect(host.exists("entered")).toBe(true), SOON);
  const gone = new Promise((resolve) => agent.once("exit", resolve));
  agent.kill("SIGKILL");
  await gone;
  // The running closure is the target already, and proves nothing.
  expect((await host.activation.system()).running).toBe(closure);
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "running" });
  writeFileSync(join(host.root, "gate"), "go\n");
  expect(await ended()).toEqual({ kind: "exited", code: 0 });
  expect((await host.activation.system()).boot).toBe(closure);
});

test("killing the shell around it is no end while the switch goes on; then it was killed", async () => {
  await fire(FOREVER);
  await entered();
  const [pid] = readFileSync(unitFile("start"), "utf8").split("\n");
  process.kill(Number(pid), "SIGKILL");
  await vi.waitFor(() => expect(existsSync(`/proc/${pid}/exe`)).toBe(false), SOON);
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "running" });
  expect(await host.activation.stop(UNIT, never)).toBe(true);
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "killed" });
  expect(host.processes()).toEqual([]);
});

test("stop ends the whole unit, grandchildren that ignore TERM included (hazard 60)", async () => {
  await fire(`sh -c "trap '' TERM; sleep 1001" & ${FOREVER}`);
  await entered();
  expect(host.processes().length).toBeGreaterThan(3);
  expect(await host.activation.stop(UNIT, never)).toBe(true);
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "killed" });
  await vi.waitFor(() => expect(host.processes()).toEqual([]), SOON);
  expect(await host.activation.output(UNIT)).toBe("entered\n");
});

test("stop of what ended or never began is done at once", async () => {
  expect(await host.activation.stop(UNIT, never)).toBe(true);
  await fire("exit 3");
  await ended();
  expect(await host.activation.stop(UNIT, never)).toBe(true);
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "exited", code: 3 });
});

test("a service that the switch left behind does not keep the unit running", async () => {
  await fire("sleep 1002 & swap current-system");
  expect(await ended()).toEqual({ kind: "exited", code: 0 });
  expect(host.processes()).not.toEqual([]);
});

test("a process that was given the number of a unit's is not taken for it (hazard 57)", async () => {
  mkdirSync(unitFile(""), { recursive: true });
  const start = (startTime: string) =>
    writeFileSync(unitFile("start"), `${process.pid}\n${startTime}\n${bootId}\nnonce\n`);
  const bootId = await host.activation.bootId();
  const stat = readFileSync(`/proc/${process.pid}/stat`, "utf8");
  const ownStartTime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  start(ownStartTime);
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "running" });
  start("1");
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "killed" });
});

test("a new boot takes the memory of a running unit, and not the outcome of one that ended", async () => {
  await fire(FOREVER);
  await entered();
  const second = { ...UNIT, tryNo: 2 };
  await fire("exit 1", second);
  await ended(second);
  await host.activation.stop(UNIT, never);
  host.writeFile("boot-id", "another-boot\n");
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "unknown" });
  expect(await host.activation.unit(second)).toEqual({ kind: "exited", code: 1 });
});

test("an outcome that a power cut left empty says nothing", async () => {
  await fire("exit 0");
  await ended();
  // The shell that wrote it has still to end.
  await vi.waitFor(() => expect(host.processes()).toEqual([]), SOON);
  writeFileSync(unitFile("outcome"), "");
  // The shell that wrote it is there for a moment yet.
  await vi.waitFor(async () => {
    expect(await host.activation.unit(UNIT)).toEqual({ kind: "killed" });
  }, SOON);
  host.writeFile("boot-id", "another-boot\n");
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "unknown" });
});

test("a folder that was only being prepared is no unit", async () => {
  mkdirSync(join(host.root, "units", `${unitName(UNIT)}.new.4711`), { recursive: true });
  expect(await host.activation.unit(UNIT)).toEqual({ kind: "none" });
  expect(await host.activation.units()).toEqual([]);
  expect(await fire("exit 0")).toMatchObject({ ok: true });
});

test("the last 64 KiB of what it printed are kept, the end of it above all", async () => {
  await fire("seq 1 400000; echo the end >&2");
  await ended();
  const output = await host.activation.output(UNIT);
  expect(output.endsWith("400000\nthe end\n")).toBe(true);
  expect(output.length).toBeGreaterThan(60 * 1024);
  expect(output.length).toBeLessThanOrEqual(64 * 1024);
  const onDisk = readdirSync(unitFile("")).filter((name) => name.startsWith("output"));
  const bytes = onDisk.map((name) => readFileSync(unitFile(name)).length);
  expect(Math.max(...bytes)).toBeLessThanOrEqual(512 * 1024);
});

test("every unit is found, of whatever journal, with its whole name", async () => {
  const other: UnitRef = {
    ...UNIT,
    journalId: journal("2"),
    attempt: nextAttempt(FIRST_ATTEMPT),
    purpose: "rollback",
  };
  await fire(FOREVER);
  await entered();
  await fire("exit 0", other);
  await ended(other);
  expect(await host.activation.units()).toEqual(
    expect.arrayContaining([
      { unit: UNIT, running: true },
      { unit: other, running: false },
    ]),
  );
});

test("old units are forgotten, and running ones are not", async () => {
  await fire(FOREVER);
  await entered();
  for (let tryNo = 2; tryNo < 40; tryNo += 1) {
    mkdirSync(join(host.root, "units", unitName({ ...UNIT, tryNo: 1000 + tryNo })));
    utimesSync(join(host.root, "units", unitName({ ...UNIT, tryNo: 1000 + tryNo })), 1, tryNo);
  }
  await fire("exit 0", { ...UNIT, tryNo: 2 });
  const names = (await host.activation.units()).map(({ unit }) => unit.tryNo);
  expect(names).toContain(1);
  expect(names).toContain(2);
  expect(names).toContain(1039);
  expect(names).not.toContain(1002);
  expect(names).toHaveLength(32);
});
