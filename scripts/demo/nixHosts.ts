import { execFile } from "node:child_process";
import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { type ClosureHash, isClosureHash } from "@nixwave/effects";
import { type BinaryCache, startBinaryCache } from "./binaryCache.ts";
import { type ClosurePlan, healthChecks, quoted } from "./closure.ts";
import { NotReached } from "./deadline.ts";
import { HOST_ROOT } from "./hostRoot.ts";
import { type DemoHosts, type HostCommand, hostRoot, linkedClosure } from "./hosts.ts";
import { endUnits } from "./unit.ts";

/** Below /nix of the host. */
const PROFILE = "var/nix/profiles/nixwave-demo";
const KEY_NAME = "nixwave-demo-1";
/** No name of a host: those have no capital letters. */
const BUILDER = "BUILDER";
const COMMAND_TIMEOUT_MS = 120_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** Nothing of this machine's own: no cache to ask, no users to build as. */
const NIX_CONF = `build-users-group =
substituters =
sandbox = false
experimental-features = nix-command
`;

/**
 * Real Nix: closures are built in a store of the demo's own, signed and pushed to a binary cache, and fetched from it over HTTP by
 * hosts that have a /nix each, with a profile and roots in it. No store of the machine is written to.
 */
export class NixHosts implements DemoHosts {
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  /** How a namespace of mounts is had: for root by itself, for anybody else beside one of users. */
  readonly #unshare: readonly string[];
  #cache: BinaryCache | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    const isRoot = process.getuid?.() === 0;
    this.#unshare = isRoot ? ["--mount"] : ["--user", "--map-root-user", "--mount"];
    // chroot is where only root's PATH leads on Debian.
    const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
    const own = nixFolder(path);
    this.#env = {
      PATH: own === null ? path : `${own}${delimiter}${path}`,
      HOME: join(folder, "home"),
      NIX_CONF_DIR: join(folder, "conf"),
      NIX_USER_CONF_FILES: "/dev/null",
      NIX_REMOTE: "local",
      LC_ALL: "C",
    };
  }

  async start(): Promise<void> {
    for (const name of ["home", "conf", "cache"]) mkdirSync(this.#path(name));
    writeFileSync(this.#path("conf/nix.conf"), NIX_CONF);
    this.#place(BUILDER);
    for (const name of ["store", "var"]) mkdirSync(join(this.#nix(BUILDER), name));
    try {
      await this.#nixRun("true", []);
    } catch (cause) {
      throw new NotReached(`${NO_NAMESPACES} (${cause instanceof Error ? cause.message : ""})`);
    }
    const pair = [this.#path("cache.secret"), this.#path("cache.public")];
    await this.#nixRun("nix-store", ["--generate-binary-cache-key", KEY_NAME, ...pair]);
    this.#cache = await startBinaryCache(this.#path("cache"));
  }

  get cache(): BinaryCache {
    if (this.#cache === null) throw new Error("the demo's cache was not started yet");
    return this.#cache;
  }

  async make(plans: readonly ClosurePlan[]): Promise<ReadonlyMap<string, ClosureHash>> {
    const path = this.#env["PATH"] ?? "";
    const made = JSON.stringify(plans.map((plan) => ({ ...derivationOf(plan), path })));
    const expression = join(import.meta.dirname, "profiles.nix");
    const build = [expression, "--no-out-link", "--argstr", "plans", made];
    const paths = (await this.#nixRun("nix-build", build)).trim().split("\n");
    // Not compressed: they are a few lines each.
    const to = `file://${this.#path("cache")}?compression=none&secret-key=${this.#path("cache.secret")}`;
    await this.#nixRun("nix", ["copy", "--to", to, ...paths]);
    return new Map(
      plans.map(({ host }, index) => {
        const closure = basename(paths[index] ?? "");
        if (!isClosureHash(closure)) throw new Error(`nix-build printed ${paths.join(" ")}`);
        return [host, closure];
      }),
    );
  }

  async install(host: string, closure: ClosureHash): Promise<void> {
    this.#place(host);
    const store = `local?root=${this.#own(host)}`;
    const path = `/nix/store/${closure}`;
    await this.#nixRun("nix", ["copy", "--no-check-sigs", "--to", store, path]);
    const profile = join(this.#nix(host), PROFILE);
    await this.#nixRun("nix-env", ["--store", store, "--profile", profile, "--set", path]);
    symlinkSync(path, join(hostRoot(this.#folder, host), "active"));
  }

  activation(host: string): object {
    const root = hostRoot(this.#folder, host);
    return {
      backend: "profile",
      profile: `/nix/${PROFILE}`,
      active: join(root, "active"),
      args: [join(root, "service")],
      caches: [this.cache.url],
      trustedKeys: [readFileSync(this.#path("cache.public"), "utf8").trim()],
      units: { kind: "sessions", folder: join(root, "units") },
    };
  }

  program(host: string, argv: readonly string[]): HostCommand {
    return this.#inside(host, [process.execPath, ...argv]);
  }

  #inside(host: string, argv: readonly string[]): HostCommand {
    const own = [this.#own(host, "mounts"), this.#nix(host), this.#own(host, "work")];
    const args = [...this.#unshare, "sh", "-c", HOST_ROOT, "host", ...own, ...argv];
    return { command: "unshare", args, env: this.#env };
  }

  running(host: string): ClosureHash | null {
    return linkedClosure(join(hostRoot(this.#folder, host), "active"));
  }

  /** What the profile's newest generation is. */
  named(host: string): ClosureHash | null {
    const profile = join(this.#nix(host), PROFILE);
    try {
      return linkedClosure(join(dirname(profile), readlinkSync(profile)));
    } catch {
      return null;
    }
  }

  /** Also those that were gone back from: Nix makes a new one for each time that the profile is set to something else. */
  generations(host: string): number {
    const profile = join(this.#nix(host), PROFILE);
    const link = new RegExp(`^${basename(profile)}-[0-9]+-link$`);
    return readdirSync(dirname(profile)).filter((name) => link.test(name)).length;
  }

  /** Whether a closure of this version is in the host's store. */
  holds(host: string, version: string): boolean {
    const names = readdirSync(join(this.#nix(host), "store"));
    return names.some((name) => name.endsWith(`-${host}-${version}`));
  }

  endUnits(host: string): void {
    const folder = join(hostRoot(this.#folder, host), "units");
    endUnits(folder, `NIXWAVE_UNITS=${folder}`);
  }

  async stop(): Promise<void> {
    await this.#cache?.stop();
    // What is in a store is read-only, also for whoever removes it.
    await runCommand("chmod", ["-R", "u+rwX", this.#folder], this.#env);
  }

  /** Where a /nix comes to be seen, and what an overlay needs. */
  #place(host: string): void {
    for (const name of ["nix", "mounts", "work"])
      mkdirSync(this.#own(host, name), { recursive: true });
  }
  #path(name: string): string {
    return join(this.#folder, name);
  }
  #own(host: string, name = ""): string {
    return join(this.#folder, "hosts", host, name);
  }
  #nix(host: string): string {
    return this.#own(host, "nix");
  }
  /** Where closures are built: a host beside the others, because nothing may open, or make, the store of the machine. */
  #nixRun(command: string, args: readonly string[]): Promise<string> {
    const inside = this.#inside(BUILDER, [command, ...args]);
    return runCommand(inside.command, inside.args, inside.env);
  }
}

/** Why there can be no such hosts, with what to do about it; null: there can. */
export const withoutNix = (path: string): string | null =>
  nixFolder(path) === null ? NO_NIX : null;

const NO_NIX =
  "--nix builds with a real Nix, and there is no nix-store on the PATH. Install Nix (on Debian: apt install nix-bin), or leave --nix out: pnpm demo needs none.";
const NO_NAMESPACES =
  "--nix gives each host a /nix of its own in a mount namespace, which this machine does not let us have: it takes Linux, and root or namespaces of users; most containers allow neither. Or leave --nix out.";

/** Where Nix itself is, whatever links lead to it: those in /nix/var are out of sight once a host has its own. */
function nixFolder(path: string): string | null {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, "nix-store");
    try {
      accessSync(file, constants.X_OK);
      return dirname(realpathSync(file));
    } catch {
      // Not in this one.
    }
  }
  return null;
}

const derivationOf = (plan: ClosurePlan) => ({
  name: plan.host,
  version: plan.version,
  script: "activate",
  activate: activateScript(plan),
  checks: JSON.stringify(healthChecks(plan), null, 2),
});

/** What home-manager's or system-manager's script is to a real profile. `$1` is where the service reads what it is. */
const activateScript = (plan: ClosurePlan): string => `#!/bin/sh
set -eu
tell() { printf '%s\\n' "$3" > "$1/$2.new.$$" && mv "$1/$2.new.$$" "$1/$2"; }
echo "stopping the service"
sleep ${plan.switchSecs}
mkdir -p "$1"
tell "$1" version ${quoted(plan.version)}
tell "$1" health ${quoted(plan.ailment ?? "ok")}
echo "started ${plan.version}"`;

function runCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const options = { env, timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX };
  return new Promise((resolve, reject) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const shown = args.filter((arg) => !/[\n{]/.test(arg)).join(" ");
      return reject(
        new NotReached(`${command} ${shown} failed: ${stderr.trim() || error.message}`),
      );
    });
  });
}
