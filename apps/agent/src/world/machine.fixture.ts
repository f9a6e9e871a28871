import { type BootId, type ClosureHash, err, ok, type UnitSeen } from "@nixwave/effects";
import { PROBE_FILE } from "@nixwave/protocol";
import { bootId, closure } from "@nixwave/testkit";
import type { Activation, FoundUnit, PinName, UnitRun } from "../activation/activation.ts";
import { type SystemClosures, type UnitRef, unitName } from "../activation/unit.ts";
import type { Disk } from "../ports.ts";
import type { VirtualTime } from "./virtualTime.fixture.ts";

/** What a closure's switch does on this machine. */
export interface Behaviour {
  readonly exitCode: number;
  readonly secs: number;
  /** Whether its probe answers. */
  readonly healthy: boolean;
}

interface Unit {
  readonly run: UnitRun;
  state: UnitSeen;
  readonly waiters: Set<() => void>;
}

const GOOD: Behaviour = { exitCode: 0, secs: 5, healthy: true };
export const OLD: ClosureHash = closure("old");

/** The outermost port of the agent, in memory: links, units and pins that outlive every agent process. */
export class TestMachine {
  readonly behaviours = new Map<ClosureHash, Behaviour>();
  readonly fired: string[] = [];
  system: { running: ClosureHash; profile: ClosureHash; boot: ClosureHash } = {
    running: OLD,
    profile: OLD,
    boot: OLD,
  };
  boot: BootId = bootId("boot-1");
  /** A disk or a cache that hangs. */
  realiseHangs = false;
  /** Why nothing can be realised now. */
  realiseRefusal: string | null = null;
  probeFile: string | null = JSON.stringify({
    schemaVersion: 1,
    checks: [{ kind: "http", name: "http-app", url: "http://app/health" }],
  });
  readonly pins = new Map<PinName, ClosureHash>();
  readonly #units = new Map<string, Unit>();
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** The machine starts anew: what ran is gone, and its boot default runs. */
  reboot(name: string): void {
    this.boot = bootId(name);
    this.system.running = this.system.boot;
    for (const unit of this.#units.values())
      if (unit.state.kind === "running") this.#end(unit, { kind: "unknown" });
  }

  isHealthy(): boolean {
    return this.#behaviour(this.system.running).healthy;
  }

  /** Puts in a unit that no record fired. */
  addUnit(unit: UnitRef, state: UnitSeen): void {
    const run = { unit, closure: OLD, deadlineSecs: 900 };
    this.#units.set(unitName(unit), { run, state, waiters: new Set() });
  }

  endUnits(state: UnitSeen): void {
    for (const unit of this.#units.values())
      if (unit.state.kind === "running") this.#end(unit, state);
  }

  readonly activation: Activation = {
    backend: "directory",
    bootId: async () => this.boot,
    system: async (): Promise<SystemClosures> => ({ ...this.system }),
    closurePath: (hash) => `/closures/${hash}`,
    preflight: async () => ok(null),
    realise: async () => {
      if (this.realiseHangs) await new Promise<never>(() => {});
      const message = this.realiseRefusal;
      return message === null ? ok(null) : err({ final: false, message });
    },
    pin: async (name, hash) => {
      this.pins.set(name, hash);
    },
    pinned: async (name) => this.pins.get(name) ?? null,
    check: async () => ({ kind: "passed" }),
    needsBoot: async () => null,
    setProfile: async (hash) => {
      this.system.profile = hash;
    },
    stageBoot: async (hash) => {
      this.system.boot = hash;
      return ok(null);
    },
    fire: async (run) => {
      const name = unitName(run.unit);
      if (this.#units.has(name))
        return { ok: false, error: { kind: "taken", message: `${name} was fired before` } };
      this.fired.push(`${run.unit.purpose} ${run.closure.slice(33)}`);
      this.#start(name, run);
      return ok(null);
    },
    unit: async (unit) => this.#units.get(unitName(unit))?.state ?? { kind: "none" },
    ended: (ref, signal) =>
      new Promise((resolve) => {
        const unit = this.#units.get(unitName(ref));
        if (unit?.state.kind !== "running" || signal.aborted) return resolve();
        const done = (): void => {
          unit.waiters.delete(done);
          resolve();
        };
        unit.waiters.add(done);
        signal.addEventListener("abort", done, { once: true });
      }),
    stop: async (ref) => {
      const unit = this.#units.get(unitName(ref));
      if (unit?.state.kind === "running") this.#end(unit, { kind: "killed" });
      return true;
    },
    units: async (): Promise<readonly FoundUnit[]> =>
      [...this.#units.values()].map(({ run, state }) => ({
        unit: run.unit,
        running: state.kind === "running",
      })),
    output: async () => "the unit's output",
  };

  readonly disk: Disk = {
    readText: (path) => (path.endsWith(PROBE_FILE) ? this.probeFile : null),
    writeAtomically: () => {},
    remove: () => {},
    freeBytes: () => 10_000_000,
  };

  #behaviour(hash: ClosureHash): Behaviour {
    return this.behaviours.get(hash) ?? GOOD;
  }

  #start(name: string, run: UnitRun): void {
    const unit: Unit = { run, state: { kind: "running" }, waiters: new Set() };
    this.#units.set(name, unit);
    const { exitCode, secs } = this.#behaviour(run.closure);
    // The unit is no child of the agent: its time passes whoever is dead.
    this.#time
      .timer(() => unit.state.kind !== "running")
      .after(secs * 1000, () => {
        if (exitCode === 0 || exitCode === 4)
          this.system = { ...this.system, running: run.closure, boot: run.closure };
        this.#end(unit, { kind: "exited", code: exitCode });
      });
  }

  #end(unit: Unit, state: UnitSeen): void {
    unit.state = state;
    for (const done of unit.waiters) done();
  }
}
