import { createServer, type Server } from "node:http";
import type { EmitMetric, Instant, MetricName } from "@nixwave/effects";
import { Counter, Gauge, Registry } from "prom-client";
import type { InputKind } from "../input.ts";
import type { Disk, Timer } from "../ports.ts";

const LABELS = {
  nixwave_host_transitions_total: ["from", "to", "channel"],
  nixwave_events_refused_total: ["code"],
  nixwave_events_total: ["event"],
} as const satisfies Record<MetricName, readonly string[]>;

const HELP = {
  nixwave_host_transitions_total: "Transitions of this host's rollouts",
  nixwave_events_refused_total: "Events that the agent's own table refused",
  nixwave_events_total: "Events that changed no state",
} as const satisfies Record<MetricName, string>;

export interface Gauges {
  readonly outboxRows: number;
  readonly outboxBytes: number;
  /** Null while this host has none, or needs none. */
  readonly certificateExpiresAt: Instant | null;
}

/** Everything that this process counts. Label sets are bounded. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters: { readonly [N in MetricName]: Counter };
  readonly #inputs: Counter;
  readonly #withheld: Counter;

  constructor(gauges: () => Gauges) {
    const registers = [this.#registry];
    const counter = (name: MetricName): Counter =>
      new Counter({ name, help: HELP[name], labelNames: [...LABELS[name]], registers });
    this.#counters = {
      nixwave_host_transitions_total: counter("nixwave_host_transitions_total"),
      nixwave_events_refused_total: counter("nixwave_events_refused_total"),
      nixwave_events_total: counter("nixwave_events_total"),
    };
    this.#inputs = new Counter({
      name: "nixwave_loop_inputs_total",
      help: "Inputs that the loop has taken",
      labelNames: ["kind"],
      registers,
    });
    this.#withheld = new Counter({
      name: "nixwave_probe_results_withheld_total",
      help: "Results of observe probes that were not reported, because the outbox is at its cap",
      registers,
    });
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    gauge("nixwave_outbox_rows", "Lines in the outbox", () => gauges().outboxRows);
    gauge("nixwave_outbox_bytes", "Bytes of the lines in the outbox", () => gauges().outboxBytes);
    new Gauge({
      name: "nixwave_certificate_expires_timestamp_seconds",
      help: "When this host's certificate ends; absent while it has none",
      registers,
      collect() {
        const { certificateExpiresAt } = gauges();
        this.reset();
        if (certificateExpiresAt === null) this.remove();
        else this.set(certificateExpiresAt / 1000);
      },
    });
  }

  count({ name, labels, value }: EmitMetric): void {
    this.#counters[name].inc(Object.fromEntries(labels), value);
  }

  countInput(kind: InputKind): void {
    this.#inputs.inc({ kind });
  }

  countWithheld(): void {
    this.#withheld.inc();
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

export type MetricsPlace = { readonly port: number } | { readonly textfile: string } | null;

/** node_exporter reads its files about this often. */
const TEXTFILE_EVERY_MS = 15_000;

/** On a loopback port, or in a file for node_exporter's textfile collector; figures of a host are nobody else's business. */
export function publishMetrics(
  metrics: Metrics,
  place: MetricsPlace,
  { disk, timer }: { readonly disk: Disk; readonly timer: Timer },
  logs: { trouble(message: string, cause: unknown): void },
): () => void {
  if (place === null) return () => {};
  if ("port" in place) {
    const server = serveMetrics(metrics, place.port);
    server.on("error", (cause) => {
      logs.trouble("metrics can't be served", cause);
    });
    return () => {
      server.close();
    };
  }
  let cancel = (): void => {};
  const write = (): void => {
    metrics
      .text()
      .then((text) => disk.writeAtomically(place.textfile, text))
      .catch((cause: unknown) => logs.trouble(`${place.textfile} can't be written`, cause));
    cancel = timer.after(TEXTFILE_EVERY_MS, write);
  };
  write();
  return () => {
    cancel();
  };
}

function serveMetrics(metrics: Metrics, port: number): Server {
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") return void response.writeHead(404).end();
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(port, "127.0.0.1");
  return server;
}
