import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Channel, type ClosureHash, isChannel, type RolloutId } from "@nixwave/effects";
import { type Client, client } from "@nixwave/protocol";
import { newSshHostKey } from "@nixwave/testkit";
import { type Awaited, NotReached, until } from "./deadline.ts";
import {
  DEMO_RULES,
  type DemoHost,
  type DemoRules,
  declarationOf,
  EIGHT_HOSTS,
  PROBE_INTERVAL_SECS,
} from "./declaration.ts";
import { type DemoHosts, DirectoryHosts, hostRoot } from "./hosts.ts";
import { httpsPort } from "./httpsPort.ts";
import { type OperatorFiles, operatorFiles } from "./operator.ts";
import {
  type Ended,
  type ProcessPlan,
  runScript,
  type StartedProcess,
  startCommand,
  startProcess,
} from "./process.ts";
import { rolloutIn } from "./rolloutIn.ts";
import { type Service, startService } from "./service.ts";

const ROOT = dirname(dirname(import.meta.dirname));
const BIN = {
  cp: join(ROOT, "apps/cp/bin/nixwave-cp.mjs"),
  agent: join(ROOT, "apps/agent/bin/nixwave-agent.mjs"),
  cli: join(ROOT, "apps/cli/bin/nixwave.mjs"),
} as const;

/** The name under which the control plane's process is started, killed and waited for; agents go by their hosts. */
export const CP = "cp";
const OPERATOR = "demo";
/** A process that was told to stop ends within 10 s; then it is killed. */
const STOP_SECS = 12;
const LAST_LINES = 5;
/** Ten Nodes that compile from source on two cores. */
const START_SECS = 120;

export interface FleetOptions {
  readonly hosts?: readonly DemoHost[];
  readonly rules?: DemoRules;
  /** How long a switch takes. */
  readonly switchSecs?: number;
  /** How long an agent's question for a dispatch may wait for its answer. */
  readonly pollWaitSecs?: number;
  /** Added to the environment of every process, by its name: crash points, for instance. */
  readonly envOf?: (name: string) => Readonly<Record<string, string>>;
  readonly stop?: AbortSignal;
  /** What its hosts are; folders of links, unless said otherwise. */
  readonly kind?: (folder: string) => DemoHosts;
}

/** What a version of the demo's service is like: `sick` hosts answer their health check with 503 and this reason. */
export interface Version {
  readonly version: string;
  readonly sick?: { readonly hosts: readonly string[]; readonly reason: string };
  /** Of this release alone: a release that is sick on purpose need not be given the time that a busy machine needs. */
  readonly thresholdSecs?: number;
}

/**
 * A control plane and agents as processes of their own, with everything they own in one scratch folder. Start, kill and
 * restart each by its name. Nothing is left after `stop`: neither process, nor switch, nor file.
 */
export class DemoFleet {
  readonly folder: string;
  readonly hosts: readonly DemoHost[];
  readonly rules: DemoRules;
  /** What `nixwave init` has made: declaration, repository, keys, and the root that every host is given. */
  readonly home: string;
  readonly data: string;
  /** By which this script and its `nixwave` commands are known. */
  readonly operator: OperatorFiles;
  /** The command line's program. */
  readonly nixwave: string = BIN.cli;
  readonly channel: Channel;
  readonly kind: DemoHosts;
  /** What every command has printed so far. */
  readonly printed: string[] = [];
  private readonly options: FleetOptions;
  private readonly stopSignal: AbortSignal;
  private readonly processes = new Map<string, StartedProcess>();
  private service: Service | null = null;
  private address: string | null = null;
  private asked: Client | null = null;
  private readonly sshHostKeys = new Map<string, string>();

  constructor(options: FleetOptions = {}) {
    this.options = options;
    this.hosts = options.hosts ?? EIGHT_HOSTS;
    this.rules = options.rules ?? DEMO_RULES;
    this.stopSignal = options.stop ?? new AbortController().signal;
    if (!isChannel(this.rules.channel)) throw new Error(`${this.rules.channel} is no channel`);
    this.channel = this.rules.channel;
    this.folder = mkdtempSync(join(tmpdir(), "nixwave-demo-"));
    this.home = join(this.folder, "fleet");
    this.data = join(this.folder, "cp");
    this.operator = operatorFiles(this.folder, OPERATOR);
    for (const name of ["fleet", "cp", "logs", "hosts"]) mkdirSync(join(this.folder, name));
    this.kind = options.kind?.(this.folder) ?? new DirectoryHosts(this.folder);
  }

  root(host: string): string {
    return hostRoot(this.folder, host);
  }
  stateDir(host: string): string {
    return join(this.folder, "hosts", host, "state");
  }
  sshHostKey(host: string): string {
    return join(this.folder, "hosts", host, "ssh_host_ed25519_key");
  }
  logFile(name: string): string {
    return join(this.folder, "logs", `${name}.log`);
  }
  /** Where operators and agents reach the control plane; known once it has been started. */
  get url(): string {
    if (this.address === null) throw new Error("the demo's control plane was not started yet");
    return this.address;
  }
  get client(): Client {
    const { authority, cert, key } = this.operator;
    const [ca, own, secret] = [authority, cert, key].map((file) => readFileSync(file, "utf8"));
    this.asked ??= client(
      this.url,
      httpsPort({ ca: ca ?? "", cert: own ?? "", key: secret ?? "" }),
      () => ({}),
    );
    return this.asked;
  }

  /** Everything up: the service, `init`, the control plane, each host on its first closure, the agents. */
  async start(): Promise<void> {
    this.service = await startService((host) =>
      this.hosts.some(({ name }) => name === host) ? this.root(host) : null,
    );
    await this.kind.start();
    const base = await this.closures({ version: "app-0" });
    for (const [name, closure] of base) await this.install(name, closure);
    this.writeDeclaration(base, this.rules);
    await this.mustRun(BIN.cli, ["init", "."], this.home);
    await this.mustRun(BIN.cp, ["init", "--data", this.data]);
    await this.startCp();
    // Beside the control plane that serves, as whoever runs it does.
    writeFileSync(this.operator.authority, await this.mustRun(BIN.cp, ["ca", "--data", this.data]));
    const certificate = ["--data", this.data, "--name", OPERATOR, "--role", "admin"];
    const made = ["operator-certificate", "add", ...certificate, "--out", this.folder];
    await this.mustRun(BIN.cp, made);
    for (const { name } of this.hosts) this.startAgent(name);
    await this.until({ what: "every agent's first word", timeoutSecs: START_SECS }, async () => {
      const page = await this.client.call("getHosts", { query: {} });
      return page.ok && page.value.total >= this.hosts.length ? true : null;
    });
  }

  /** Starts the control plane, or starts it again on the address that the agents know, and waits until it serves. */
  async startCp(args: readonly string[] = []): Promise<void> {
    const readyFile = join(this.folder, "cp-ready");
    rmSync(readyFile, { force: true });
    const listen = this.address === null ? "127.0.0.1:0" : new URL(this.address).host;
    const { data, home } = this;
    const what = ["--repository", join(home, "releases"), "--root", join(home, "root.json")];
    const where = ["--data", data, "--listen", listen, "--ready-file", readyFile];
    const serve = ["serve", ...what, ...where, ...args];
    const cp = this.begin(CP, (plan) => startProcess({ ...plan, script: BIN.cp, args: serve }));
    const served = "a control plane that serves";
    const address = await this.until({ what: served, timeoutSecs: START_SECS }, async () => {
      if (!cp.isRunning()) return { ended: true };
      const text = existsSync(readyFile) ? readFileSync(readyFile, "utf8").trim() : "";
      return text === "" ? null : { url: text };
    });
    if (address.url === undefined)
      throw new NotReached(`the control plane ended at once; see ${cp.logFile}`);
    this.address = address.url;
  }

  startAgent(host: string): StartedProcess {
    const config = join(this.folder, "hosts", host, "agent.json");
    mkdirSync(this.stateDir(host), { recursive: true });
    const settings = {
      host,
      channel: this.channel,
      controlPlane: this.url,
      authority: this.operator.authority,
      enrolment: { sshHostKey: this.sshHostKey(host) },
      root: join(this.home, "root.json"),
      stateDir: this.stateDir(host),
      activation: this.kind.activation(host),
      heartbeatSecs: 2,
      pollWaitSecs: this.options.pollWaitSecs ?? 30,
    };
    writeFileSync(config, `${JSON.stringify(settings, null, 2)}\n`);
    const program = this.kind.program(host, [BIN.agent, "run", "--config", config]);
    return this.begin(host, (plan) =>
      startCommand({ ...plan, ...program, env: { ...program.env, ...plan.env } }),
    );
  }

  /** What the host's service says that it is, as its last switch left it. */
  serviceVersion(host: string): string {
    return readFileSync(join(this.root(host), "service/version"), "utf8").trim();
  }

  /** The end of each log that says something went wrong, for whoever has to find out why. */
  lastWords(): string {
    return [...this.processes.values()]
      .filter((one) => !one.isRunning())
      .map(({ name, logFile }) => {
        const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LAST_LINES);
        return `${name} has ended; it said last:\n${lines.map((line) => `  ${line}\n`).join("")}`;
      })
      .join("");
  }

  isRunning(name: string): boolean {
    return this.processes.get(name)?.isRunning() ?? false;
  }

  wasStarted(name: string): boolean {
    return this.processes.has(name);
  }

  /** How the process ended that was started last under this name; waits for it. */
  async endOf(name: string): Promise<Ended | null> {
    return (await this.processes.get(name)?.ended) ?? null;
  }

  /** Sends one signal to one process and waits for its end; `SIGKILL` is the crash of the random-kill tests. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const started = this.processes.get(name);
    if (started === undefined || !started.isRunning()) return;
    started.signal(signal);
    await started.ended;
  }

  async restart(name: string): Promise<void> {
    await this.kill(name);
    if (name === CP) await this.startCp();
    else this.startAgent(name);
  }

  /** Makes one closure per host of a version of the service. */
  async closures({ version, sick }: Version): Promise<ReadonlyMap<string, ClosureHash>> {
    const { service } = this;
    if (service === null) throw new Error("the demo's service was not started yet");
    return await this.kind.make(
      this.hosts.map(({ name }) => ({
        host: name,
        version,
        ailment: sick?.hosts.includes(name) === true ? sick.reason : null,
        service: { address: service.address, port: service.port },
        probeIntervalSecs: PROBE_INTERVAL_SECS,
        switchSecs: this.options.switchSecs ?? 0.5,
      })),
    );
  }

  /** Makes the closures and releases them with `nixwave release`, as an operator would. */
  async release(version: Version): Promise<RolloutId> {
    const { thresholdSecs = this.rules.thresholdSecs } = version;
    const closures = await this.closures(version);
    this.writeDeclaration(closures, { ...this.rules, thresholdSecs });
    const made = await this.mustRun(
      BIN.cli,
      ["release", "--note", version.version, "--json"],
      this.home,
    );
    const id = rolloutIn(made);
    if (id === null) throw new Error(`nixwave release made no rollout: ${made}`);
    return id;
  }

  /** Loses what the control plane keeps, but for its CA, which hosts pin and whoever runs it keeps apart. */
  loseData(): void {
    for (const name of readdirSync(this.data).filter((one) => one !== "tls"))
      rmSync(join(this.data, name), { recursive: true });
  }

  /** Runs `nixwave …` against this control plane. */
  cli(args: readonly string[]): ReturnType<typeof runScript> {
    return this.run({
      script: BIN.cli,
      args,
      cwd: this.folder,
      env: { ...this.operatorEnv(), NO_COLOR: "1" },
    });
  }

  /** What a terminal needs to speak to this control plane. */
  operatorEnv(): Readonly<Record<string, string>> {
    const { authority, cert, key } = this.operator;
    return {
      NIXWAVE_CP: this.url,
      NIXWAVE_AUTHORITY: authority,
      NIXWAVE_CERT: cert,
      NIXWAVE_CERT_KEY: key,
    };
  }

  /** Runs `nixwave-cp …`, such as `backup`. */
  cpCommand(args: readonly string[]): ReturnType<typeof runScript> {
    return this.run({ script: BIN.cp, args, cwd: this.folder });
  }

  /** `nixwave-cp check` on the stopped or running control plane's data; its output where it finds something. */
  async check(): Promise<string | null> {
    const { code, stdout, stderr } = await this.cpCommand(["check", "--data", this.data]);
    return code === 0 ? null : `${stdout}${stderr}`.trim();
  }

  until<T>(awaited: Omit<Awaited, "stop">, look: () => Promise<T | null>): Promise<T> {
    return until({ ...awaited, stop: this.stopSignal }, look);
  }

  /** Ends every process that was started here, the switches that agents left running, and the scratch folder. */
  async stop(options: { readonly keepFiles?: boolean } = {}): Promise<void> {
    const running = [...this.processes.values()].filter((one) => one.isRunning());
    for (const one of running) one.signal("SIGTERM");
    const killer = setTimeout(() => {
      for (const one of running) one.signal("SIGKILL");
    }, STOP_SECS * 1000);
    await Promise.all(running.map(({ ended }) => ended));
    clearTimeout(killer);
    await this.service?.stop();
    for (const { name } of this.hosts) this.kind.endUnits(name);
    await this.kind.stop();
    if (options.keepFiles !== true)
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private begin(
    name: string,
    start: (plan: Omit<ProcessPlan, "script" | "args">) => StartedProcess,
  ): StartedProcess {
    if (this.isRunning(name)) throw new Error(`${name} runs already`);
    const started = start({
      name,
      cwd: this.folder,
      env: { ...this.options.envOf?.(name) },
      logFile: this.logFile(name),
    });
    this.processes.set(name, started);
    return started;
  }

  private writeDeclaration(closures: ReadonlyMap<string, ClosureHash>, rules: DemoRules): void {
    const { hosts, sshHostKeys } = this;
    const text = declarationOf(hosts, rules, { closures, sshHostKeys });
    writeFileSync(join(this.home, "fleet.yaml"), text);
  }

  private async run(plan: Parameters<typeof runScript>[0]): ReturnType<typeof runScript> {
    const ended = await runScript(plan);
    this.printed.push(ended.stdout, ended.stderr);
    return ended;
  }

  private async mustRun(
    script: string,
    args: readonly string[],
    cwd = this.folder,
  ): Promise<string> {
    const { code, stdout, stderr } = await this.run({
      script,
      args,
      cwd,
      env: { NIXWAVE_OPERATOR: OPERATOR },
    });
    if (code === 0) return stdout;
    throw new NotReached(`${args[0]} ended with ${code}: ${stderr.trim()}`);
  }

  /** A host as it came from its installer, with the service that its first closure is. */
  private async install(host: string, closure: ClosureHash): Promise<void> {
    const root = this.root(host);
    mkdirSync(join(root, "service"), { recursive: true });
    const { privateText, publicLine } = newSshHostKey(`root@${host}`);
    writeFileSync(this.sshHostKey(host), privateText, { mode: 0o600 });
    this.sshHostKeys.set(host, publicLine);
    await this.kind.install(host, closure);
    writeFileSync(join(root, "service/health"), "ok\n");
    writeFileSync(join(root, "service/version"), "app-0\n");
  }
}
