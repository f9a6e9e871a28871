import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClosureHash, HostState, RolloutId } from "@nixwave/effects";
import { expect, vi } from "vitest";
import type { CrashPoint } from "../crashPoint.ts";
import type { ActivationWorker } from "../perform/worker.ts";
import type { Activation } from "./activation.ts";
import { fastTimer, type Script, SOON, type TestHost, testHost } from "./host.fixture.ts";
import { type TestLoop, testLoop } from "./loop.fixture.ts";
import { activationWorker } from "./worker.ts";

/** A real worker between a real host and a small loop. `old` runs, and each switch writes its name into `switches`. */
export interface WorkerBench {
  readonly host: TestHost;
  readonly loop: TestLoop;
  readonly old: ClosureHash;
  readonly troubles: readonly string[];
  /** Heartbeats that the worker asked for. */
  readonly asked: readonly RolloutId[];
  /** An agent's process begins: a worker that remembers nothing. */
  start(crashAt?: (point: CrashPoint) => void, activation?: Activation): void;
  /** The worker's process is asked to end; its units go on. */
  stop(): Promise<void>;
  newClosure(script?: Script): ClosureHash;
  reaches(state: HostState): Promise<void>;
  switches(): readonly string[];
  /** current-system, profile, boot. */
  links(): readonly string[];
  remove(): Promise<void>;
}

export const OK = "echo new >> switches; swap boot; swap current-system";

export function workerBench(): WorkerBench {
  const host = testHost();
  const loop = testLoop();
  const workers: ActivationWorker[] = [];
  const troubles: string[] = [];
  const asked: RolloutId[] = [];
  const old = host.makeClosure("old", {
    switch: "echo old >> switches; swap boot; swap current-system",
  });
  host.setLinks(old, "current-system", "profile", "boot");
  const bench: WorkerBench = {
    host,
    loop,
    old,
    troubles,
    asked,
    start: (crashAt = () => {}, activation = host.activation) => {
      const worker = activationWorker({
        activation,
        mailbox: { submit: (input) => loop.submit(input) },
        readRecord: (id) => loop.readRecord(id),
        knownGood: () => old,
        baseline: async () => ({ failedUnits: [], answered: [] }),
        timer: fastTimer,
        random: host.ports.random,
        crash: { at: crashAt },
        redact: (text) => text.replaceAll("hunter2", "[redacted]"),
        onRefused: () => void asked.push(loop.record.rolloutId),
        onTrouble: (message, cause) => void troubles.push(`${message}: ${String(cause)}`),
      });
      loop.activation = worker;
      workers.push(worker);
    },
    stop: async () => {
      await workers.at(-1)?.close();
    },
    newClosure: (script = {}) => host.makeClosure("new", { switch: OK, ...script }),
    reaches: async (state) => {
      await vi.waitFor(() => expect(loop.record.kind).toBe(state), SOON);
    },
    switches: () => readFileSync(join(host.root, "switches"), "utf8").trim().split("\n"),
    links: () => [host.readLink("current-system"), host.readLink("profile"), host.readLink("boot")],
    remove: async () => {
      await Promise.all(workers.map((worker) => worker.close()));
      host.remove();
    },
  };
  bench.start();
  return bench;
}
