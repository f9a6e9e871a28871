import type { UnitRun } from "@nixwave/agent";
import { START } from "@nixwave/testkit";
import type { SimHost } from "./agentProcess.ts";
import type { Fault, Scenario } from "./scenario.ts";

/** An agent decides, commits and fires at one virtual instant; a machine takes some milliseconds to say which boot it is. */
const AT_ONCE_MS = 1000;
/** A try is counted before its unit is fired: where its agent dies in between, the next one comes after the first pause. */
const TRIED_AGAIN_MS = 60_000;

/**
 * I11: a rollback is fired as soon as its closure is there, so that no agent waits with it for anybody. In most worlds the control plane
 * is away for some while, and who waited for it would be late. What may hold a rollback up is the host's own: that its agent does not
 * run, that its disk is full, that its caches are down.
 */
export class Alone {
  readonly #scenario: Scenario;
  /** By the world's time. */
  readonly #failedAtMs = new Map<SimHost, number>();

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  moved(host: SimHost, to: string, nowMs: number): void {
    if (to === "Failed") this.#failedAtMs.set(host, nowMs);
    else this.#failedAtMs.delete(host);
  }

  /** A sentence where it comes late. Only the first one after a failure is asked: one that failed is tried again after a while. */
  fired({ unit, closure }: UnitRun, host: SimHost, nowMs: number): string | null {
    const failedAtMs = this.#failedAtMs.get(host);
    if (unit.purpose !== "rollback" || failedAtMs === undefined) return null;
    this.#failedAtMs.delete(host);
    const sinceMs = Math.max(failedAtMs, host.startedAtMs);
    const lateMs = nowMs - sinceMs - host.machine.realiseMsOf(closure);
    const mayBeSecond = host.startedAtMs > failedAtMs;
    if (lateMs <= AT_ONCE_MS + (mayBeSecond ? TRIED_AGAIN_MS : 0)) return null;
    const isHeldUp = this.#scenario.faults.some(
      (fault) =>
        isOwn(fault, host) &&
        START + fault.atMs < nowMs &&
        START + fault.atMs + fault.forMs > sinceMs,
    );
    return isHeldUp ? null : `${host.name} could roll back ${lateMs} ms before it does`;
  }
}

type Lasting = Extract<Fault, { readonly kind: "disk-full" | "cache-down" }>;

const isOwn = (fault: Fault, host: SimHost): fault is Lasting =>
  (fault.kind === "disk-full" && fault.who === host.name) ||
  (fault.kind === "cache-down" && fault.host === host.name);
