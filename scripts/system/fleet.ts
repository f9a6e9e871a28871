import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import {
  type ClosureHash,
  type HostName,
  isChannel,
  parseHostName,
  type RolloutId,
  rolloutId,
} from "@nixwave/effects";
import { type Client, client, readCurrent } from "@nixwave/protocol";
import { until } from "../demo/deadline.ts";
import { DEMO_RULES, type DemoHost, type DemoRules, declarationOf } from "../demo/declaration.ts";
import { fetchPort } from "../demo/httpPort.ts";
import { runScript, type StartedProcess, startProcess } from "../demo/process.ts";
import { forward } from "./forwarder.ts";
import { LAB_ADDRESS, Lab, REPOSITORY, type SystemPlan } from "./lab.ts";
import type { NspawnHost } from "./nspawnHost.ts";

const BIN = (app: string, name: string): string =>
  join(REPOSITORY, "apps", app, "bin", `${name}.mjs`);
const CP_PORT = 8461;
/** What an agent is told once, and only once: it is gone when that agent has ended. */
const ARMED = "/etc/nixwave/agent.env";
/** While it is there, an agent that has ended is not started again. */
const HELD = "/etc/nixwave/held";
/** On each host, where the agent believes its control plane. */
const LOCAL_PORT = 8460;
const START_SECS = 60;
const never = new AbortController().signal;

/**
 * Real hosts, each with the real agent as a unit, and a real control plane. The control plane is outside of the lab's
 * network; a forwarder takes its connections in, and one on each host makes it look local, so that cutting a host's link
 * cuts it off from everybody.
 */
export class Fleet {
  readonly lab = new Lab();
  readonly hosts = new Map<string, NspawnHost>();
  readonly plan: readonly DemoHost[];
  readonly rules: DemoRules;
  #cp: StartedProcess | null = null;
  #url = "";
  #server: Server | null = null;

  constructor(plan: readonly DemoHost[], rules: Partial<DemoRules> = {}) {
    this.plan = plan;
    this.rules = { ...DEMO_RULES, budget: null, edges: [], soakSecs: 1, ...rules };
  }

  get client(): Client {
    return client(this.#url, fetchPort, () => ({ "nixwave-operator": "test" }));
  }

  async start(): Promise<void> {
    const { lab } = this;
    await lab.start();
    for (const name of ["cp", "releases"]) mkdirSync(join(lab.folder, name));
    await this.#run("cp", "nixwave-cp", ["init", "--data", join(lab.folder, "cp")]);
    await this.startCp();
    const socket = join(lab.folder, "cp.socket");
    this.#server = forward({ path: socket }, () =>
      connect(Number(new URL(this.#url).port), "127.0.0.1"),
    );
    const script = [
      join(import.meta.dirname, "forwarder.ts"),
      LAB_ADDRESS,
      String(CP_PORT),
      socket,
    ];
    lab.begin([process.execPath, "--import", "tsx", ...script]);
    const base = await lab.build({ version: "base" });
    for (const { name } of this.plan) this.hosts.set(name, await lab.place(name, base));
    await Promise.all([...this.hosts.values()].map((host) => this.#boot(host)));
    await until(
      { what: "every agent's first word", timeoutSecs: START_SECS, stop: never },
      async () => {
        const page = await this.client.call("getHosts", { query: {} });
        return page.ok && page.value.total >= this.plan.length ? true : null;
      },
    );
  }

  async #boot(host: NspawnHost): Promise<void> {
    const unit = (name: string, text: string): void =>
      writeFileSync(join(host.root, "etc/systemd/system", name), text);
    const wants = join(host.root, "etc/systemd/system/multi-user.target.wants");
    mkdirSync(wants, { recursive: true });
    unit("nixwave-agent.service", agentUnit());
    unit("control-plane.service", PROXY_UNIT);
    unit("control-plane.socket", `[Socket]\nListenStream=127.0.0.1:${LOCAL_PORT}\n`);
    for (const name of ["nixwave-agent.service", "control-plane.socket"])
      symlinkSync(`/etc/systemd/system/${name}`, join(wants, name));
    const config = {
      host: host.name,
      channel: this.rules.channel,
      controlPlane: `http://127.0.0.1:${LOCAL_PORT}`,
      insecureLoopback: true,
      stateDir: "/var/lib/nixwave",
      activation: {
        backend: "nixos",
        caches: [this.lab.cacheUrl],
        trustedKeys: [this.lab.trustedKey],
      },
      heartbeatSecs: 2,
      pollWaitSecs: 10,
    };
    writeFileSync(join(host.root, "etc/nixwave/agent.json"), JSON.stringify(config));
    await host.boot();
  }

  async startCp(): Promise<void> {
    const { folder } = this.lab;
    const ready = join(folder, "cp-ready");
    rmSync(ready, { force: true });
    const listen = this.#url === "" ? "127.0.0.1:0" : new URL(this.#url).host;
    const where = ["--data", join(folder, "cp"), "--releases", join(folder, "releases")];
    this.#cp = startProcess({
      name: "cp",
      script: BIN("cp", "nixwave-cp"),
      args: ["serve", ...where, "--listen", listen, "--insecure-loopback", "--ready-file", ready],
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
  ): Promise<Released> {
    const closures = new Map<string, ClosureHash>();
    for (const { name } of this.plan) {
      const closure = await this.lab.build({ ...plan, ...own[name], name });
      await this.lab.push(closure);
      closures.set(name, closure);
    }
    return await this.publish(plan.version, closures);
  }

  /** Releases closures that are in the cache already, or that a test has withheld from it. */
  async publish(note: string, closures: ReadonlyMap<string, ClosureHash>): Promise<Released> {
    const { folder } = this.lab;
    const file = join(folder, "fleet.json");
    const to = join(folder, "releases");
    writeFileSync(file, declarationOf(this.plan, this.rules, closures));
    await this.#run("cli", "nixwave", ["release", "--fleet", file, "--to", to, "--note", note]);
    const { channel } = this.rules;
    if (!isChannel(channel)) throw new Error(`${channel} is no channel`);
    const ref = await readCurrent((path) => readFile(join(to, path)), channel);
    if (!ref.ok) throw new Error(ref.error.reason);
    return { rolloutId: rolloutId(channel, ref.value), closures };
  }

  async #run(app: string, name: string, args: readonly string[]): Promise<void> {
    const env = { NIXWAVE_OPERATOR: "test" };
    const { code, stdout, stderr } = await runScript({
      script: BIN(app, name),
      args,
      cwd: this.lab.folder,
      env,
    });
    if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${stdout}${stderr}`);
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

const PROXY_UNIT = `[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd ${LAB_ADDRESS}:${CP_PORT}
`;

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
