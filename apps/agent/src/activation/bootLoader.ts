import type { ClosureHash } from "@nixwave/effects";
import type { Disk } from "../ports.ts";
import { closureOf } from "./nixShell.ts";

/**
 * Who decides what the next boot starts. `profile`: the machine starts what the profile names, as containers do, and as is
 * said of boot loaders that write no text. `auto`: the first whose configuration is found.
 */
export const BOOT_LOADERS = ["systemd-boot", "grub", "extlinux", "profile"] as const;
type BootLoader = (typeof BOOT_LOADERS)[number];

export interface BootConfig {
  readonly loader: BootLoader | "auto";
  /** Where the boot partition is mounted. */
  readonly folder: string;
}

type Read = (path: string) => string | null;
type TextLoader = Exclude<BootLoader, "profile">;

const CONFIG_OF = {
  "systemd-boot": "loader/loader.conf",
  grub: "grub/grub.cfg",
  extlinux: "extlinux/extlinux.conf",
} as const satisfies Record<TextLoader, string>;

/** Present where systemd runs in a container, which has no boot loader. */
const CONTAINER = "/run/systemd/container";

const DEFAULT_OF = {
  "systemd-boot": systemdBootDefault,
  grub: grubDefault,
  extlinux: extlinuxDefault,
} as const satisfies Record<TextLoader, (text: string, boot: string, read: Read) => string>;

/**
 * What the next boot starts: `profile`, or the closure whose stage 2 the default entry names. Throws where that can't be
 * told, with what to configure: a host of which it is not known what it boots must not be changed.
 */
export function bootDefault(
  { loader, folder }: BootConfig,
  disk: Disk,
): ClosureHash | "profile" | null {
  const read: Read = (path) => disk.readText(path);
  const chosen = loader === "auto" ? detect(folder, read) : loader;
  if (chosen === "profile") return "profile";
  const path = `${folder}/${CONFIG_OF[chosen]}`;
  const text = read(path);
  if (text === null) throw new Error(`${path} is missing: activation.boot says ${chosen}`);
  const entry = DEFAULT_OF[chosen](text, folder, read);
  // `init=` is how every NixOS entry names its system.
  const init = /\binit=(\/nix\/store\/[^/\s]+)\/init\b/.exec(entry)?.[1];
  return init === undefined ? null : closureOf(init);
}

function detect(folder: string, read: Read): BootLoader {
  for (const loader of ["systemd-boot", "grub", "extlinux"] as const) {
    if (read(`${folder}/${CONFIG_OF[loader]}`) !== null) return loader;
  }
  if (read(CONTAINER) !== null) return "profile";
  throw new Error(
    `under ${folder} there is no ${Object.values(CONFIG_OF).join(", ")}: name the boot loader in activation.boot, ` +
      `or "profile" if this machine starts what the profile names`,
  );
}

function systemdBootDefault(text: string, boot: string, read: Read): string {
  const name = /^\s*default\s+(\S+)/m.exec(text)?.[1];
  if (name === undefined || /[*?@[]/.test(name)) {
    throw new Error(`${boot}/${CONFIG_OF["systemd-boot"]} names no single default entry`);
  }
  const file = name.endsWith(".conf") ? name : `${name}.conf`;
  // A default whose entry is gone boots nothing that we know.
  return read(`${boot}/loader/entries/${file}`) ?? "";
}

function grubDefault(text: string, boot: string): string {
  const chosen = [...text.matchAll(/^\s*set default="?([^"\s]*)"?/gm)].map(([, value]) => value);
  // Variables stand for an entry chosen once for the next boot, which is not the default.
  const fixed = chosen.filter((value) => value?.startsWith("$") !== true);
  if (fixed.some((value) => value !== "0")) {
    throw new Error(`${boot}/${CONFIG_OF.grub} has another default than its first entry`);
  }
  return /^\s*menuentry [^{]*\{([^}]*)\}/m.exec(text)?.[1] ?? "";
}

function extlinuxDefault(text: string): string {
  const name = /^\s*DEFAULT\s+(\S+)/im.exec(text)?.[1];
  const entries = text.split(/^\s*LABEL\s+/im).slice(1);
  return entries.find((entry) => entry.split(/\s/)[0] === name) ?? "";
}
