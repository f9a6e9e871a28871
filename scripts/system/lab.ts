import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ClosureHash, parseClosureHash } from "@nixwave/effects";
import { closureDigestOf } from "@nixwave/protocol";
import { command } from "./command.ts";
import { NspawnHost } from "./nspawnHost.ts";

const HERE = import.meta.dirname;
export const REPOSITORY = join(HERE, "../..");
const BRIDGE = "br0";
const NETWORK = "10.231.79";
export const LAB_ADDRESS = `${NETWORK}.1`;
const CACHE_PORT = 18_080;
/** A chroot store always sandboxes. */
const SANDBOX = ["--option", "sandbox-paths", "/bin /usr /lib /lib64"] as const;
const HOSTS_MAX = 200;

/** Shell for each word of switch-to-configuration; `entry` and `activate` are there to be called. */
export interface SystemPlan {
  readonly version: string;
  readonly name?: string;
  readonly switch?: string;
  readonly boot?: string;
  readonly check?: string;
  /** The checks of the probe file. */
  readonly checks?: readonly unknown[];
  /** Shell that adds to `$out` while it is built. */
  readonly extra?: string;
  /** Another closure that this one refers to. */
  readonly dependency?: ClosureHash;
}

/** A closure that a profile names: its script lies at `script`, and `@out@` in it is the closure. */
export interface ProfilePlan {
  readonly name: string;
  readonly version: string;
  readonly script: string;
  readonly activate: string;
  readonly checks?: readonly unknown[];
  readonly extra?: string;
}

type Signer = "trusted" | "foreign" | "nobody";

/** Everything that a story with real hosts needs, in one scratch folder and one network namespace; nothing is left of it. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), "nixwave-lab-"));
  readonly namespace = `nw${process.pid}`;
  readonly cacheUrl = `http://${LAB_ADDRESS}:${CACHE_PORT}`;
  readonly hosts: NspawnHost[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #servers: ChildProcess[] = [];

  constructor() {
    for (const name of ["conf", "cache", "hosts", "home"]) mkdirSync(join(this.folder, name));
    writeFileSync(join(this.folder, "conf/nix.conf"), NIX_CONF);
    this.#env = {
      HOME: join(this.folder, "home"),
      NIX_CONF_DIR: join(this.folder, "conf"),
      NIX_USER_CONF_FILES: "/dev/null",
    };
    this.cache("serve");
  }

  async start(): Promise<void> {
    const { namespace } = this;
    await command(["ip", "netns", "add", namespace]);
    const ip = (...args: readonly string[]) => command(["ip", "-n", namespace, ...args]);
    await ip("link", "set", "lo", "up");
    await ip("link", "add", BRIDGE, "type", "bridge");
    await ip("addr", "add", `${LAB_ADDRESS}/24`, "dev", BRIDGE);
    await ip("link", "set", BRIDGE, "up");
    for (const signer of ["trusted", "foreign"]) await this.#makeKey(signer);
    await this.#serve();
  }

  #makeKey(signer: string): Promise<string> {
    const [secret, publicKey] = [this.#path(`${signer}.secret`), this.#path(`${signer}.public`)];
    return this.#nix([
      "nix-store",
      "--generate-binary-cache-key",
      `${signer}-1`,
      secret,
      publicKey,
    ]);
  }

  get trustedKey(): string {
    return readFileSync(this.#path("trusted.public"), "utf8").trim();
  }

  /** Starts something inside of the lab's network, as long as the lab is there. */
  begin(argv: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn("nsenter", [`--net=/run/netns/${this.namespace}`, ...argv], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...env },
    });
    this.#servers.push(child);
    return child;
  }

  async #serve(): Promise<void> {
    const script = [
      fileURLToPath(new URL("./cacheServer.ts", import.meta.url)),
      this.#path("cache"),
      LAB_ADDRESS,
      String(CACHE_PORT),
      this.#path("mode"),
    ];
    this.begin([process.execPath, "--import", "tsx", ...script]);
    const argv = [
      "nsenter",
      `--net=/run/netns/${this.namespace}`,
      "bash",
      "-c",
      `: > /dev/tcp/${LAB_ADDRESS}/${CACHE_PORT}`,
    ];
    for (let tries = 0; ; tries += 1) {
      const answered = await command(argv).then(
        () => true,
        () => false,
      );
      if (answered) return;
      if (tries > 100) throw new Error("the lab's cache does not answer");
      await wait(50);
    }
  }

  cache(mode: "serve" | "down" | "slow"): void {
    writeFileSync(this.#path("mode"), mode);
  }

  async build(plan: SystemPlan): Promise<ClosureHash> {
    const { version, name = "host", checks = [], extra = "" } = plan;
    return await this.#build("system.nix", {
      version,
      name,
      extra,
      check: plan.check ?? ":",
      boot: plan.boot ?? "entry",
      switch: plan.switch ?? "entry; activate",
      checks: JSON.stringify({ schemaVersion: 1, checks }),
      ...(plan.dependency === undefined ? {} : { dependency: `/nix/store/${plan.dependency}` }),
    });
  }

  async buildProfile({ checks = [], extra = "", ...plan }: ProfilePlan): Promise<ClosureHash> {
    const probes = JSON.stringify({ schemaVersion: 1, checks });
    return await this.#build("../demo/profile.nix", { ...plan, extra, checks: probes });
  }

  async #build(file: string, given: Readonly<Record<string, string>>): Promise<ClosureHash> {
    const args = Object.entries(given).flatMap(([key, value]) => ["--argstr", key, value]);
    const build = ["nix-build", "--store", this.#builder, join(HERE, file), "--no-out-link"];
    const built = await this.#nix([...build, ...SANDBOX, ...args]);
    const parsed = parseClosureHash(basename(built.trim()));
    if (!parsed.ok) throw new Error(`nix-build printed ${built}`);
    return parsed.value;
  }

  /** Into the cache, uncompressed, so that a test may tamper with it. */
  async push(closure: ClosureHash, signer: Signer = "trusted"): Promise<void> {
    const key = signer === "nobody" ? "" : `&secret-key=${this.#path(`${signer}.secret`)}`;
    const to = `file://${this.#path("cache")}?compression=none${key}`;
    await this.#nix(["nix", "copy", "--from", this.#builder, "--to", to, `/nix/store/${closure}`]);
  }

  async digest(closure: ClosureHash): Promise<string> {
    const at = ["--store", this.#builder];
    const list = await this.#nix([
      "nix-store",
      ...at,
      "-q",
      "--requisites",
      `/nix/store/${closure}`,
    ]);
    const paths = list.trim().split("\n");
    const digest = closureDigestOf(await this.#nix(["nix-store", ...at, "--dump-db", ...paths]));
    if (!digest.ok) throw new Error(digest.error);
    return digest.value;
  }

  get #builder(): string {
    return `local?root=${this.#path("builder")}`;
  }
  #path(name: string): string {
    return join(this.folder, name);
  }
  #nix(argv: readonly string[]): Promise<string> {
    return command(argv, this.#env);
  }

  /** Changes one byte of what the cache holds of a closure. */
  tamper(closure: ClosureHash): void {
    const info = readFileSync(this.#path(`cache/${closure.slice(0, 32)}.narinfo`), "utf8");
    const url = /^URL: (.*)$/m.exec(info)?.[1] ?? "";
    const path = this.#path(`cache/${url}`);
    const text = readFileSync(path, "latin1");
    writeFileSync(path, text.replace("activate", "deactive"), "latin1");
  }

  /** A host that will run `closure`, as an installer leaves it; not booted yet. */
  async place(name: string, closure: ClosureHash): Promise<NspawnHost> {
    const number = this.hosts.length + 2;
    if (number > HOSTS_MAX) throw new Error("the lab's network is full");
    const host = new NspawnHost({
      name,
      prefix: `${this.namespace}-`,
      folder: this.#path("hosts"),
      namespace: this.namespace,
      address: `${NETWORK}.${number}`,
      bridge: BRIDGE,
      binds: [REPOSITORY],
      nixConf: `${NIX_CONF}connect-timeout = 5\n`,
    });
    this.hosts.push(host);
    const to = `local?root=${host.root}`;
    const path = `/nix/store/${closure}`;
    const copy = ["nix", "copy", "--no-check-sigs", "--from", this.#builder, "--to", to, path];
    await this.#nix(copy);
    const profile = join(host.root, "nix/var/nix/profiles/system");
    await this.#nix(["nix-env", "--store", to, "-p", profile, "--set", path]);
    const loader = join(host.root, "boot/loader");
    mkdirSync(join(loader, "entries"), { recursive: true });
    writeFileSync(join(loader, "loader.conf"), "default nixos-generation-1.conf\n");
    const entry = `title NixOS\noptions init=${path}/init\n`;
    writeFileSync(join(loader, "entries/nixos-generation-1.conf"), entry);
    return host;
  }

  async remove(): Promise<void> {
    for (const host of this.hosts) await host.remove();
    for (const server of this.#servers) {
      server.kill("SIGKILL");
      if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
    }
    await command(["ip", "netns", "del", this.namespace]).catch(() => undefined);
    // A store is read-only.
    await command(["chmod", "-R", "u+w", this.folder]).catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const NIX_CONF =
  "sandbox = false\nbuild-users-group =\nsubstituters =\nexperimental-features = nix-command\n";
