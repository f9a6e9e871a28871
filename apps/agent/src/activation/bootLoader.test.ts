import { closure } from "@nixwave/testkit";
import { expect, test } from "vitest";
import type { Disk } from "../ports.ts";
import { type BootConfig, bootDefault } from "./bootLoader.ts";

const NEW = closure("new");
const init = `/nix/store/${NEW}/init`;
const disk = (files: Readonly<Record<string, string>>): Disk => ({
  readText: (path) => files[path] ?? null,
  writeAtomically: () => undefined,
  freeBytes: () => null,
  remove: () => undefined,
});
const AUTO: BootConfig = { loader: "auto", folder: "/boot" };

const SYSTEMD_BOOT = {
  "/boot/loader/loader.conf": "timeout 5\ndefault nixos-generation-12.conf\nconsole-mode keep\n",
  "/boot/loader/entries/nixos-generation-12.conf": `title NixOS\nlinux /EFI/nixos/k.efi\noptions init=${init} quiet\n`,
};
const GRUB = {
  "/boot/grub/grub.cfg": `if [ "\${next_entry}" ]; then
  set default="\${next_entry}"
else
  set default="0"
fi
menuentry "NixOS - Default" --class nixos {
  linux ($drive1)/kernels/k init=${init} loglevel=4
}
submenu "NixOS - All configurations" {
  menuentry "old" { linux x init=/nix/store/${closure("old")}/init }
}
`,
};
const EXTLINUX = {
  "/boot/extlinux/extlinux.conf": `DEFAULT nixos-default\nLABEL nixos-11\n  APPEND init=/nix/store/${closure("old")}/init\nLABEL nixos-default\n  LINUX ../nixos/k\n  APPEND init=${init} quiet\n`,
};

test.each([
  ["systemd-boot", SYSTEMD_BOOT],
  ["GRUB", GRUB],
  ["extlinux", EXTLINUX],
])("the default entry of %s names the closure", (_, files) => {
  expect(bootDefault(AUTO, disk(files))).toBe(NEW);
});

test("a default whose entry is gone boots nothing that we know", () => {
  const { "/boot/loader/loader.conf": conf } = SYSTEMD_BOOT;
  expect(bootDefault(AUTO, disk({ "/boot/loader/loader.conf": conf }))).toBe(null);
});

test("a container starts what its profile names; so does a machine that says so", () => {
  expect(bootDefault(AUTO, disk({ "/run/systemd/container": "systemd-nspawn" }))).toBe("profile");
  expect(bootDefault({ ...AUTO, loader: "profile" }, disk(SYSTEMD_BOOT))).toBe("profile");
});

test.each([
  ["no boot loader that is known", {}, "name the boot loader in activation.boot"],
  [
    "a default chosen by a pattern",
    { "/boot/loader/loader.conf": "default nixos-*\n" },
    "names no single default entry",
  ],
  [
    "another default than GRUB's first",
    { "/boot/grub/grub.cfg": 'set default="2"\n' },
    "another default than its first entry",
  ],
])("%s is said, and never guessed", (_, files, message) => {
  expect(() => bootDefault(AUTO, disk(files))).toThrow(message);
});
