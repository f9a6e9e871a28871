import { type BootId, type ClosureHash, isBootId } from "@nixwave/effects";
import type { Activation } from "./activation.ts";
import { type BootConfig, bootDefault } from "./bootLoader.ts";
import { roomForBoot } from "./bootRoom.ts";
import { changedComponent } from "./nixosComponents.ts";
import { nixRealise } from "./nixRealise.ts";
import {
  closurePath,
  type NixConfig,
  type NixPorts,
  type NixShell,
  nixShell,
  OFFLINE,
  readTargets,
} from "./nixShell.ts";
import { checkBy, type RunScript, stageBy } from "./switchScript.ts";
import { systemdUnits } from "./systemdUnit.ts";
import type { SystemClosures } from "./unit.ts";

export interface NixosConfig extends NixConfig {
  readonly boot: BootConfig;
}

const RUNNING = "/run/current-system";
const PROFILE = "/nix/var/nix/profiles/system";
const PINS = "/nix/var/nix/gcroots/nixwave";
/** NixOS's own, which nixos-rebuild holds too. */
const SWITCH_LOCK = "/run/nixos/switch-to-configuration.lock";
const KERNEL_BOOT_ID = "/proc/sys/kernel/random/boot_id";
const PROFILE_TIMEOUT_MS = 60_000;

/** A NixOS host, with its Nix and its systemd. */
export function nixosActivation(config: NixosConfig, ports: NixPorts): Activation {
  const shell = nixShell(config, ports);
  const program = (closure: ClosureHash): string =>
    `${closurePath(closure)}/bin/switch-to-configuration`;
  const store = nixRealise({ shell, pins: PINS, program });
  const system = (): Promise<SystemClosures> => readSystem(shell, config.boot);
  const setProfile = (closure: ClosureHash): Promise<void> => setProfileOf(shell, PROFILE, closure);
  const script =
    (closure: ClosureHash): RunScript =>
    (word, limits) =>
      shell.run([program(closure), word], limits);
  return {
    backend: "nixos",
    bootId: async () => readBootId(shell),
    system,
    closurePath,
    ...store,
    preflight: async (closure) => {
      if (await isSwitchedByOthers(shell)) {
        const message = `another switch of this host runs: ${SWITCH_LOCK} is held`;
        return { ok: false, error: { final: false, message } };
      }
      return await store.preflight(closure);
    },
    realise: async (wanted, signal) => {
      const had = await store.realise(wanted, signal);
      if (!had.ok || config.boot.loader === "profile") return had;
      return await roomForBoot(shell, wanted.closure, config.boot.folder);
    },
    check: (closure, signal) => checkBy(script(closure), signal),
    needsBoot: async (closure) => {
      const { running } = await system();
      return running === null ? null : await changedComponent(shell, running, closure);
    },
    setProfile,
    // The boot loader's script only writes entries for generations of the profile.
    stageBoot: async (closure, signal) => {
      await setProfile(closure);
      return await stageBy(script(closure), closure, async () => (await system()).boot, signal);
    },
    ...systemdUnits({
      shell,
      path: ports.env["PATH"] ?? "",
      command: (closure) => [program(closure), "switch"],
    }),
  };
}

export function readBootId({ ports: { disk } }: NixShell): BootId {
  const text = (disk.readText(KERNEL_BOOT_ID) ?? "").trim();
  if (isBootId(text)) return text;
  throw new Error(`${KERNEL_BOOT_ID} must hold the id of this boot, not "${text}"`);
}

async function readSystem(shell: NixShell, boot: BootConfig): Promise<SystemClosures> {
  const [running = null, profile = null] = await readTargets(shell, [RUNNING, PROFILE]);
  const next = bootDefault(boot, shell.ports.disk);
  return { running, profile, boot: next === "profile" ? profile : next };
}

/** Setting what is set already makes no new generation. */
export async function setProfileOf(
  shell: NixShell,
  profile: string,
  closure: ClosureHash,
): Promise<void> {
  const argv = ["nix-env", "--profile", profile, "--set", closurePath(closure), ...OFFLINE];
  await shell.must(argv, { timeoutMs: PROFILE_TIMEOUT_MS });
}

/** The lock is tested, not its file, which stays behind (hazard 57). */
const HELD = `
[ -e "$1" ] || exit 1
flock --nonblock --conflict-exit-code 75 "$1" true
[ $? = 75 ]
`;

async function isSwitchedByOthers(shell: NixShell): Promise<boolean> {
  const { end } = await shell.run(["sh", "-c", HELD, "held", SWITCH_LOCK], {});
  return end.kind === "exited" && end.code === 0;
}
