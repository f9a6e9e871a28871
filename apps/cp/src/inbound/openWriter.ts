import { type FleetState, invariant } from "@nixwave/effects";
import { Counter, type Registry } from "prom-client";
import { createWriter, type Writer } from "../loop.ts";
import { createMetrics } from "../perform/metrics.ts";
import type { Notices } from "../ports.ts";
import type { Connection } from "../store/database.ts";
import { sqliteStore } from "../store/sqlite.ts";
import { withSyncCopies } from "../store/syncCopy.ts";
import type { ParkedPolls } from "./parkedPolls.ts";
import type { WorldPorts } from "./world.ts";

export interface Around {
  readonly committed: Notices["committed"];
  readonly polls: ParkedPolls;
  readonly registry: Registry;
  readonly world: WorldPorts;
}

/** Counts what is put to the loop: that nothing polls in a hot loop is counted, not timed. */
function inputCounter(registry: Registry): Counter<"kind"> {
  return new Counter({
    name: "nixwave_loop_inputs_total",
    help: "Commands that were put to the loop, its own ticks among them",
    labelNames: ["kind"],
    registers: [registry],
  });
}

/** The writer over an open database, with its metrics in the registry and its notices at the parked polls. */
export async function openWriter(db: Connection, around: Around): Promise<Writer> {
  const { polls, registry, world } = around;
  const { clock, crash, log, version, syncCopyDir } = world;
  let opened: Writer | null = null;
  const fleet = (): FleetState => {
    invariant(opened !== null, "metrics are scraped once the writer is there");
    return opened.fleet();
  };
  const metrics = createMetrics(registry, { fleet, clock, version });
  polls.onParked((count) => metrics.pollsParked(count));
  const inputs = inputCounter(registry);
  const notices: Notices = {
    dispatchReady: (host) => polls.wake(host),
    committed: (next, rollouts) => around.committed(next, rollouts),
  };
  const writer = await createWriter({
    ...world,
    // The loop asks this timer for nothing but its ticks.
    timer: {
      at: (instant, call) =>
        world.timer.at(instant, () => {
          inputs.inc({ kind: "Tick" });
          call();
        }),
      soon: (call) => world.timer.soon(call),
    },
    ticks: () => performance.now(),
    store: withSyncCopies(sqliteStore(db, { crash }), syncCopyDir),
    metrics,
    logger: log,
    notices,
  });
  opened = writer;
  return {
    ...writer,
    submit: (command) => {
      inputs.inc({ kind: command.kind });
      return writer.submit(command);
    },
  };
}
