import { type ClosureHash, err, ok, type Result } from "@nixwave/effects";
import type { Obstacle } from "./activation.ts";
import { closurePath, type NixShell, STORE } from "./nixShell.ts";

/**
 * `sh -c ROOM room CLOSURE_DIR BOOT`: kibibytes that the closure's kernel and initrd still need on the boot partition.
 * Boot loaders of NixOS name the copies after the store path; nothing is copied where /boot and the store are one device.
 */
const ROOM = `
at=$1 boot=$2 sum=0
[ "$(stat -c %d "$boot")" != "$(stat -c %d ${STORE})" ] || { echo 0; exit 0; }
for file in "$at/kernel" "$at/initrd"; do
  [ -e "$file" ] || continue
  real=$(readlink -f "$file")
  name=$(printf '%s' "\${real#${STORE}/}" | tr / -)
  [ ! -e "$boot/EFI/nixos/$name.efi" ] && [ ! -e "$boot/nixos/$name" ] && [ ! -e "$boot/kernels/$name" ] || continue
  size=$(du -Lk "$real" | cut -f 1)
  sum=$((sum + size))
done
echo "$sum"
`;

/** A full /boot fails the switch after the profile was set; here it is an obstacle that passes with the next clean-up. */
export async function roomForBoot(
  shell: NixShell,
  closure: ClosureHash,
  folder: string,
): Promise<Result<null, Obstacle>> {
  const freeBytes = shell.ports.disk.freeBytes(folder);
  if (freeBytes === null) return ok(null);
  const text = await shell.script(ROOM, ["room", closurePath(closure), folder]);
  const neededBytes = Number.parseInt(text, 10) * 1024;
  if (freeBytes >= neededBytes) return ok(null);
  const message =
    `${folder} has ${freeBytes} bytes free, and kernel and initrd of ${closure} need ${neededBytes}: ` +
    "delete old generations, or set boot.loader.*.configurationLimit";
  return err({ final: false, message });
}
