import type { ClosureHash } from "@nixwave/effects";
import { closurePath, type NixShell, STORE } from "./nixShell.ts";

/**
 * `sh -c COMPONENTS components CLOSURE_DIR`: lines of a name and a version. What can't be swapped under a running system:
 * its kernel, its init, and the bus that every service holds open. Versions, not paths: those change with every rebuild,
 * and each update would wait for a reboot (hazard 52).
 */
const COMPONENTS = `
at=$1
for modules in "$at"/kernel-modules/lib/modules/*; do
  [ ! -d "$modules" ] || printf 'kernel %s\\n' "\${modules##*/}"
done
store() {
  real=$(readlink -f "$2") || return 0
  case $real in ${STORE}/*) ;; *) return 0 ;; esac
  real=\${real#${STORE}/}
  real=\${real%%/*}
  printf '%s %s\\n' "$1" "\${real#*-}"
}
[ ! -e "$at/systemd" ] || store systemd "$at/systemd"
for bus in dbus-daemon dbus-broker; do
  [ ! -e "$at/sw/bin/$bus" ] || store dbus "$at/sw/bin/$bus"
done
`;

/** Of the components that both closures name, the first whose versions differ, with both; null: none. */
export async function changedComponent(
  shell: NixShell,
  running: ClosureHash,
  next: ClosureHash,
): Promise<string | null> {
  const now = await components(shell, running);
  const then = await components(shell, next);
  const changed = [...then].find(([name, version]) => now.has(name) && now.get(name) !== version);
  return changed?.[0] ?? null;
}

async function components(
  shell: NixShell,
  closure: ClosureHash,
): Promise<ReadonlyMap<string, string>> {
  const text = await shell.script(COMPONENTS, ["components", closurePath(closure)]);
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => {
      const at = line.indexOf(" ");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
