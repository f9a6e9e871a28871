import {
  type BootId,
  type ClosureHash,
  isBootId,
  isClosureHash,
  ok,
  type Result,
} from "@nixwave/effects";
import type { Disk, Process, Random, RunResult, Timer } from "../ports.ts";
import type { Activation, CheckOutcome, Obstacle, PinName, StageFailed } from "./activation.ts";
import { COPY, LINK, LINKS } from "./directoryScript.ts";
import { directoryUnits } from "./directoryUnit.ts";
import { stderrTail } from "./output.ts";
import type { SystemClosures } from "./unit.ts";

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

/** Reading or swapping a link. */
const SHELL_TIMEOUT_MS = 10_000;
/** `check` looks, it does not build; NixOS's takes seconds. */
const CHECK_TIMEOUT_MS = 120_000;
/** Writing a boot entry may copy kernels to a slow disk. */
const STAGE_TIMEOUT_MS = 300_000;
/** Copying ends when the worker's time is over; this only limits a worker that was forgotten. */
const COPY_TIMEOUT_MS = 6 * 3_600_000;
const KERNEL_BOOT_ID = "/proc/sys/kernel/random/boot_id";

export function directoryActivation(config: DirectoryConfig, ports: DirectoryPorts): Activation {
  const { closures, root, cache, path } = config;
  const { process, disk } = ports;
  const env = { PATH: path, NIXWAVE_ROOT: root };
  const closurePath = (closure: ClosureHash): string => `${closures}/${closure}`;
  const program = (closure: ClosureHash): string =>
    `${closurePath(closure)}/bin/switch-to-configuration`;
  const run = (
    argv: readonly string[],
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<RunResult> =>
    process.run(argv, {
      cwd: "/",
      env,
      timeoutMs,
      outputBytesMax: 65_536,
      ...(signal === undefined ? {} : { signal }),
    });
  const mustRun = async (argv: readonly string[]): Promise<string> => {
    const { end, stdout, stderr } = await run(argv, SHELL_TIMEOUT_MS);
    if (end.kind === "exited" && end.code === 0) return stdout;
    throw new Error(
      `${root}: ${argv.slice(3).join(" ")} failed (${endText(end)}): ${stderr.trim()}`,
    );
  };
  const links = async (names: readonly string[]): Promise<(ClosureHash | null)[]> => {
    const lines = (await mustRun(["sh", "-c", LINKS, "links", ...names])).split("\n");
    return names.map((_, index) => {
      const base = (lines[index] ?? "").split("/").at(-1) ?? "";
      return isClosureHash(base) ? base : null;
    });
  };
  const link = async (closure: ClosureHash, name: string): Promise<void> => {
    await mustRun(["sh", "-c", LINK, "link", closurePath(closure), `${root}/${name}`]);
  };
  const bootId = (): BootId => {
    const text = (disk.readText(`${root}/boot-id`) ?? disk.readText(KERNEL_BOOT_ID) ?? "").trim();
    if (isBootId(text)) return text;
    throw new Error(`${root}/boot-id must hold 1 to 64 letters, digits and dashes, not "${text}"`);
  };
  const present = async (closure: ClosureHash, signal: AbortSignal): Promise<boolean> => {
    const { end } = await run(["test", "-x", program(closure)], SHELL_TIMEOUT_MS, signal);
    return end.kind === "exited" && end.code === 0;
  };
  const system = async (): Promise<SystemClosures> => {
    const names = ["current-system", "profile", "boot"].map((name) => `${root}/${name}`);
    const [running = null, profile = null, boot = null] = await links(names);
    return { running, profile, boot };
  };

  return {
    backend: "directory",
    bootId: async () => bootId(),
    system,
    closurePath,
    preflight: async (closure) => roomFor(closure),
    realise,
    pin: async (name, closure) => {
      await mustRun(["mkdir", "-p", `${root}/pins`]);
      await link(closure, `pins/${name}`);
    },
    pinned: async (name: PinName) => (await links([`${root}/pins/${name}`]))[0] ?? null,
    check: async (closure, signal): Promise<CheckOutcome> => {
      const result = await run([program(closure), "check"], CHECK_TIMEOUT_MS, signal);
      const { end } = result;
      if (end.kind === "exited" && end.code === 0) return { kind: "passed" };
      // A script from before `check` answers any word that it doesn't know with its usage, and so tells us without a version.
      if (end.kind === "exited" && /usage:/i.test(result.stderr + result.stdout)) {
        return { kind: "unsupported" };
      }
      const exitCode = end.kind === "exited" ? end.code : null;
      return { kind: "refused", exitCode, stderrTail: stderrTail(result.stderr || endText(end)) };
    },
    setProfile: (closure) => link(closure, "profile"),
    stageBoot: async (closure, signal): Promise<Result<null, StageFailed>> => {
      const { end, stderr } = await run([program(closure), "boot"], STAGE_TIMEOUT_MS, signal);
      const exitCode = end.kind === "exited" ? end.code : null;
      const fail = (text: string): Result<null, StageFailed> => ({
        ok: false,
        error: { exitCode, stderrTail: stderrTail(text) },
      });
      if (exitCode !== 0) return fail(stderr || endText(end));
      const { boot } = await system();
      if (boot === closure) return ok(null);
      return fail(
        `${stderr}\nswitch-to-configuration boot said 0, but the boot default is ${boot ?? "nothing"}`,
      );
    },
    ...directoryUnits({ root, closurePath, bootId, ports, run, mustRun }),
  };

  async function roomFor(closure: ClosureHash): Promise<Result<null, Obstacle>> {
    if (cache === null) return ok(null);
    const { end, stdout } = await run(["du", "-sk", `${cache}/${closure}`], SHELL_TIMEOUT_MS);
    // What is not in the cache needs no room; realising says so in its own words.
    if (end.kind !== "exited" || end.code !== 0) return ok(null);
    const neededBytes = Number.parseInt(stdout, 10) * 1024;
    const freeBytes = disk.freeBytes(closures);
    if (freeBytes === null || freeBytes >= neededBytes) return ok(null);
    return obstacle(
      `${closures} has ${freeBytes} bytes free, and the closure ${closure} needs ${neededBytes}`,
    );
  }

  async function realise(
    closure: ClosureHash,
    signal: AbortSignal,
  ): Promise<Result<null, Obstacle>> {
    if (await present(closure, signal)) return ok(null);
    const to = closurePath(closure);
    if (cache === null) return obstacle(`${to}/bin/switch-to-configuration is not there`);
    // Several hosts of a demo share the folder of closures, and each must have its own half-made copy.
    const beside = `${closures}/.realising-${closure}-${root.replaceAll("/", "_").slice(-32)}`;
    const copy = ["sh", "-c", COPY, "copy", `${cache}/${closure}`, beside, to];
    const { end, stderr } = await run(copy, COPY_TIMEOUT_MS, signal);
    if (await present(closure, signal)) return ok(null);
    return obstacle(`copying ${cache}/${closure} to ${to}: ${stderr.trim() || endText(end)}`);
  }
}

const obstacle = (message: string): Result<null, Obstacle> => ({
  ok: false,
  error: { final: false, message },
});

function endText(end: RunResult["end"]): string {
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
