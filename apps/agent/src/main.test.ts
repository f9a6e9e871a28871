import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Forger } from "@nixwave/protocol/attacks.fixture";
import { closure } from "@nixwave/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

// The program itself, as a process: what a person types, and what a machine does to it.

const BIN = join(import.meta.dirname, "../bin/nixwave-agent.mjs");
/** Nothing listens there: these tests need no control plane. */
const NOBODY = "http://127.0.0.1:9";

const forger = Forger.honest();
const ROOT = forger.root();
forger.remove();

let dir: string;
let running: ChildProcess[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-agent-"));
  running = [];
  mkdirSync(join(dir, "root"));
  writeFileSync(join(dir, "root.json"), ROOT);
  mkdirSync(join(dir, "closures", closure("old")), { recursive: true });
  for (const link of ["current-system", "profile", "boot"])
    symlinkSync(join(dir, "closures", closure("old")), join(dir, "root", link));
});
afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

function writeConfig(over: Readonly<Record<string, unknown>> = {}): string {
  const file = join(dir, "agent.json");
  const config = {
    host: "web-1",
    channel: "stable",
    controlPlane: NOBODY,
    insecureLoopback: true,
    stateDir: join(dir, "state"),
    root: join(dir, "root.json"),
    activation: { backend: "directory", root: join(dir, "root"), closures: join(dir, "closures") },
    ...over,
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function call(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs the agent; `said` waits until a text was printed so many times. */
function run(argv: readonly string[]): {
  readonly child: ChildProcess;
  readonly said: (text: string, times?: number) => Promise<string>;
  readonly ended: Promise<number | null>;
} {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.push(child);
  let printed = "";
  const waiting = new Set<() => void>();
  const onData = (chunk: Buffer): void => {
    printed += chunk.toString();
    for (const look of waiting) look();
  };
  child.stdout.on("data", onData);
  child.stderr.on("data", onData);
  return {
    child,
    said: (text, times = 1) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (printed.split(text).length - 1 < times) return;
          waiting.delete(look);
          resolve(printed);
        };
        waiting.add(look);
        look();
      }),
    ended: new Promise((resolve) => child.once("exit", (code) => resolve(code))),
  };
}

/** Asks until the agent answers; each question is a process, so this is no hot loop. */
async function status(config: string): Promise<Record<string, unknown>> {
  for (;;) {
    const { code, stdout } = await call("status", "--json", "--config", config);
    if (code !== 0) continue;
    const json: unknown = JSON.parse(stdout);
    if (typeof json === "object" && json !== null) return { ...json };
  }
}

describe("a configuration", () => {
  test("that can be used is said to be", async () => {
    const { code, stdout } = await call("check-config", "--config", writeConfig());
    expect(stdout).toContain("web-1 follows stable");
    expect(code).toBe(0);
  });

  test("that can't is one sentence with the place, and no trace of a stack", async () => {
    const config = writeConfig({ controlPlane: "http://10.0.0.1:8080" });
    const { code, stderr } = await call("run", "--config", config);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(/config\.controlPlane: expected https:\/\/HOST:PORT: without TLS/);
    expect(code).toBe(1);
  });
});

describe("the root that came with the host", () => {
  test.each(["check-config", "run"])(
    "%s says where it should be, and what is wrong with it, in one sentence",
    async (command) => {
      const root = join(dir, "other.json");
      const config = writeConfig({ root });
      const missing = await call(command, "--config", config);
      expect(missing).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`${root} is not there`),
      });
      writeFileSync(root, JSON.stringify({ signed: { _type: "timestamp" }, signatures: [] }));
      const { code, stderr } = await call(command, "--config", config);
      expect(stderr).toContain(`${root} is no root of a signed repository: signed`);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(code).toBe(1);
    },
  );
});

describe("the agent as a process", () => {
  test("answers the console, keeps a second one out, and stops when it is told to", async () => {
    const config = writeConfig();
    const first = run([process.execPath, BIN, "run", "--config", config]);
    const before = await status(config);
    expect(before).toMatchObject({ host: "web-1", current: null, hold: null });
    expect(before["says"]).toBe("No rollout has reached this host yet.");

    const held = await call("hold", "--for", "2h", "--reason", "maintenance", "--config", config);
    expect(held.stdout).toContain("rejected as retryable until");
    expect(await status(config)).toMatchObject({ hold: { reason: "maintenance" } });
    expect(
      (await call("hold", "--for", "two", "--reason", "x", "--config", config)).stderr,
    ).toContain("such as 2h");

    const rollback = await call("rollback", "--reason", "it smells", "--config", config);
    expect(rollback).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("nothing to roll back"),
    });

    const second = await call("run", "--config", config);
    expect(second).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("another agent runs"),
    });

    first.child.kill("SIGTERM");
    expect(await first.ended).toBe(0);
    const after = await call("status", "--config", config);
    expect(after).toMatchObject({ code: 1, stderr: expect.stringContaining("No agent answers") });

    const shown = await call("journal", "show", "--config", config);
    expect(shown.stdout).toContain('"journalId"');
    expect(shown.stdout).toContain("maintenance");
  }, 60_000);

  test("kill -9 leaves a socket that the next one takes over, and a hold that still holds", async () => {
    const config = writeConfig();
    const first = run([process.execPath, BIN, "run", "--config", config]);
    await status(config);
    await call("hold", "--for", "1h", "--reason", "maintenance", "--config", config);
    first.child.kill("SIGKILL");
    await first.ended;
    run([process.execPath, BIN, "run", "--config", config]);
    expect(await status(config)).toMatchObject({ hold: { reason: "maintenance" } });
  }, 60_000);

  test("NIXWAVE_CRASH_AT kills the process there, as a power cut would", async () => {
    const config = writeConfig();
    const env = `NIXWAVE_CRASH_AT=after-commit`;
    const agent = run(["env", env, process.execPath, BIN, "run", "--config", config]);
    expect(await agent.ended).toBeNull();
    expect(agent.child.signalCode).toBe("SIGKILL");
    const { stdout } = await call("journal", "show", "--config", config);
    expect(stdout).toContain('"booted"');
  }, 60_000);

  test.skipIf(process.getuid?.() !== 0)(
    "a full disk is one line that names the path, and passes without a restart",
    async () => {
      const state = join(dir, "state");
      mkdirSync(state);
      const config = writeConfig();
      // The mount is in a namespace of the test's own; the folder is reached through the agent's root in /proc.
      const script = `mount -t tmpfs -o size=4m tmpfs "$1" && dd if=/dev/zero of="$1/ballast" bs=64k 2>/dev/null; shift; exec "$@"`;
      const agent = run([
        "unshare",
        "-m",
        "sh",
        "-c",
        script,
        "sh",
        state,
        process.execPath,
        BIN,
        "run",
        "--config",
        config,
      ]);
      const printed = await agent.said("can't be written");
      expect(printed).toContain(join(state, "agent.db"));
      const inside = join("/proc", String(agent.child.pid), "root", state);
      rmSync(join(inside, "ballast"));
      const recovered = await agent.said("the journal can be written again");
      expect(
        recovered.split("\n").filter((line) => line.includes("can't be written")),
      ).toHaveLength(1);
      // Full again, now with an agent that runs: what it is asked waits, and is done when there is space.
      const socket = join(dir, "inside.json");
      writeFileSync(
        socket,
        JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), stateDir: inside }),
      );
      await status(socket);
      expect(() => writeFileSync(join(inside, "ballast"), Buffer.alloc(8 * 1024 * 1024))).toThrow(
        /ENOSPC/,
      );
      const held = call("hold", "--for", "1h", "--reason", "r".repeat(400), "--config", socket);
      await agent.said("can't be written", 2);
      expect(await status(socket)).toMatchObject({
        hold: null,
        trouble: expect.stringContaining("agent.db"),
      });
      rmSync(join(inside, "ballast"));
      expect((await held).stdout).toContain("rejected as retryable until");
      expect(await status(socket)).toMatchObject({
        hold: { reason: "r".repeat(400) },
        trouble: null,
      });
      agent.child.kill("SIGTERM");
      expect(await agent.ended).toBe(0);
    },
    60_000,
  );

  test.skipIf(process.getuid?.() !== 0)(
    "a read-only mount is the same",
    async () => {
      const state = join(dir, "state");
      mkdirSync(state);
      const config = writeConfig();
      const script = `mount -t tmpfs -o ro,size=4m tmpfs "$1"; shift; exec "$@"`;
      const agent = run([
        "unshare",
        "-m",
        "sh",
        "-c",
        script,
        "sh",
        state,
        process.execPath,
        BIN,
        "run",
        "--config",
        config,
      ]);
      expect(await agent.said("can't be written")).toContain(join(state, "agent.db"));
      await new Promise<void>((resolve) => {
        const remount = ["-m", "-t", String(agent.child.pid), "mount", "-o", "remount,rw", state];
        execFile("nsenter", remount, () => resolve());
      });
      await agent.said("the journal can be written again");
    },
    60_000,
  );
});
