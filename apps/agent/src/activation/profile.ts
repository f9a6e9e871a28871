import { type ClosureHash, ok } from "@nixwave/effects";
import type { Activation } from "./activation.ts";
import { readBootId, setProfileOf } from "./nixos.ts";
import { nixRealise } from "./nixRealise.ts";
import { closurePath, type NixConfig, type NixPorts, nixShell, readTargets } from "./nixShell.ts";
import { systemdUnits } from "./systemdUnit.ts";

/** Any Nix profile with an activation script, such as home-manager's and system-manager's. */
export interface ProfileConfig extends NixConfig {
  /** The profile's link, such as /nix/var/nix/profiles/per-user/alice/home-manager. */
  readonly profile: string;
  /** The activation script inside the closure: `activate`, `bin/activate`. */
  readonly script: string;
  readonly args: readonly string[];
  /** Whose the profile is: the script runs as this user, with this user's home; null: root. */
  readonly user: string | null;
  /** A link that the agent keeps: the closure whose script ended last, and well. */
  readonly active: string;
}

/**
 * `sh -c ACTIVATE activate USER CLOSURE_DIR LINK PROGRAM ARG…`. Tools mark what they have activated in ways of their own or
 * not at all, so the unit itself does, after the script has ended with 0: no outcome depends on an agent that is there.
 * A user's services are reached through the user's own runtime directory.
 */
const ACTIVATE = `
user=$1 closure=$2 link=$3
shift 3
if [ -n "$user" ]; then
  uid=$(id -u "$user") && gid=$(id -g "$user") || exit 1
  runtime=/run/user/$uid
  setpriv --reuid "$uid" --regid "$gid" --init-groups --reset-env env PATH="$PATH" XDG_RUNTIME_DIR="$runtime" "$@"
else
  "$@"
fi
code=$?
[ "$code" = 0 ] || exit "$code"
mkdir -p "\${link%/*}" && ln -s "$closure" "$link.new.$$" && mv -T "$link.new.$$" "$link"
`;

/** Nothing is checked, and no component needs a boot: those are words of a whole system. */
export function profileActivation(config: ProfileConfig, ports: NixPorts): Activation {
  const shell = nixShell(config, ports);
  const { profile, active, script, args, user } = config;
  const program = (closure: ClosureHash): string => `${closurePath(closure)}/${script}`;
  // Several agents may share a host, one per profile, and none may replace another's pins.
  const pins = `/nix/var/nix/gcroots/nixwave${profile.replaceAll("/", "_")}`;
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
    setProfile: (closure) => setProfileOf(shell, profile, closure),
    // The next boot starts what the profile names.
    stageBoot: async (closure) => {
      await setProfileOf(shell, profile, closure);
      return ok(null);
    },
    ...systemdUnits({
      shell,
      path: ports.env["PATH"] ?? "",
      // systemd replaces variables in arguments, unless their dollar sign is doubled.
      command: (closure) => {
        const own = [user ?? "", closurePath(closure), active, program(closure), ...args];
        return ["/bin/sh", "-c", ACTIVATE, "activate", ...own].map((arg) =>
          arg.replaceAll("$", "$$$$"),
        );
      },
    }),
  };
}
