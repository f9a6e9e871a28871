import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { endUnits } from "./unit.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "nixwave-unit-"));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** A process in a session of its own, as a switch is, that would run for a minute. */
function sleeper(env: Readonly<Record<string, string>>) {
  const child = spawn("sleep", ["60"], {
    detached: true,
    stdio: "ignore",
    env: { PATH: process.env["PATH"], ...env },
  });
  return { child, pid: String(child.pid ?? ""), ended: once(child, "exit") };
}

function unit(name: string, pid: string, outcome: string | null): void {
  mkdirSync(join(root, "units", name), { recursive: true });
  writeFileSync(join(root, "units", name, "start"), `${pid}\n1\nboot\nnonce\n`);
  if (outcome !== null) writeFileSync(join(root, "units", name, "outcome"), outcome);
}

test("a switch that still runs is ended; a stranger with a number that was ours is not", async () => {
  const ours = sleeper({ NIXWAVE_ROOT: root });
  const stranger = sleeper({ NIXWAVE_ROOT: `${root}-other` });
  const finished = sleeper({ NIXWAVE_ROOT: root });
  try {
    unit("running", ours.pid, null);
    unit("given-to-a-stranger", stranger.pid, null);
    unit("over", finished.pid, "0\n");
    endUnits(join(root, "units"), `NIXWAVE_ROOT=${root}`);
    await ours.ended;
    expect(ours.child.signalCode).toBe("SIGKILL");
    expect(stranger.child.exitCode ?? stranger.child.signalCode).toBeNull();
    expect(finished.child.exitCode ?? finished.child.signalCode).toBeNull();
  } finally {
    stranger.child.kill();
    finished.child.kill();
    await Promise.all([stranger.ended, finished.ended]);
  }
});

test("a root without units is no error", () => {
  endUnits(root, "NIXWAVE_ROOT=/");
  endUnits(join(root, "nowhere"), "NIXWAVE_ROOT=/");
});
