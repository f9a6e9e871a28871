import { type ClosureHash, isClosureHash } from "@nixwave/effects";
import type { Disk, Process, Random, RunResult, Timer } from "../ports.ts";
import { LINK } from "./directoryScript.ts";
import { endText, SHELL_TIMEOUT_MS } from "./directoryShell.ts";

/** What the backends with a real Nix have in common. */
export interface NixConfig {
  /** Where closures come from; empty: from the substituters of the host's own nix.conf. */
  readonly caches: readonly string[];
  /** Whose signatures count, `NAME:BASE64`; empty: those of the host's own nix.conf. */
  readonly trustedKeys: readonly string[];
}

export interface NixPorts {
  readonly process: Process;
  readonly disk: Disk;
  readonly timer: Timer;
  readonly random: Random;
  /** What is run sees this and nothing else of our own environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface NixShell {
  readonly config: NixConfig;
  readonly ports: NixPorts;
  run(argv: readonly string[], limits: RunLimits): Promise<RunResult>;
  /** Has to succeed: what it printed. Throws with the command and its last words. */
  must(argv: readonly string[], limits?: RunLimits): Promise<string>;
  /** A small script of ours, which has to succeed. */
  script(text: string, args: readonly [name: string, ...rest: readonly string[]]): Promise<string>;
  /** Makes a symbolic link in one rename. */
  link(target: string, name: string): Promise<void>;
}

interface RunLimits {
  readonly timeoutMs?: number;
  readonly outputBytesMax?: number;
  readonly signal?: AbortSignal;
}

export const STORE = "/nix/store";
const OUTPUT_BYTES_MAX = 64 * 1024;

/**
 * For commands that must need no network: with substituters, Nix asks each of them for seconds, and a rollback has none to
 * lose. `builders` and jobs: what is not there is never built on the host, which has no sources and no signature for it.
 */
export const OFFLINE = ["--option", "substituters", ""] as const;
export const NO_BUILD = ["--max-jobs", "0", "--option", "builders", ""] as const;

export function nixShell(config: NixConfig, ports: NixPorts): NixShell {
  const run: NixShell["run"] = (argv, { timeoutMs, outputBytesMax, signal }) =>
    ports.process.run(argv, {
      cwd: "/",
      env: ports.env,
      timeoutMs: timeoutMs ?? SHELL_TIMEOUT_MS,
      outputBytesMax: outputBytesMax ?? OUTPUT_BYTES_MAX,
      ...(signal === undefined ? {} : { signal }),
    });
  const must: NixShell["must"] = async (argv, limits = {}) => {
    const { end, stdout, stderr } = await run(argv, limits);
    if (end.kind === "exited" && end.code === 0) return stdout;
    // Arguments that are scripts themselves would bury the rest.
    const named = argv.filter((arg) => !arg.includes("\n")).join(" ");
    throw new Error(`${named} failed (${endText(end)}): ${stderr.trim()}`);
  };
  const script: NixShell["script"] = (text, args) => must(["sh", "-c", text, ...args]);
  return {
    config,
    ports,
    run,
    must,
    script,
    link: async (target, name) => {
      await script(LINK, ["link", target, name]);
    },
  };
}

export const closurePath = (closure: ClosureHash): string => `${STORE}/${closure}`;

/** The closure that a link's last target names, or null if it names nothing in the store. */
export function closureOf(target: string): ClosureHash | null {
  if (!target.startsWith(`${STORE}/`)) return null;
  const base = target.slice(STORE.length + 1);
  return isClosureHash(base) ? base : null;
}

/** `sh -c TARGETS targets NAME…`: one line for each, followed to its end; empty where there is no link. */
const TARGETS = `
for name; do readlink -f "$name" || printf '\\n'; done
`;

export async function readTargets(
  shell: NixShell,
  names: readonly string[],
): Promise<(ClosureHash | null)[]> {
  const lines = (await shell.script(TARGETS, ["targets", ...names])).split("\n");
  return names.map((_, index) => closureOf(lines[index] ?? ""));
}
