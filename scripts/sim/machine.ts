import type {
  Activation,
  FoundUnit,
  PinName,
  SystemClosures,
  UnitRef,
  UnitRun,
} from "@nixwave/agent";
import { unitName } from "@nixwave/agent";
import { type ClosureHash, ok, type UnitSeen } from "@nixwave/effects";
import { PROBE_FILE } from "@nixwave/protocol";
import { bootId, closure, type SimTime } from "@nixwave/testkit";
import type { HostPlan } from "./scenario.ts";

/** What a closure does on one machine. */
export interface Behaviour {
  readonly exitCode: number;
  readonly switchSecs: number;
  /** The unit never ends by itself; what runs has flipped before that, or not. */
  readonly hangs: "no" | "before-flip" | "after-flip";
  /** Answers its probe from so many seconds after it began to run; null: never. */
  readonly healthyAfterSecs: number | null;
  /** Falls ill again for a while, so many seconds after it began to run; null: never. */
  readonly illAtSecs: number | null;
  readonly needsBoot: boolean;
  readonly realiseSecs: number;
  readonly declaresProbes: boolean;
  /** How long its app takes to answer a probe. */
  readonly answersAfterSecs: number;
}

export const GOOD: Behaviour = {
  exitCode: 0,
  switchSecs: 5,
  hangs: "no",
  healthyAfterSecs: 0,
  illAtSecs: null,
  needsBoot: false,
  realiseSecs: 2,
  declaresProbes: true,
  answersAfterSecs: 0,
};
/** Of a probe that says nothing else. */
const PROBE_TIMEOUT_SECS = 5;
export const OLD: ClosureHash = closure("old");
const ILL_SECS = 90;

interface Unit {
  readonly run: UnitRun;
  state: UnitSeen;
  readonly waiters: Set<() => void>;
}

export interface MachineParts {
  readonly time: SimTime;
  readonly behaviourOf: (closure: ClosureHash) => Behaviour;
  readonly rollbacks: NonNullable<HostPlan["rollbacks"]> | null;
  readonly bootIdAfterMs: number;
  readonly onFire: (run: UnitRun, machine: Machine) => void;
  /** The next boot is another one than what runs. */
  readonly onStagedBoot: (to: ClosureHash) => void;
  readonly say: (what: string) => void;
}

/** The outermost port of an agent: a machine in memory, whose links, units and pins outlive every agent process on it. */
export class Machine {
  system: { running: ClosureHash; profile: ClosureHash; boot: ClosureHash };
  readonly pins: Map<PinName, ClosureHash>;
  /** Caches can't be reached. */
  cacheDown = false;
  bootedAtMs: number;
  /** What the wall clock says beyond the world's time. */
  wallOffMs = 0;
  isOff = false;
  #boots = 0;
  #rollbacks = 0;
  #runsSinceMs: number;
  readonly #name: string;
  readonly #units = new Map<string, Unit>();
  readonly #parts: MachineParts;

  constructor(name: string, parts: MachineParts, of: Machine | null = null) {
    this.#name = name;
    this.#parts = parts;
    this.system = of === null ? { running: OLD, profile: OLD, boot: OLD } : { ...of.system };
    this.pins = new Map(of?.pins);
    this.bootedAtMs = parts.time.nowMs;
    this.#runsSinceMs = parts.time.nowMs;
  }

  get wallMs(): number {
    return Math.max(0, this.#parts.time.nowMs + this.wallOffMs);
  }

  get uptimeMs(): number {
    return this.#parts.time.nowMs - this.bootedAtMs;
  }

  get isBusy(): boolean {
    return [...this.#units.values()].some(({ state }) => state.kind === "running");
  }

  /** What ran is gone, and its boot default runs; outcomes of units are forgotten with the old boot. */
  reboot(): void {
    this.#boots += 1;
    this.bootedAtMs = this.#parts.time.nowMs;
    this.isOff = false;
    this.#run(this.system.boot);
  }

  /** Everything on it stops. */
  powerOff(): void {
    this.isOff = true;
    for (const unit of this.#units.values()) this.#end(unit, { kind: "unknown" });
  }

  isHealthy(): boolean {
    const { healthyAfterSecs, illAtSecs } = this.#parts.behaviourOf(this.system.running);
    const secs = (this.#parts.time.nowMs - this.#runsSinceMs) / 1000;
    if (healthyAfterSecs === null || secs < healthyAfterSecs) return false;
    return illAtSecs === null || secs < illAtSecs || secs >= illAtSecs + ILL_SECS;
  }

  get isNeverHealthy(): boolean {
    return this.isEverIll(this.system.running);
  }

  isEverIll(hash: ClosureHash): boolean {
    const { healthyAfterSecs, declaresProbes, answersAfterSecs } = this.#parts.behaviourOf(hash);
    // A closure that declares no probes shows no health, however well it runs.
    return healthyAfterSecs === null || !declaresProbes || answersAfterSecs > PROBE_TIMEOUT_SECS;
  }

  realiseMsOf(hash: ClosureHash): number {
    return this.#parts.behaviourOf(hash).realiseSecs * 1000;
  }

  get answersAfterMs(): number {
    return this.#parts.behaviourOf(this.system.running).answersAfterSecs * 1000;
  }

  probeFile(path: string): string | null {
    if (!path.endsWith(PROBE_FILE)) return null;
    const hash = [this.system.running, this.system.profile].find((each) => path.includes(each));
    if (hash !== undefined && !this.#parts.behaviourOf(hash).declaresProbes) return null;
    return hash === undefined || !isWatched(hash) ? PROBES : WATCHED_PROBES;
  }

  /** The backend as one agent process sees it: nothing answers to a process that `isDead`. */
  activationFor(isDead: () => boolean): Activation {
    const live = async <T>(work: () => T | Promise<T>): Promise<T> => {
      if (isDead()) return await new Promise<never>(() => {});
      const value = await work();
      return isDead() ? await new Promise<never>(() => {}) : value;
    };
    const staged = (hash: ClosureHash): void => {
      this.system.boot = hash;
      if (hash !== this.system.running) this.#parts.onStagedBoot(hash);
    };
    return {
      backend: "directory",
      closurePath: (hash) => `/closures/${hash}`,
      bootId: () => live(() => this.#bootId()),
      system: () => live((): SystemClosures => ({ ...this.system })),
      preflight: () => live(() => ok(null)),
      realise: ({ closure }, signal) => live(() => this.#realise(closure, signal)),
      pin: (name, hash) => live(() => void this.pins.set(name, hash)),
      pinned: (name) => live(() => this.pins.get(name) ?? null),
      check: () => live(() => ({ kind: "passed" as const })),
      needsBoot: (hash) => live(() => (this.#parts.behaviourOf(hash).needsBoot ? "kernel" : null)),
      setProfile: (hash) => live(() => void (this.system.profile = hash)),
      stageBoot: (hash) =>
        live(() => {
          staged(hash);
          return ok(null);
        }),
      fire: (run) => live(() => this.#fire(run)),
      unit: (ref) => live(() => this.#units.get(unitName(ref))?.state ?? { kind: "none" as const }),
      ended: (ref, signal) => live(() => this.#ended(ref, signal)),
      stop: (ref) => live(() => this.#stop(ref)),
      units: () =>
        live((): readonly FoundUnit[] =>
          [...this.#units.values()].map(({ run, state }) => ({
            unit: run.unit,
            running: state.kind === "running",
          })),
        ),
      output: () => live(() => "the unit's output"),
    };
  }

  async #bootId() {
    const { time, bootIdAfterMs } = this.#parts;
    if (bootIdAfterMs > 0)
      await new Promise<void>((resolve) => {
        time.after(bootIdAfterMs, resolve);
      });
    return bootId(`${this.#name}-boot-${this.#boots}`);
  }

  async #realise(hash: ClosureHash, signal: AbortSignal) {
    const { realiseSecs } = this.#parts.behaviourOf(hash);
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.time.after(realiseSecs * 1000, resolve);
      signal.addEventListener(
        "abort",
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
    if (!this.cacheDown) return ok(null);
    const error = { final: false, message: "no cache can be reached" };
    return { ok: false as const, error };
  }

  #fire(run: UnitRun) {
    const name = unitName(run.unit);
    if (this.#units.has(name)) {
      const error = { kind: "taken" as const, message: `${name} was fired before` };
      return { ok: false as const, error };
    }
    this.#parts.onFire(run, this);
    const unit: Unit = { run, state: { kind: "running" }, waiters: new Set() };
    this.#units.set(name, unit);
    this.#begin(unit);
    return ok(null);
  }

  /** The unit is no child of the agent: its time passes whoever is dead. */
  #begin(unit: Unit): void {
    const { time, behaviourOf } = this.#parts;
    const { closure: hash, deadlineSecs } = unit.run;
    const { exitCode, switchSecs, hangs } = this.#endOf(unit.run, behaviourOf(hash));
    const runs = (): boolean => unit.state.kind === "running";
    const flips = exitCode === 0 || exitCode === 4;
    // What runs flips before units are restarted: the running closure alone is no proof.
    time.after(switchSecs * 500, () => {
      if (!(runs() && flips) || hangs === "before-flip") return;
      this.#run(hash);
      this.system.boot = hash;
    });
    const late = Math.min(switchSecs, deadlineSecs);
    if (hangs === "no" && switchSecs <= deadlineSecs)
      time.after(switchSecs * 1000, () => {
        if (runs()) this.#end(unit, { kind: "exited", code: exitCode });
      });
    else
      time.after(Math.max(late, deadlineSecs) * 1000, () => {
        if (runs()) this.#end(unit, { kind: "killed" });
      });
  }

  #endOf({ unit }: UnitRun, behaviour: Behaviour): Behaviour {
    const { rollbacks } = this.#parts;
    if (unit.purpose !== "rollback" || rollbacks === null) return behaviour;
    this.#rollbacks += 1;
    if (this.#rollbacks > rollbacks.times) return behaviour;
    return rollbacks.end === "hangs"
      ? { ...behaviour, hangs: "before-flip" }
      : { ...behaviour, exitCode: 1 };
  }

  #ended(ref: UnitRef, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const unit = this.#units.get(unitName(ref));
      if (unit?.state.kind !== "running" || signal.aborted) return resolve();
      const done = (): void => {
        unit.waiters.delete(done);
        resolve();
      };
      unit.waiters.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #stop(ref: UnitRef): boolean {
    const unit = this.#units.get(unitName(ref));
    if (unit !== undefined) this.#end(unit, { kind: "killed" });
    return true;
  }

  #run(hash: ClosureHash): void {
    if (this.system.running !== hash) this.#parts.say(`runs ${hash.slice(33)}`);
    this.system.running = hash;
    this.#runsSinceMs = this.#parts.time.nowMs;
  }

  #end(unit: Unit, state: UnitSeen): void {
    if (unit.state.kind !== "running") return;
    unit.state = state;
    const how = state.kind === "exited" ? `exited ${state.code}` : state.kind;
    this.#parts.say(`${unit.run.unit.purpose} unit ${how}`);
    for (const done of unit.waiters) done();
  }
}

/** Half of all closures declare a probe that only observes, and always fails: this machine runs no processes. */
const isWatched = (hash: ClosureHash): boolean =>
  Buffer.from(hash.slice(33)).reduce((sum, byte) => sum + byte, 0) % 2 === 0;

const APP = { kind: "http", name: "http-app", url: "http://app/health", intervalSecs: 10 };
const WATCHED = { kind: "exec", name: "watched", mode: "observe", argv: ["/watched"] };
const PROBES = JSON.stringify({ schemaVersion: 1, checks: [APP] });
const WATCHED_PROBES = JSON.stringify({ schemaVersion: 1, checks: [APP, WATCHED] });
