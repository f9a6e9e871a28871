import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { ClosureHash } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import type { Process, RunResult, Timer } from "../ports.ts";
import type { Activation } from "./activation.ts";
import { type DirectoryConfig, type DirectoryPorts, directoryActivation } from "./directory.ts";

/** What a closure of a test does, as shell; `swap boot` and `swap current-system` are there to be called. */
export interface Script {
  readonly check?: string;
  readonly boot?: string;
  readonly switch?: string;
  /** Replaces the answer to any other word. */
  readonly usage?: string;
}

/** A host of links in a scratch folder, with real processes. */
export interface TestHost {
  readonly dir: string;
  readonly root: string;
  readonly config: DirectoryConfig;
  readonly ports: DirectoryPorts;
  readonly activation: Activation;
  /** Makes `<closures>/<hash>-<name>`, or the same in the cache. */
  makeClosure(name: string, script?: Script, folder?: "closures" | "cache"): ClosureHash;
  setLinks(name: ClosureHash, ...links: readonly LinkName[]): void;
  readLink(name: LinkName): string;
  writeFile(name: string, text: string): void;
  exists(name: string): boolean;
  remove(): Promise<void>;
}
export type LinkName = "current-system" | "profile" | "boot";

/** The backend's waits are for a machine under load; a test has none to lose. */
const TIMES_FASTER = 20;
export const fastTimer: Timer = {
  after: (ms, fire) => {
    const timer = setTimeout(fire, ms / TIMES_FASTER);
    return () => clearTimeout(timer);
  },
};

export const realProcess: Process = { run: (argv, options) => runReal(argv, options) };

export function testHost(existing?: string): TestHost {
  const dir = existing ?? mkdtempSync(join(tmpdir(), "nixwave-host-"));
  const root = join(dir, "host");
  const closures = join(dir, "closures");
  const cache = join(dir, "cache");
  for (const folder of [root, closures, cache]) mkdirSync(folder, { recursive: true });
  const path = process.env["PATH"] ?? "/usr/bin:/bin";
  const config: DirectoryConfig = { closures, root, cache, path };
  const ports: DirectoryPorts = {
    process: realProcess,
    timer: fastTimer,
    random: { unit: () => 0.5, hex: (bytes) => randomBytes(bytes).toString("hex") },
    disk: {
      readText: (file) => (existsSync(file) ? readFileSync(file, "utf8") : null),
      writeAtomically: (file, text) => writeFileSync(file, text),
      freeBytes: () => null,
    },
  };
  const activation = directoryActivation(config, ports);
  return {
    dir,
    root,
    config,
    ports,
    activation,
    makeClosure: (name, script = {}, folder = "closures") => {
      const hash = closure(name);
      const bin = join(dir, folder, hash, "bin");
      mkdirSync(bin, { recursive: true });
      writeFileSync(join(bin, "switch-to-configuration"), scriptText(script), { mode: 0o755 });
      return hash;
    },
    setLinks: (hash, ...links) => {
      for (const link of links) {
        symlinkSync(join(closures, hash), join(root, `${link}.test`));
        renameSync(join(root, `${link}.test`), join(root, link));
      }
    },
    readLink: (name) => basename(readlinkSync(join(root, name))),
    writeFile: (name, text) => writeFileSync(join(root, name), text),
    exists: (name) => existsSync(join(root, name)),
    remove: async () => {
      const units = existsSync(join(root, "units")) ? await activation.units() : [];
      for (const { unit } of units) await activation.stop(unit);
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function scriptText(script: Script): string {
  const both = "swap boot; swap current-system";
  return `#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd -P)
swap() { ln -s "$here" "$NIXWAVE_ROOT/$1.new.$$" && mv -T "$NIXWAVE_ROOT/$1.new.$$" "$NIXWAVE_ROOT/$1"; }
cd "$NIXWAVE_ROOT"
case "\${1:-}" in
  check) ${script.check ?? ":"} ;;
  boot) ${script.boot ?? "swap boot"} ;;
  switch) ${script.switch ?? both} ;;
  *) ${script.usage ?? 'echo "Usage: $0 check|boot|switch" >&2; exit 1'} ;;
esac
`;
}

function runReal(
  argv: readonly string[],
  options: Parameters<Process["run"]>[1],
): Promise<RunResult> {
  return new Promise((resolve) => {
    const [command = "", ...args] = argv;
    let stdout = "";
    let stderr = "";
    let cut: "timed-out" | "aborted" | null = null;
    const child: ChildProcess = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? {},
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = (why: "timed-out" | "aborted"): void => {
      cut ??= why;
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It ended at this moment.
      }
    };
    const abort = (): void => kill("aborted");
    const timer = setTimeout(() => kill("timed-out"), options.timeoutMs);
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted === true) abort();
    child.stdout?.on("data", (chunk) => {
      stdout = (stdout + String(chunk)).slice(-options.outputBytesMax);
    });
    child.stderr?.on("data", (chunk) => {
      stderr = (stderr + String(chunk)).slice(-options.outputBytesMax);
    });
    const end = (result: RunResult["end"]): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      resolve({ end: cut === null ? result : { kind: cut }, stdout, stderr });
    };
    child.on("error", (cause) => end({ kind: "not-started", message: cause.message }));
    child.on("close", (code, signal) =>
      end(code === null ? { kind: "signalled", signal: signal ?? "?" } : { kind: "exited", code }),
    );
  });
}
