import type { EmitMetric, Fleet, MetricName } from "@nixwave/effects";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Clock } from "../ports.ts";
import { fleetGauges } from "./fleetMetrics.ts";

/** From a tmpfs to a disk that is about to fail. */
const COMMIT_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const DISPATCH_SECONDS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21_600];

/** What the writer counts, and the gauges that are read off the fleet when somebody scrapes. Never a host in a label. */
export interface WriterMetrics {
  count(effect: EmitMetric): void;
  /** A durable batch of so many commands and lines. */
  committed(batch: {
    readonly commands: number;
    readonly lines: number;
    readonly seconds: number;
  }): void;
  commitFailed(): void;
  /** From queued to acknowledged. */
  dispatchAcknowledged(seconds: number): void;
  eventsDuplicated(count: number): void;
  pollsParked(count: number): void;
}

export function createMetrics(
  register: Registry,
  source: { readonly fleet: () => Fleet; readonly clock: Clock; readonly version: string },
): WriterMetrics {
  const registers = [register];
  const effects = effectCounters(registers);
  const commits = new Histogram({
    name: "nixwave_commit_seconds",
    help: "Time until a batch is durable",
    buckets: COMMIT_SECONDS,
    registers,
  });
  const commands = new Histogram({
    name: "nixwave_commit_commands",
    help: "Commands that shared one commit",
    buckets: BATCH_SIZES,
    registers,
  });
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const lines = counter("nixwave_log_lines_total", "Lines appended to the log");
  const failed = counter("nixwave_commits_failed_total", "Batches of which nothing was stored");
  const duplicated = counter("nixwave_events_duplicated_total", "Events that were here already");
  const dispatches = new Histogram({
    name: "nixwave_dispatch_seconds",
    help: "From queued to acknowledged",
    buckets: DISPATCH_SECONDS,
    registers,
  });
  const parked = new Gauge({
    name: "nixwave_polls_parked",
    help: "Long-polls that wait",
    registers,
  });
  new Gauge({
    name: "nixwave_build_info",
    help: "Always 1; the version is in the label",
    labelNames: ["version"],
    registers,
  }).set({ version: source.version }, 1);
  fleetGauges(registers, source);
  return {
    count: ({ name, labels, value }) => effects[name].inc(Object.fromEntries(labels), value),
    committed(batch) {
      commits.observe(batch.seconds);
      commands.observe(batch.commands);
      lines.inc(batch.lines);
    },
    commitFailed: () => failed.inc(),
    dispatchAcknowledged: (seconds) => dispatches.observe(seconds),
    eventsDuplicated: (count) => duplicated.inc(count),
    pollsParked: (count) => parked.set(count),
  };
}

/** The three names that effects may carry: a missing one does not compile. */
function effectCounters(registers: Registry[]): { readonly [N in MetricName]: Counter } {
  return {
    nixwave_host_transitions_total: new Counter({
      name: "nixwave_host_transitions_total",
      help: "Hosts' changes of state",
      labelNames: ["from", "to", "channel"],
      registers,
    }),
    nixwave_events_refused_total: new Counter({
      name: "nixwave_events_refused_total",
      help: "Events that were refused",
      labelNames: ["code"],
      registers,
    }),
    nixwave_events_total: new Counter({
      name: "nixwave_events_total",
      help: "Events that moved nothing",
      labelNames: ["event"],
      registers,
    }),
  };
}

/** For tools that fold without anybody watching. */
export const NO_METRICS: WriterMetrics = {
  count: () => undefined,
  committed: () => undefined,
  commitFailed: () => undefined,
  dispatchAcknowledged: () => undefined,
  eventsDuplicated: () => undefined,
  pollsParked: () => undefined,
};
