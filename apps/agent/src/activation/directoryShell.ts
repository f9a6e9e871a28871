import type { ClosureHash } from "@nixwave/effects";
import type { Disk, Process, Random, RunEnd, RunResult, Timer } from "../ports.ts";

/** Closures are folders with a `bin/switch-to-configuration`; a host is a folder of links. No Nix, no systemd. */
export interface DirectoryConfig {
  /** `<closures>/<ClosureHash>`. */
  readonly closures: string;
  /** Holds `current-system`, `profile` and `boot`, `units/` and `pins/`; and `boot-id`, by which a test reboots this host. */
  readonly root: string;
  /** Where realising copies from; null: a closure that is not there can't be had. */
  readonly cache: string | null;
  /** PATH of everything that is run. */
  readonly path: string;
}

export interface DirectoryPorts {
  readonly process: Process;
  readonly disk: Disk;
  readonly timer: Timer;
  readonly random: Random;
}

/** Config and ports as one: what every part of the backend is made of. */
export interface DirectoryShell {
  readonly config: DirectoryConfig;
  readonly ports: DirectoryPorts;
  closurePath(closure: ClosureHash): string;
  /** The closure's `bin/switch-to-configuration`. */
  program(closure: ClosureHash): string;
  run(argv: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<RunResult>;
  /** A small script of ours, which has to succeed: what it printed. Throws with its name, arguments and last words. */
  script(text: string, args: readonly [name: string, ...rest: readonly string[]]): Promise<string>;
}

/** Reading or swapping a link. */
export const SHELL_TIMEOUT_MS = 10_000;
const OUTPUT_BYTES_MAX = 64 * 1024;

export function directoryShell(config: DirectoryConfig, ports: DirectoryPorts): DirectoryShell {
  const { closures, root, path } = config;
  const env = { PATH: path, NIXWAVE_ROOT: root };
  const closurePath = (closure: ClosureHash): string => `${closures}/${closure}`;
  const run: DirectoryShell["run"] = (argv, timeoutMs, signal) =>
    ports.process.run(argv, {
      cwd: "/",
      env,
      timeoutMs,
      outputBytesMax: OUTPUT_BYTES_MAX,
      ...(signal === undefined ? {} : { signal }),
    });
  return {
    config,
    ports,
    closurePath,
    program: (closure) => `${closurePath(closure)}/bin/switch-to-configuration`,
    run,
    script: async (text, args) => {
      const { end, stdout, stderr } = await run(["sh", "-c", text, ...args], SHELL_TIMEOUT_MS);
      if (end.kind === "exited" && end.code === 0) return stdout;
      // Arguments that are scripts themselves would bury the rest.
      const named = args.filter((arg) => !arg.includes("\n")).join(" ");
      throw new Error(`${named} failed (${endText(end)}): ${stderr.trim()}`);
    },
  };
}

export function endText(end: RunEnd): string {
  switch (end.kind) {
    case "exited":
      return `exit code ${end.code}`;
    case "signalled":
      return `killed by ${end.signal}`;
    case "timed-out":
      return "took too long and was killed";
    case "aborted":
      return "was given up";
    case "not-started":
      return end.message;
  }
}
