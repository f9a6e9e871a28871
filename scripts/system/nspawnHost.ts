import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Process, type RunResult, systemProcess } from "@nixwave/agent";
import { command } from "./command.ts";

/** systemd-nspawn's exit code where the host asked for a reboot. */
const CODE_REBOOT = 133;
const BOOT_WITHIN_MS = 60_000;
const LOOK_MS = 50;
const CGROUPS = ["systemd", "unified"] as const;
const RUN = { timeoutMs: 60_000, outputBytesMax: 1024 * 1024 } as const;

export interface HostPlan {
  readonly name: string;
  /** Of the whole lab, so that two labs on one machine have no name in common. */
  readonly prefix: string;
  readonly folder: string;
  /** The lab's network namespace, and this host's address with its prefix length. */
  readonly namespace: string;
  readonly address: string;
  readonly bridge: string;
  /** Bound read-only under the same path. */
  readonly binds: readonly string[];
  readonly nixConf: string;
}

/**
 * A host with systemd as its PID 1, its own /nix and address, over this machine's /usr. What a boot loader and stage 2 do
 * of NixOS, a unit does at boot: it makes run what the default entry names.
 */
export class NspawnHost {
  readonly name: string;
  readonly root: string;
  readonly #plan: HostPlan;
  #hasOwnStore = false;
  #child: ChildProcess | null = null;
  #leader: string | null = null;

  constructor(plan: HostPlan) {
    this.name = plan.name;
    this.root = join(plan.folder, plan.name);
    this.#plan = plan;
    makeRoot(this.root, plan);
  }

  get address(): string {
    return this.#plan.address;
  }

  get leader(): string {
    if (this.#leader === null) throw new Error(`${this.name} is not up`);
    return this.#leader;
  }

  /** From now on /nix is a file system of its own: what fills it has no room there, and nowhere else. Before anything is in it. */
  async limitStore(mib: number): Promise<void> {
    const nix = join(this.root, "nix");
    await command(["mount", "-t", "tmpfs", "-o", `size=${mib}m`, "nixwave-test", nix]);
    this.#hasOwnStore = true;
    for (const folder of ["store", "var/nix/profiles"])
      mkdirSync(join(nix, folder), { recursive: true });
  }

  async boot(): Promise<void> {
    const { prefix, namespace, bridge, binds, address } = this.#plan;
    const machine = `${prefix}${this.name}`;
    for (const kind of CGROUPS) mkdirSync(this.#cgroup(kind), { recursive: true });
    const log = openSync(`${this.root}.log`, "a");
    const nspawn = `systemd-nspawn -b -D ${this.root} -M ${machine} --register=no --keep-unit --console=pipe --quiet
      --bind-ro=/usr --network-bridge=${bridge}`;
    const options = [...nspawn.split(/\s+/), ...binds.map((path) => `--bind-ro=${path}`)];
    // It moves itself into its cgroups before it becomes nspawn: two hosts must not share one.
    const enter = CGROUPS.map((kind) => `echo $$ > ${this.#cgroup(kind)}/cgroup.procs`).join("; ");
    const argv = [`--net=/run/netns/${namespace}`, "sh", "-c", `${enter}; exec "$@"`, "sh"];
    const child = spawn("nsenter", [...argv, ...options], {
      stdio: ["ignore", log, log],
      // Pure cgroup v2, as on NixOS: with v1, systemd is not told when a stopped unit's last process ends.
      env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" },
    });
    this.#child = child;
    this.#leader = await this.#waitUp(child);
    const device = [
      "sh",
      "-c",
      `ip addr add ${address}/24 dev host0; ip link set host0 up; ip link set lo up`,
    ];
    await command(["nsenter", "-t", this.leader, "-n", ...device]);
  }

  /** Comes back when systemd says that it is up, whatever unit has failed meanwhile. */
  async #waitUp(child: ChildProcess): Promise<string> {
    for (let waitedMs = 0; waitedMs < BOOT_WITHIN_MS; waitedMs += LOOK_MS) {
      if (child.exitCode !== null) break;
      const leader = childOf(child.pid ?? 0);
      if (leader !== null) {
        const argv = ["nsenter", "-t", leader, "-a", "systemctl", "is-system-running"];
        const { stdout } = await systemProcess.run(argv, RUN);
        if (/running|degraded/.test(stdout)) return leader;
      }
      await wait(LOOK_MS);
    }
    throw new Error(
      `${this.name} is not up:\n${readFileSync(`${this.root}.log`, "utf8").slice(-4000)}`,
    );
  }

  /** The agent's port, with every command inside of the host. */
  readonly process: Process = {
    run: (argv, { env, ...options }) => systemProcess.run(this.#inside(argv, env ?? {}), options),
  };

  #inside(argv: readonly string[], env: Readonly<Record<string, string>>): readonly string[] {
    const all = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", HOME: "/root", LC_ALL: "C", ...env };
    const set = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    return ["nsenter", "-t", this.leader, "-a", "env", "-i", ...set, ...argv];
  }

  run(argv: readonly string[]): Promise<RunResult> {
    return this.process.run(argv, RUN);
  }

  async must(...argv: readonly string[]): Promise<string> {
    return await command(this.#inside(argv, {}));
  }

  readText(path: string): string | null {
    const outside = `/proc/${this.leader}/root${path}`;
    return existsSync(outside) ? readFileSync(outside, "utf8") : null;
  }

  freeBytes(path: string): number {
    const { bavail, bsize } = statfsSync(`/proc/${this.leader}/root${path}`);
    return bavail * bsize;
  }

  /** A power cut: nothing inside gets a word. Store, profile and journal survive, /run does not. */
  async powerCut(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    // One that has ended by itself has no leader any more, and its number may be somebody else's; one that never came up has
    // one that nobody has waited for.
    const leader = this.#leader ?? childOf(child.pid ?? 0);
    if (isRunning(child)) {
      if (leader === null) child.kill("SIGKILL");
      else kill(leader);
    }
    await ended(child);
    this.#leader = null;
    this.#child = null;
  }

  /** `systemctl reboot` inside, to its end, and the next boot. */
  async reboot(): Promise<void> {
    const child = this.#child;
    if (child === null) throw new Error(`${this.name} is not up`);
    await this.run(["systemctl", "reboot"]);
    await ended(child);
    if (child.exitCode !== CODE_REBOOT)
      throw new Error(`${this.name} ended with ${child.exitCode}`);
    await this.boot();
  }

  /** Comes back when the host has ended by itself. */
  async died(): Promise<void> {
    const child = this.#child;
    if (child === null) throw new Error(`${this.name} is not up`);
    await ended(child);
    this.#leader = null;
  }

  async remove(): Promise<void> {
    await this.powerCut();
    if (this.#hasOwnStore) await command(["umount", join(this.root, "nix")]);
    for (const kind of CGROUPS) removeCgroup(this.#cgroup(kind));
  }

  #cgroup(kind: (typeof CGROUPS)[number]): string {
    return `/sys/fs/cgroup/${kind}/${this.#plan.prefix}${this.name}`;
  }
}

function kill(pid: string): void {
  try {
    process.kill(Number(pid), "SIGKILL");
  } catch {
    // It ended at this very moment.
  }
}

const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode === null && signalCode === null;

async function ended(child: ChildProcess): Promise<void> {
  if (isRunning(child)) await once(child, "exit");
}

function childOf(pid: number): string | null {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? null : (children.split(" ")[0] ?? null);
  } catch {
    return null;
  }
}

function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  rmdirSync(path);
}

const FOLDERS =
  "usr etc/systemd/system/sysinit.target.wants etc/nix etc/dbus-1 etc/ssl etc/nixwave var/lib/nixwave var/log/journal var/tmp " +
  "run tmp proc sys dev root opt nix/store nix/var/nix/profiles boot srv home mnt media";
const COPIED = [
  "ld.so.conf",
  "ld.so.conf.d",
  "ld.so.cache",
  "nsswitch.conf",
  "pam.d",
  "alternatives",
  "ssl/certs",
];

const BOOT_UNIT = `[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'entry=$(sed -n "s/^default //p" /boot/loader/loader.conf); \\
  system=$(sed -n "s|^options init=\\\\(.*\\\\)/init|\\\\1|p" "/boot/loader/entries/$entry"); \\
  ln -sfn "$system" /run/current-system; ln -sfn "$system" /run/booted-system'
`.replaceAll("$", "$$$$");

function makeRoot(root: string, { name, nixConf }: HostPlan): void {
  for (const folder of FOLDERS.split(" ")) mkdirSync(join(root, folder), { recursive: true });
  for (const link of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${link}`, join(root, link));
  const write = (path: string, text: string, mode = 0o644): void =>
    writeFileSync(join(root, path), text, { mode });
  for (const path of COPIED)
    if (existsSync(`/etc/${path}`))
      cpSync(`/etc/${path}`, join(root, "etc", path), { recursive: true, verbatimSymlinks: true });
  const users = readFileSync("/etc/passwd", "utf8").split("\n");
  const kept = users.filter((line) => /^(root|nobody|messagebus|systemd-network):/.test(line));
  if (!kept.some((line) => line.startsWith("messagebus:")))
    kept.push("messagebus:x:100:106::/nonexistent:/usr/sbin/nologin");
  write("etc/passwd", `${kept.join("\n")}\n`);
  write("etc/group", readFileSync("/etc/group", "utf8"));
  write("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640);
  write("etc/os-release", readFileSync("/etc/os-release", "utf8"));
  write("etc/hostname", `${name}\n`);
  write("etc/hosts", "127.0.0.1 localhost\n");
  write("etc/machine-id", `${randomUUID().replaceAll("-", "")}\n`);
  write("etc/nix/nix.conf", nixConf);
  write("etc/systemd/system/nixwave-test-boot.service", BOOT_UNIT);
  symlinkSync(
    "/etc/systemd/system/nixwave-test-boot.service",
    join(root, "etc/systemd/system/sysinit.target.wants/nixwave-test-boot.service"),
  );
}
