import { type BootId, type ClosureHash, ok } from "@nixwave/effects";
import type { Activation } from "./activation.ts";
import { readBootId, setProfileOf } from "./nixos.ts";
import { nixRealise } from "./nixRealise.ts";
import {
  closurePath,
  type NixConfig,
  type NixPorts,
  type NixShell,
  nixShell,
  readTargets,
} from "./nixShell.ts";
import { sessionUnits } from "./sessionUnit.ts";
import { systemdUnits } from "./systemdUnit.ts";

/** Any Nix profile with an activation script, such as home-manager's and system-manager's: docs/profile.md. */
export interface ProfileConfig extends NixConfig {
  /**
   * The profile's link, such as /nix/var/nix/profiles/nixwave/alice: one of ours. home-manager's own it can't be, because its
   * script compares with what that one names to find what has changed, and sets it itself.
   */
  readonly profile: string;
  /** The activation script inside the closure: `activate`, `bin/activate`. */
  readonly script: string;
  readonly args: readonly string[];
  /** Whose the profile is: the script runs as this user, with this user's home; null: root, without a home. */
  readonly user: string | null;
  /** A link that the agent keeps: the closure whose script ended last, and well. */
  readonly active: string;
  readonly units: ProfileUnits;
}

/** `sessions`: for machines where no systemd is, such as containers. Its folder must outlive the boot. */
type ProfileUnits =
  | { readonly kind: "systemd" }
  | { readonly kind: "sessions"; readonly folder: string };

/**
 * `sh -c ACTIVATE activate USER CLOSURE_DIR LINK PROGRAM ARG…`. Tools mark what they have activated in ways of their own or
 * not at all, so the unit itself does, after the script has ended with 0: no outcome depends on an agent that is there.
 * The mark goes before the script begins: what a script that failed has left behind is no known closure, and a rollback
 * that finds its target still marked would not run it. 4 and 100 are words of NixOS' script alone (hazard 52), and of any
 * other one are failures. A user's services are reached through the user's own runtime directory.
 */
const ACTIVATE = `
user=$1 closure=$2 link=$3
shift 3
program=$1 folder=\${link%/*}
if [ -n "$user" ]; then
  uid=$(id -u "$user") && gid=$(id -g "$user") || exit 1
  runtime=/run/user/$uid
  set -- setpriv --reuid "$uid" --regid "$gid" --init-groups --reset-env env PATH="$PATH" XDG_RUNTIME_DIR="$runtime" "$@"
fi
mkdir -p "$folder" && rm -f "$link" && sync "$folder" || exit 1
"$@"
code=$?
case $code in
  0) ;;
  4 | 100) echo "$program ended with $code" >&2; exit 1 ;;
  *) exit "$code" ;;
esac
ln -s "$closure" "$link.new.$$" && mv -T "$link.new.$$" "$link" && sync "$folder"
`;

/** Nothing is checked, and no component needs a boot: those are words of a whole system. */
export function profileActivation(config: ProfileConfig, ports: NixPorts): Activation {
  const shell = nixShell(config, ports);
  const { profile, active, script } = config;
  const program = (closure: ClosureHash): string => `${closurePath(closure)}/${script}`;
  // Several agents may share a host, one per profile, and none may replace another's pins.
  const pins = `/nix/var/nix/gcroots/nixwave${profile.replaceAll("/", "_")}`;
  const setProfile = async (closure: ClosureHash): Promise<void> => {
    // Nix makes the link, and no folder for it.
    await shell.script('mkdir -p "${1%/*}"', ["mkdir", profile]);
    await setProfileOf(shell, profile, closure);
  };
  return {
    backend: "profile",
    bootId: async () => readBootId(shell),
    system: async () => {
      const [running = null, named = null] = await readTargets(shell, [active, profile]);
      return { running, profile: named, boot: named };
    },
    closurePath,
    ...nixRealise({ shell, pins, program }),
    check: async () => ({ kind: "unsupported" }),
    needsBoot: async () => null,
    setProfile,
    // The next boot starts what the profile names.
    stageBoot: async (closure) => {
      await setProfile(closure);
      return ok(null);
    },
    ...unitsOf(config, shell, ports),
  };
}

function unitsOf(
  { units, user, active, script, args }: ProfileConfig,
  shell: NixShell,
  ports: NixPorts,
): ReturnType<typeof systemdUnits> {
  const command = (closure: ClosureHash): readonly string[] => {
    const path = closurePath(closure);
    const own = [user ?? "", path, active, `${path}/${script}`, ...args];
    return ["/bin/sh", "-c", ACTIVATE, "activate", ...own];
  };
  switch (units.kind) {
    case "systemd":
      return systemdUnits({ shell, path: ports.env["PATH"] ?? "", command });
    case "sessions": {
      const { folder } = units;
      // By which whoever cleans up a machine knows what is a unit's.
      const environment = [`NIXWAVE_UNITS=${folder}`];
      const bootId = (): BootId => readBootId(shell);
      return sessionUnits({
        ports,
        script: (text, args) => shell.script(text, args),
        bootId,
        folder,
        environment,
        command,
      });
    }
  }
}
