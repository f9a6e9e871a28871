import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
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
const LAB_ADDRESS = `${NETWORK}.1`;
/** The control plane's, at the end of a link of its own that a test may cut. */
export const CP_ADDRESS = `${NETWORK}.254`;
const CP_LINK = "cp0";
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

/** What the cache does to a host: its answers, none, or a kilobyte a second. */
type CacheMode = "serve" | "down" | "slow";

type Signer = "trusted" | "foreign" | "nobody";
/** Two of them may build other contents under one name. */
type Builder = "builder" | "other-builder";

/** How a host is made, where it is not like the others. */
interface Placing {
  /** Its /nix is a file system of its own, of this size. */
  readonly storeMib?: number;
}

/** Of this process: two labs of one test file must have no name in common. */
let labs = 0;

/** Everything that a story with real hosts needs, in one scratch folder and one network namespace; nothing is left of it. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), "nixwave-lab-"));
  readonly namespace = `nw${process.pid}-${++labs}`;
  /** Where the far end of the control plane's link is. */
  readonly #beyond = `${this.namespace}-cp`;
  readonly cacheUrl = `http://${LAB_ADDRESS}:${CACHE_PORT}`;
  readonly hosts: NspawnHost[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #servers: ChildProcess[] = [];
  readonly #modes = new Map<string, CacheMode>([["*", "serve"]]);

  constructor() {
    for (const name of ["conf", "cache", "hosts", "home"]) mkdirSync(join(this.folder, name));
    writeFileSync(join(this.folder, "conf/nix.conf"), NIX_CONF);
    this.#env = {
      HOME: join(this.folder, "home"),
      NIX_CONF_DIR: join(this.folder, "conf"),
      NIX_USER_CONF_FILES: "/dev/null",
    };
    this.#writeModes();
  }

  async start(): Promise<void> {
    for (const namespace of this.#namespaces) await command(["ip", "netns", "add", namespace]);
    const [lan, beyond] = this.#namespaces.map(
      (namespace) => async (words: string) =>
        await command(["ip", "-n", namespace, ...words.split(" ")]),
    );
    for (const words of [
      "link set lo up",
      `link add ${BRIDGE} type bridge`,
      `addr add ${LAB_ADDRESS}/24 dev ${BRIDGE}`,
      `link set ${BRIDGE} up`,
      `link add ${CP_LINK} type veth peer name lan netns ${this.#beyond}`,
      `link set ${CP_LINK} master ${BRIDGE} up`,
    ])
      await lan?.(words);
    for (const words of ["link set lo up", `addr add ${CP_ADDRESS}/24 dev lan`, "link set lan up"])
      await beyond?.(words);
    for (const signer of ["trusted", "foreign"]) await this.#makeKey(signer);
    await this.#serve();
  }

  get #namespaces(): readonly string[] {
    return [this.namespace, this.#beyond];
  }

  /** Cut, packets vanish and connections hang half-open, as behind a switch that lost its power; each host keeps its own link. */
  async cpLink(state: "up" | "down"): Promise<void> {
    await command(["ip", "-n", this.namespace, "link", "set", CP_LINK, state]);
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
  begin(argv: readonly string[], where: "lan" | "beyond the link" = "lan"): ChildProcess {
    const namespace = where === "lan" ? this.namespace : this.#beyond;
    const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, ...argv], {
      stdio: ["ignore", "inherit", "inherit"],
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
    this.begin([process.execPath, ...script]);
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

  /** For one host, or for all that have no word of their own. */
  cache(mode: CacheMode, host?: NspawnHost): void {
    this.#modes.set(host?.address ?? "*", mode);
    this.#writeModes();
  }

  /** In one rename: the cache reads it while it answers. */
  #writeModes(): void {
    const lines = [...this.#modes].map(([whom, mode]) => `${whom} ${mode}\n`);
    writeFileSync(this.#path("mode.new"), lines.join(""));
    renameSync(this.#path("mode.new"), this.#path("mode"));
  }

  async build(plan: SystemPlan, by: Builder = "builder"): Promise<ClosureHash> {
    const { version, name = "host", checks = [], extra = "" } = plan;
    return await this.#build(
      "system.nix",
      {
        version,
        name,
        extra,
        check: plan.check ?? ":",
        boot: plan.boot ?? "entry",
        switch: plan.switch ?? "entry; activate",
        checks: JSON.stringify({ schemaVersion: 1, checks }),
        ...(plan.dependency === undefined ? {} : { dependency: `/nix/store/${plan.dependency}` }),
      },
      by,
    );
  }

  async buildProfile({ checks = [], extra = "", ...plan }: ProfilePlan): Promise<ClosureHash> {
    const probes = JSON.stringify({ schemaVersion: 1, checks });
    const given = { ...plan, extra, checks: probes };
    return await this.#build("../demo/profile.nix", given, "builder");
  }

  async #build(
    file: string,
    given: Readonly<Record<string, string>>,
    by: Builder,
  ): Promise<ClosureHash> {
    const args = Object.entries(given).flatMap(([key, value]) => ["--argstr", key, value]);
    const build = ["nix-build", "--store", this.#storeOf(by), join(HERE, file), "--no-out-link"];
    const built = await this.#nix([...build, ...SANDBOX, ...args]);
    const parsed = parseClosureHash(basename(built.trim()));
    if (!parsed.ok) throw new Error(`nix-build printed ${built}`);
    return parsed.value;
  }

  /** Into the cache, uncompressed, so that a test may tamper with it. */
  async push(
    closure: ClosureHash,
    signer: Signer = "trusted",
    by: Builder = "builder",
  ): Promise<void> {
    const key = signer === "nobody" ? "" : `&secret-key=${this.#path(`${signer}.secret`)}`;
    const to = `file://${this.#path("cache")}?compression=none${key}`;
    const path = `/nix/store/${closure}`;
    await this.#nix(["nix", "copy", "--from", this.#storeOf(by), "--to", to, path]);
  }

  async digest(closure: ClosureHash): Promise<string> {
    const at = ["--store", this.#storeOf("builder")];
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

  #storeOf(by: Builder): string {
    return `local?root=${this.#path(by)}`;
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
  async place(name: string, closure: ClosureHash, { storeMib }: Placing = {}): Promise<NspawnHost> {
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
    if (storeMib !== undefined) await host.limitStore(storeMib);
    const to = `local?root=${host.root}`;
    const path = `/nix/store/${closure}`;
    const copy = [
      "nix",
      "copy",
      "--no-check-sigs",
      "--from",
      this.#storeOf("builder"),
      "--to",
      to,
      path,
    ];
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

  /** All of it, whatever can't be removed; then that is said. */
  async remove(): Promise<void> {
    const troubles: unknown[] = [];
    const tried = async (removal: () => Promise<unknown>): Promise<void> => {
      await removal().catch((trouble: unknown) => troubles.push(trouble));
    };
    for (const host of this.hosts) await tried(() => host.remove());
    for (const server of this.#servers) {
      server.kill("SIGKILL");
      if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
    }
    for (const namespace of this.#namespaces)
      if (existsSync(`/run/netns/${namespace}`))
        await tried(() => command(["ip", "netns", "del", namespace]));
    // A store is read-only. A file system that is still mounted must not be emptied through its mount point.
    await tried(() => command(["chmod", "-R", "u+w", this.folder]));
    await tried(() => command(["rm", "-rf", "--one-file-system", this.folder]));
    if (troubles.length > 0) throw new AggregateError(troubles, "the lab is not removed");
  }
}

const NIX_CONF =
  "sandbox = false\nbuild-users-group =\nsubstituters =\nexperimental-features = nix-command\n";
