import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { instant } from "@nixwave/effects";
import { rootFileIn, signedRepository } from "./releaseFolder.fixture.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/nixwave-cp.mjs", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function spawnCp(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  return spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
}

/** Runs a command to its end. */
export async function runCp(...args: readonly string[]): Promise<Ended> {
  const child = spawnCp(args);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  await once(child, "close");
  return { code: child.exitCode, stdout, stderr };
}

/** A real control plane: the process, where it serves, what it logged. */
export interface Served {
  readonly url: string;
  readonly log: readonly string[];
  readonly pid: number;
  /** Once it has ended: the signal that did it, or null. */
  readonly ended: Promise<NodeJS.Signals | null>;
  readonly signal: (signal: NodeJS.Signals) => Promise<number | null>;
}

/** Starts it on the plain loopback, and waits until it is ready. */
export async function serveCp(folder: Folder, ...more: readonly string[]): Promise<Served> {
  const served = await startCp(folder, ["--insecure-loopback", ...more]);
  while (!(await fetch(`${served.url}/readyz`)).ok)
    await new Promise((resolve) => setImmediate(resolve));
  return served;
}

/** Starts it over a signed repository, and reads the address off its first log line. */
export async function startCp(
  folder: Folder,
  more: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  await signedRepository(folder.releases, instant(Date.now()));
  const root = ["--root", rootFileIn(folder.releases)];
  const where = ["--data", folder.data, "--repository", folder.releases, ...root];
  const child = spawnCp(["serve", ...where, "--listen", "127.0.0.1:0", ...more], env);
  folder.onRemove(() => child.kill("SIGKILL"));
  const log: string[] = [];
  if (child.stderr === null) throw new Error("stderr is a pipe");
  const lines = createInterface({ input: child.stderr });
  const first = new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      log.push(line);
      resolve(line);
    });
    child.on("close", () => reject(new Error(`nixwave-cp ended: ${log.join("\n")}`)));
  });
  const listening: unknown = JSON.parse(await first);
  const url =
    typeof listening === "object" && listening !== null && "url" in listening
      ? String(listening.url)
      : "";
  const ended = once(child, "close");
  return {
    url,
    log,
    pid: child.pid ?? 0,
    ended: ended.then(() => child.signalCode),
    signal: async (signal) => {
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

export interface Folder {
  readonly root: string;
  readonly data: string;
  readonly releases: string;
  readonly onRemove: (undo: () => void) => void;
  readonly remove: () => void;
}

/** A folder of this test's own; `remove` also ends what was started in it. */
export function makeFolder(): Folder {
  const root = mkdtempSync(join(tmpdir(), "nixwave-cp-"));
  const releases = join(root, "releases");
  mkdirSync(releases);
  const undos: (() => void)[] = [];
  return {
    root,
    releases,
    data: join(root, "data"),
    onRemove: (undo) => void undos.push(undo),
    remove: () => {
      for (const undo of undos) undo();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
