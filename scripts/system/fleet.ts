import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import {
  type ClosureHash,
  type HostName,
  type Policy,
  parseHostName,
  type RolloutId,
} from "@nixwave/effects";
import { type Client, client, decodeLine } from "@nixwave/protocol";
import { newSshHostKey } from "@nixwave/testkit";
import { until } from "../demo/deadline.ts";
import { DEMO_RULES, type DemoHost, type DemoRules, declarationOf } from "../demo/declaration.ts";
import { httpsPort } from "../demo/httpsPort.ts";
import { operatorFiles } from "../demo/operator.ts";
import { runScript, type StartedProcess, startProcess } from "../demo/process.ts";
import { rolloutIn } from "../demo/rolloutIn.ts";
import { forward } from "./forwarder.ts";
import { CP_ADDRESS, Lab, REPOSITORY, type SystemPlan } from "./lab.ts";
import type { NspawnHost } from "./nspawnHost.ts";

const BIN = (app: string, name: string): string =>
  join(REPOSITORY, "apps", app, "bin", `${name}.mjs`);
const CP_PORT = 8461;
/** What an agent is told once, and only once: it is gone when that agent has ended. */
const ARMED = "/etc/nixwave/agent.env";
/** While it is there, an agent that has ended is not started again. */
const HELD = "/etc/nixwave/held";
const OPERATOR = "test";
const SSH_HOST_KEY = "etc/ssh/ssh_host_ed25519_key";
const START_SECS = 60;
const never = new AbortController().signal;

/** What is not as with every fleet. */
interface FleetOptions {
  /** Hosts whose /nix is a file system of its own, with its size. */
  readonly storeMib?: Readonly<Record<string, number>>;
  /** Of the agents' configuration, without caches and keys; whole systems by default. */
  readonly activation?: Readonly<Record<string, unknown>>;
  /** Of the agents' configuration. Short waits by default, so that a test sees soon what it waits for. */
  readonly pace?: { readonly heartbeatSecs: number; readonly pollWaitSecs: number };
}

/** What a release has beside its closures. */
interface Publishing {
  /** By host: of the contents that its closure is to have. */
  readonly digests?: ReadonlyMap<string, string>;
  readonly policy?: Partial<Policy>;
}

/**
 * Real hosts, each with the real agent as a unit, a real control plane, signed releases and mutual TLS with hosts that
 * enrol by their SSH host keys. The control plane is outside of the lab's network; a forwarder takes its connections in.
 */
export class Fleet {
  readonly lab = new Lab();
  readonly hosts = new Map<string, NspawnHost>();
  readonly plan: readonly DemoHost[];
  readonly rules: DemoRules;
  readonly #options: FleetOptions;
  #cp: StartedProcess | null = null;
  #url = "";
  #server: Server | null = null;
  #client: Client | null = null;
  readonly #sshHostKeys = new Map<string, string>();

  constructor(
    plan: readonly DemoHost[],
    rules: Partial<DemoRules> = {},
    options: FleetOptions = {},
  ) {
    this.plan = plan;
    this.#options = options;
    this.rules = { ...DEMO_RULES, budget: null, edges: [], soakSecs: 1, ...rules };
  }

  get client(): Client {
    const { authority, cert, key } = this.#operator;
    const text = (file: string): string => readFileSync(file, "utf8");
    const pinned = { ca: text(authority), cert: text(cert), key: text(key) };
    this.#client ??= client(this.#url, httpsPort(pinned), () => ({}));
    return this.#client;
  }
  /** What `nixwave init` made: declaration, repository, keys and root. */
  get #home(): string {
    return join(this.lab.folder, "fleet");
  }
  get #data(): string {
    return join(this.lab.folder, "cp");
  }
  get #operator() {
    return operatorFiles(this.lab.folder, OPERATOR);
  }

  async start(): Promise<void> {
    const { lab } = this;
    await lab.start();
    for (const path of [this.#data, this.#home]) mkdirSync(path);
    const base = await lab.build({ version: "base" });
    for (const { name } of this.plan) {
      const storeMib = this.#options.storeMib?.[name];
      this.hosts.set(name, await lab.place(name, base, storeMib === undefined ? {} : { storeMib }));
    }
    for (const host of this.hosts.values()) this.#giveKey(host);
    this.#declare(new Map(this.plan.map(({ name }) => [name, base])));
    await this.#run("cli", "nixwave", ["init", "."]);
    await this.#run("cp", "nixwave-cp", ["init", "--data", this.#data]);
    await this.startCp();
    const ca = await this.#run("cp", "nixwave-cp", ["ca", "--data", this.#data]);
    writeFileSync(this.#operator.authority, ca);
    const add = ["operator-certificate", "add", "--data", this.#data, "--name", OPERATOR];
    await this.#run("cp", "nixwave-cp", [...add, "--role", "admin", "--out", lab.folder]);
    const socket = join(lab.folder, "cp.socket");
    this.#server = forward({ path: socket }, () =>
      connect(Number(new URL(this.#url).port), "127.0.0.1"),
    );
    const script = [join(import.meta.dirname, "forwarder.ts"), CP_ADDRESS, String(CP_PORT), socket];
    lab.begin([process.execPath, ...script], "beyond the link");
    await Promise.all([...this.hosts.values()].map((host) => this.#boot(host)));
    await until(
      { what: "every agent's first word", timeoutSecs: START_SECS, stop: never },
      async () => {
        const page = await this.client.call("getHosts", { query: {} });
        return page.ok && page.value.total >= this.plan.length ? true : null;
      },
    );
  }

  #giveKey(host: NspawnHost): void {
    const { privateText, publicLine } = newSshHostKey(`root@${host.name}`);
    mkdirSync(join(host.root, "etc/ssh"), { recursive: true });
    writeFileSync(join(host.root, SSH_HOST_KEY), privateText, { mode: 0o600 });
    this.#sshHostKeys.set(host.name, publicLine);
  }

  async #boot(host: NspawnHost): Promise<void> {
    const write = (path: string, text: string): void => writeFileSync(join(host.root, path), text);
    const wants = join(host.root, "etc/systemd/system/multi-user.target.wants");
    mkdirSync(wants, { recursive: true });
    write("etc/systemd/system/nixwave-agent.service", agentUnit());
    symlinkSync("/etc/systemd/system/nixwave-agent.service", join(wants, "nixwave-agent.service"));
    write("etc/nixwave/root.json", readFileSync(join(this.#home, "root.json"), "utf8"));
    write("etc/nixwave/ca.pem", readFileSync(this.#operator.authority, "utf8"));
    const { cacheUrl, trustedKey } = this.lab;
    const config = {
      host: host.name,
      channel: this.rules.channel,
      controlPlane: `https://${CP_ADDRESS}:${CP_PORT}`,
      controlPlaneName: "127.0.0.1",
      authority: "/etc/nixwave/ca.pem",
      enrolment: { sshHostKey: `/${SSH_HOST_KEY}` },
      root: "/etc/nixwave/root.json",
      stateDir: "/var/lib/nixwave",
      activation: {
        ...(this.#options.activation ?? { backend: "nixos" }),
        caches: [cacheUrl],
        trustedKeys: [trustedKey],
      },
      ...(this.#options.pace ?? { heartbeatSecs: 2, pollWaitSecs: 10 }),
    };
    write("etc/nixwave/agent.json", JSON.stringify(config));
    await host.boot();
  }

  async startCp(): Promise<void> {
    const { folder } = this.lab;
    const ready = join(folder, "cp-ready");
    rmSync(ready, { force: true });
    const listen = this.#url === "" ? "127.0.0.1:0" : new URL(this.#url).host;
    const what = [
      "--repository",
      join(this.#home, "releases"),
      "--root",
      join(this.#home, "root.json"),
    ];
    const where = ["--data", this.#data, "--listen", listen, "--ready-file", ready];
    this.#cp = startProcess({
      name: "cp",
      script: BIN("cp", "nixwave-cp"),
      args: ["serve", ...what, ...where],
      cwd: folder,
      logFile: join(folder, "cp.log"),
    });
    this.#url = await until(
      { what: "a control plane that serves", timeoutSecs: START_SECS, stop: never },
      async () => (existsSync(ready) ? readFileSync(ready, "utf8").trim() || null : null),
    );
  }

  /** The same system for every host, but for what `own` says of one. */
  async release(
    plan: SystemPlan,
    own: Readonly<Record<string, Partial<SystemPlan>>> = {},
    more: Publishing = {},
  ): Promise<Released> {
    const closures = new Map<string, ClosureHash>();
    for (const { name } of this.plan) {
      const closure = await this.lab.build({ ...plan, ...own[name], name });
      await this.lab.push(closure);
      closures.set(name, closure);
    }
    return await this.publish(plan.version, closures, more);
  }

  /** Releases closures that are in the cache already, or that a test has withheld from it. */
  async publish(
    note: string,
    closures: ReadonlyMap<string, ClosureHash>,
    more: Publishing = {},
  ): Promise<Released> {
    this.#declare(closures, more);
    const printed = await this.#run("cli", "nixwave", ["release", "--note", note, "--json"]);
    const id = rolloutIn(printed);
    if (id === null) throw new Error(`nixwave release made no rollout: ${printed}`);
    return { rolloutId: id, closures };
  }

  #declare(
    closures: ReadonlyMap<string, ClosureHash>,
    { digests = new Map(), policy = {} }: Publishing = {},
  ): void {
    const keys = { closures, digests, sshHostKeys: this.#sshHostKeys };
    const rules = { ...this.rules, policy: { ...this.rules.policy, ...policy } };
    writeFileSync(join(this.#home, "fleet.yaml"), declarationOf(this.plan, rules, keys));
  }

  /** What `nixwave` prints for an operator. */
  async screen(...args: readonly string[]): Promise<string> {
    const { authority, cert, key } = this.#operator;
    const env = {
      NIXWAVE_CP: this.#url,
      NIXWAVE_AUTHORITY: authority,
      NIXWAVE_CERT: cert,
      NIXWAVE_CERT_KEY: key,
    };
    const { stdout, stderr } = await runScript({
      script: BIN("cli", "nixwave"),
      args,
      cwd: this.#home,
      env,
    });
    return `${stdout}${stderr}`;
  }

  async #run(app: string, name: string, args: readonly string[]): Promise<string> {
    const ran = await runScript({ script: BIN(app, name), args, cwd: this.#home });
    if (ran.code === 0) return ran.stdout;
    throw new Error(`${args[0]} ended with ${ran.code}: ${ran.stdout}${ran.stderr}`);
  }

  host(name: string): NspawnHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  }

  /** The state of a host in a rollout, as the control plane has it; null before its record. */
  async state(host: string, rollout: RolloutId): Promise<string | null> {
    const page = await this.client.call("getHost", { params: { host: named(host) } });
    if (!page.ok) return null;
    const found = page.value.rollouts.find((one) => one.rolloutId === rollout);
    return found?.state ?? null;
  }

  async reached(
    host: string,
    { rolloutId: id }: Released,
    states: readonly string[],
    timeoutSecs = 60,
  ): Promise<string> {
    const what = `${host} ${states.join(" or ")}`;
    return await until({ what, timeoutSecs, stop: never }, async () => {
      const state = await this.state(host, id);
      if (state !== null && states.includes(state)) return state;
      throw new Error(`${state ?? "no record"}\n${await this.why(host)}`);
    });
  }

  async converged(released: Released, timeoutSecs = 90): Promise<void> {
    for (const { name } of this.plan)
      await this.reached(name, released, ["Converged"], timeoutSecs);
  }

  /** The agent will die at this point, as kill -9 would have it. */
  async arm(host: string, point: string): Promise<void> {
    const on = this.host(host);
    await on.must("systemctl", "stop", "nixwave-agent");
    writeFileSync(join(on.root, ARMED), `NIXWAVE_CRASH_AT=${point}\n`);
    await on.must("systemctl", "start", "nixwave-agent");
  }

  /** As soon as the armed agent has died, the host's power goes too; then it boots again. */
  async cutPowerAtDeath(host: string): Promise<void> {
    const on = this.host(host);
    writeFileSync(join(on.root, HELD), "");
    await until({ what: `the death of ${host}'s agent`, timeoutSecs: 60, stop: never }, async () =>
      existsSync(join(on.root, ARMED)) ? null : true,
    );
    await on.powerCut();
    rmSync(join(on.root, HELD));
    await on.boot();
  }

  /** For messages of tests: what the agent and its units said last. */
  async why(host: string): Promise<string> {
    const { stdout } = await this.host(host).run([
      "journalctl",
      "-n",
      "40",
      "--no-pager",
      "-o",
      "cat",
      "-u",
      "nixwave-*",
    ]);
    return stdout;
  }

  /** The events of a host in a rollout, by their kinds, in the order of the log. */
  async events(host: string, { rolloutId: id }: Released): Promise<readonly string[]> {
    const page = await this.client.call("getEvents", {
      query: { host: named(host), rollout: id, limit: 500 },
    });
    const items = page.ok ? page.value.items : [];
    return items.map((line) => (line.kind === "AgentEvent" ? line.line : JSON.stringify(line)));
  }

  /** What the agent of a host told of a rollout, with its numbers, in the order of the log. */
  async told(host: string, { rolloutId: rollout }: Released) {
    const query = { host: named(host), rollout, kind: "AgentEvent", limit: 500 } as const;
    const page = await this.client.call("getEvents", { query });
    if (!page.ok) throw new Error(`the log can't be read: ${page.error.code}`);
    return page.value.items.flatMap((line) => {
      if (line.kind !== "AgentEvent") return [];
      const decoded = decodeLine(line.line);
      if (!decoded.ok) throw new Error(decoded.error.reason);
      return [decoded.value];
    });
  }

  /** The closure that a host runs, as its own link names it. */
  async runs(host: string): Promise<string> {
    const path = await this.host(host).must("readlink", "/run/current-system");
    return path.trim().replace("/nix/store/", "");
  }

  async stop(): Promise<void> {
    const cp = this.#cp;
    cp?.signal("SIGKILL");
    await cp?.ended;
    this.#server?.close();
    await this.lab.remove();
  }
}

function named(host: string): HostName {
  const parsed = parseHostName(host);
  if (!parsed.ok) throw new Error(`${host} is no host's name`);
  return parsed.value;
}

export interface Released {
  readonly rolloutId: RolloutId;
  readonly closures: ReadonlyMap<string, ClosureHash>;
}

const agentUnit = (): string => `[Unit]
Description=Nixwave agent
After=network.target
[Service]
Type=notify
NotifyAccess=all
Environment=PATH=/usr/bin:/bin:/usr/sbin:/sbin
EnvironmentFile=-/etc/nixwave/agent.env
ExecStart=${process.execPath} ${BIN("agent", "nixwave-agent")} run
ExecStopPost=-/bin/sh -c 'rm -f ${ARMED}; while [ -e ${HELD} ]; do sleep 0.05; done'
Restart=always
RestartSec=1
WatchdogSec=30
[Install]
WantedBy=multi-user.target
`;
