import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CP, type DemoFleet } from "../demo/fleet.ts";
import type { Ended } from "../demo/process.ts";
import { damageOf, logOf } from "../endToEnd/streams.ts";
import { journalLoss, type Loss, logLoss, unclean } from "./losses.ts";
import type { Fault, Place, Random } from "./places.ts";
import { copyDatabase, cutPower } from "./powerCut.ts";

/** What was found when a process had ended at its place. */
export interface Death extends Loss {
  /** Of a power cut: how many later bytes there were, and how many of them are kept. */
  readonly cut: { readonly written: number; readonly kept: number } | null;
}

/** Kills are named by the point itself; where it is a power cut, its consequences for the disk are drawn here. */
export class Reaper {
  readonly fault: Fault;
  readonly #random: Random;
  readonly #scratch = mkdtempSync(join(tmpdir(), "nixwave-crash-"));
  #count = 0;

  constructor(fault: Fault, random: Random) {
    this.fault = fault;
    this.#random = random;
  }

  /** What a process needs to know to die, and to leave the copies that a power cut goes by. */
  envFor(name: string, plan: string): Readonly<Record<string, string>> {
    if (this.fault === "kill -9") return { NIXWAVE_CRASH_AT: plan };
    // A life without copies may have come in between: what is there now is on the disk.
    rmSync(this.#copies(name), { recursive: true, force: true });
    return { NIXWAVE_CRASH_AT: plan, NIXWAVE_SYNC_COPY: this.#copies(name) };
  }

  examine(place: Place, name: string, ended: Ended | null, fleet: DemoFleet): Death {
    const scratch = join(this.#scratch, `death-${(this.#count += 1)}`);
    const death = this.#consequences(place, { name, scratch, fleet });
    if (ended?.signal === "SIGKILL") return death;
    const how = `it ended by itself, with ${ended?.signal ?? ended?.code ?? "nothing"}`;
    return { ...death, faults: [...death.faults, how] };
  }

  #consequences({ within }: Place, { name, scratch, fleet }: Corpse): Death {
    const database = databaseOf(fleet, name);
    if (this.fault === "kill -9") {
      const copy = copyDatabase(database, scratch);
      const damage = name === CP ? unclean(copy) : damageOf(copy);
      return { cut: null, lines: 0, faults: [], seen: new Map(), damage };
    }
    const copies = this.#copies(name);
    const cut = cutPower(database, { copies, within, random: this.#random, scratch });
    const loss =
      name === CP
        ? logLoss(cut, within)
        : journalLoss({ host: name, cut, within, logged: logOf(fleet) });
    return { ...loss, cut };
  }

  #copies(name: string): string {
    return join(this.#scratch, `copies-${name}`);
  }

  close(): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}

interface Corpse {
  readonly name: string;
  readonly scratch: string;
  readonly fleet: DemoFleet;
}

const databaseOf = (fleet: DemoFleet, name: string): string =>
  name === CP ? join(fleet.data, "cp.db") : join(fleet.stateDir(name), "agent.db");
