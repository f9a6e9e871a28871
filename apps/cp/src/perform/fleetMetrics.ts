import { type Fleet, HOST_STATES, ROLLOUT_STATES, secsBetween } from "@nixwave/effects";
import { Gauge, type Registry } from "prom-client";
import type { Clock } from "../ports.ts";

interface Source {
  readonly fleet: () => Fleet;
  readonly clock: Clock;
}

/** Read off the fleet at each scrape: nothing to keep in step, and nothing to pay while nobody asks. */
export function fleetGauges(registers: Registry[], source: Source): void {
  new Gauge({
    name: "nixwave_hosts",
    help: "Hosts by the state of their record in the channel's newest rollout",
    labelNames: ["channel", "state"],
    registers,
    collect() {
      this.reset();
      for (const [channel, states] of statesByChannel(source.fleet()))
        for (const [state, count] of states) this.set({ channel, state }, count);
    },
  });
  new Gauge({
    name: "nixwave_rollouts",
    help: "Rollouts by state",
    labelNames: ["state"],
    registers,
    collect() {
      const fleet = source.fleet();
      const rollouts = fleet.channels().flatMap((channel) => fleet.rolloutsOf(channel));
      for (const state of ROLLOUT_STATES)
        this.set({ state }, rollouts.filter((rollout) => rollout.kind === state).length);
    },
  });
  new Gauge({
    name: "nixwave_hosts_waiting",
    help: "Hosts that a gate holds",
    labelNames: ["gate"],
    registers,
    collect() {
      this.reset();
      for (const [gate, count] of waitingByGate(source.fleet())) this.set({ gate }, count);
    },
  });
  sightGauges(registers, source);
}

function sightGauges(registers: Registry[], { fleet, clock }: Source): void {
  const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const sights = () => [...fleet().hostNames()].flatMap((name) => fleet().host(name) ?? []);
  gauge("nixwave_heartbeat_lag_max_seconds", "Silence of the host that was heard longest ago", () =>
    most(
      sights().flatMap(({ lastHeardAt }) =>
        lastHeardAt === null ? [] : [secsBetween(lastHeardAt, clock.now())],
      ),
    ),
  );
  gauge("nixwave_clock_skew_max_seconds", "Largest difference of a host's wall clock to ours", () =>
    most(
      sights().flatMap(({ report }) => (report === null ? [] : [Math.abs(report.clockSkewSecs)])),
    ),
  );
  gauge("nixwave_hosts_drifted", "Converged hosts that run something else now", () =>
    drifted(fleet()),
  );
}

function* newestRecords(fleet: Fleet) {
  for (const channel of fleet.channels()) {
    const newest = fleet.newestRollout(channel);
    const release = newest === null ? null : fleet.release(newest.rolloutId);
    for (const { host } of release?.hosts ?? []) {
      const record = newest === null ? null : fleet.record(newest.rolloutId, host);
      yield { channel, host, record };
    }
  }
}

function statesByChannel(fleet: Fleet): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const counts = new Map<string, Map<string, number>>();
  for (const { channel, record } of newestRecords(fleet)) {
    const states =
      counts.get(channel) ?? new Map<string, number>(HOST_STATES.map((state) => [state, 0]));
    counts.set(channel, states);
    if (record !== null) states.set(record.kind, (states.get(record.kind) ?? 0) + 1);
  }
  return counts;
}

function waitingByGate(fleet: Fleet): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const channel of fleet.channels()) {
    const newest = fleet.newestRollout(channel);
    const waiting = newest === null ? [] : fleet.waitingByGate(newest.rolloutId);
    for (const [gate, hosts] of waiting) counts.set(gate, (counts.get(gate) ?? 0) + hosts);
  }
  return counts;
}

function drifted(fleet: Fleet): number {
  let count = 0;
  for (const { host, record } of newestRecords(fleet))
    if (record !== null && fleet.hasDrifted(record.rolloutId, host)) count += 1;
  return count;
}
