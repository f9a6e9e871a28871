import {
  type BootId,
  type ClosureHash,
  err,
  isBootId,
  isClosureHash,
  ok,
  type Result,
} from "@nixwave/effects";
import type { Activation, CheckOutcome, StageFailed } from "./activation.ts";
import { directoryRealise } from "./directoryRealise.ts";
import { LINK, LINKS } from "./directoryScript.ts";
import {
  type DirectoryConfig,
  type DirectoryPorts,
  type DirectoryShell,
  directoryShell,
  endText,
} from "./directoryShell.ts";
import { directoryUnits } from "./directoryUnit.ts";
import { stderrTail } from "./output.ts";
import type { SystemClosures } from "./unit.ts";

/** `check` looks, it does not build; NixOS's takes seconds. */
const CHECK_TIMEOUT_MS = 120_000;
/** Writing a boot entry may copy kernels to a slow disk. */
const STAGE_TIMEOUT_MS = 300_000;
const KERNEL_BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** The backend of demos and tests. */
export function directoryActivation(config: DirectoryConfig, ports: DirectoryPorts): Activation {
  const shell = directoryShell(config, ports);
  const { root } = config;
  const bootId = (): BootId => readBootId(shell);
  const system = (): Promise<SystemClosures> => readSystem(shell);
  return {
    backend: "directory",
    bootId: async () => bootId(),
    system,
    closurePath: (closure) => shell.closurePath(closure),
    ...directoryRealise(shell),
    pin: (name, closure) => link(shell, closure, `${root}/pins/${name}`),
    pinned: async (name) => (await readLinks(shell, [`${root}/pins/${name}`]))[0] ?? null,
    check: (closure, signal) => check(shell, closure, signal),
    needsBoot: async (closure) => {
      const { running } = await system();
      return running === null ? null : changedComponent(shell, running, closure);
    },
    setProfile: (closure) => link(shell, closure, `${root}/profile`),
    stageBoot: (closure, signal) => stageBoot(shell, closure, signal),
    ...directoryUnits(shell, bootId),
  };
}

function readBootId({ config: { root }, ports: { disk } }: DirectoryShell): BootId {
  const text = (disk.readText(`${root}/boot-id`) ?? disk.readText(KERNEL_BOOT_ID) ?? "").trim();
  if (isBootId(text)) return text;
  throw new Error(`${root}/boot-id must hold 1 to 64 letters, digits and dashes, not "${text}"`);
}

async function readLinks(
  shell: DirectoryShell,
  names: readonly string[],
): Promise<(ClosureHash | null)[]> {
  const lines = (await shell.script(LINKS, ["links", ...names])).split("\n");
  return names.map((_, index) => {
    const base = (lines[index] ?? "").split("/").at(-1) ?? "";
    return isClosureHash(base) ? base : null;
  });
}

async function readSystem(shell: DirectoryShell): Promise<SystemClosures> {
  const names = ["current-system", "profile", "boot"].map((name) => `${shell.config.root}/${name}`);
  const [running = null, profile = null, boot = null] = await readLinks(shell, names);
  return { running, profile, boot };
}

async function link(shell: DirectoryShell, closure: ClosureHash, name: string): Promise<void> {
  await shell.script(LINK, ["link", shell.closurePath(closure), name]);
}

async function check(
  shell: DirectoryShell,
  closure: ClosureHash,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const argv = [shell.program(closure), "check"];
  const { end, stdout, stderr } = await shell.run(argv, CHECK_TIMEOUT_MS, signal);
  if (end.kind === "exited" && end.code === 0) return { kind: "passed" };
  // A script from before `check` answers any word that it doesn't know with its usage, and so tells us without a version.
  if (end.kind === "exited" && /usage:/i.test(stderr + stdout)) return { kind: "unsupported" };
  const exitCode = end.kind === "exited" ? end.code : null;
  return { kind: "refused", exitCode, stderrTail: stderrTail(stderr || endText(end)) };
}

async function stageBoot(
  shell: DirectoryShell,
  closure: ClosureHash,
  signal: AbortSignal,
): Promise<Result<null, StageFailed>> {
  const argv = [shell.program(closure), "boot"];
  const { end, stderr } = await shell.run(argv, STAGE_TIMEOUT_MS, signal);
  const exitCode = end.kind === "exited" ? end.code : null;
  if (exitCode !== 0) return err({ exitCode, stderrTail: stderrTail(stderr || endText(end)) });
  const { boot } = await readSystem(shell);
  if (boot === closure) return ok(null);
  const lie = `switch-to-configuration boot said 0, but the boot default is ${boot ?? "nothing"}`;
  return err({ exitCode, stderrTail: stderrTail(`${stderr}\n${lie}`) });
}

/** Of the components that both closures name, the first whose versions differ. */
function changedComponent(
  shell: DirectoryShell,
  running: ClosureHash,
  next: ClosureHash,
): string | null {
  const now = components(shell, running);
  const then = components(shell, next);
  const changed = [...then].find(([name, line]) => now.has(name) && now.get(name) !== line);
  return changed?.[0] ?? null;
}

/** Lines of a name and a version, in a file that few closures have. */
function components(shell: DirectoryShell, closure: ClosureHash): ReadonlyMap<string, string> {
  const path = `${shell.closurePath(closure)}/etc/nixwave/agent/components`;
  const text = shell.ports.disk.readText(path) ?? "";
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.split(" ")[0] ?? "", line]));
}
