import { type BootId, type ClosureHash, isBootId, isClosureHash } from "@nixwave/effects";
import type { Activation } from "./activation.ts";
import { directoryRealise } from "./directoryRealise.ts";
import { LINK, LINKS } from "./directoryScript.ts";
import {
  type DirectoryConfig,
  type DirectoryPorts,
  type DirectoryShell,
  directoryShell,
} from "./directoryShell.ts";
import { sessionUnits } from "./sessionUnit.ts";
import { checkBy, type RunScript, stageBy } from "./switchScript.ts";
import type { SystemClosures } from "./unit.ts";

const KERNEL_BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** The backend of demos and tests. */
export function directoryActivation(config: DirectoryConfig, ports: DirectoryPorts): Activation {
  const shell = directoryShell(config, ports);
  const { root } = config;
  const bootId = (): BootId => readBootId(shell);
  const system = (): Promise<SystemClosures> => readSystem(shell);
  const script =
    (closure: ClosureHash): RunScript =>
    (word, { timeoutMs, signal }) =>
      shell.run([shell.program(closure), word], timeoutMs, signal);
  return {
    backend: "directory",
    bootId: async () => bootId(),
    system,
    closurePath: (closure) => shell.closurePath(closure),
    ...directoryRealise(shell),
    pin: (name, closure) => link(shell, closure, `${root}/pins/${name}`),
    pinned: async (name) => (await readLinks(shell, [`${root}/pins/${name}`]))[0] ?? null,
    check: (closure, signal) => checkBy(script(closure), signal),
    needsBoot: async (closure) => {
      const { running } = await system();
      return running === null ? null : changedComponent(shell, running, closure);
    },
    setProfile: (closure) => link(shell, closure, `${root}/profile`),
    stageBoot: (closure, signal) =>
      stageBy(script(closure), closure, async () => (await system()).boot, signal),
    ...sessionUnits({
      ports,
      script: (text, args) => shell.script(text, args),
      bootId,
      folder: `${root}/units`,
      environment: [`NIXWAVE_ROOT=${root}`],
      command: (closure) => [shell.program(closure), "switch"],
    }),
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
