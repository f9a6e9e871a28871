import { type ChildProcess, fork } from "node:child_process";
import { SIGNED_EVERY, signedFrom } from "../sim/liarPlans.ts";
import type { Bug, Ground } from "./bugs.ts";
import type { Answered } from "./world.ts";

const PLANT = new URL("plant.ts", import.meta.url).href;
/** Enough of what a child said to see why it died. */
const SAID_MAX = 2000;

/** A process with one bug in it, or with none. */
class Patient {
  readonly #child: ChildProcess;
  #said = "";

  constructor(bug: Bug | null) {
    this.#child = fork(new URL("worker.ts", import.meta.url), {
      execArgv: ["--disable-warning=ExperimentalWarning", "--import", PLANT],
      env: { ...process.env, NIXWAVE_PLANT: bug?.name ?? "" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-SAID_MAX);
    });
  }

  /** Rejects where the process dies over it. */
  ask(ground: Ground): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const child = this.#child;
      const onExit = (code: number | null): void =>
        reject(new Error(`a child of the hunt ended with ${code}: ${this.#said}`));
      child.once("exit", onExit);
      child.once("message", (message: { readonly answered: Answered }) => {
        child.off("exit", onExit);
        resolve(message.answered);
      });
      child.send(ground);
    });
  }

  end(): void {
    this.#child.kill();
  }
}

export interface Bounds {
  /** Further seeds that are tried after the one that is known, where chance is to find it. */
  readonly seedsMax: number;
  readonly secondsMax: number;
}

interface Found {
  readonly ground: Ground;
  readonly invariant: string;
  readonly detail: string;
  /** Worlds until then, this one included. */
  readonly tried: number;
}

/** What one bug came to; `sound`: what the same ground comes to without it, null being as it should. */
export interface Hunted {
  readonly bug: Bug;
  readonly found: Found | null;
  readonly sound: Answered;
  readonly seconds: number;
}

/** Plants it, looks for it where it was found before, then further on; and runs what found it once more without it. */
export async function hunt(bug: Bug, bounds: Bounds): Promise<Hunted> {
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const found = await withPatient(bug, (patient) => search(patient, bug, bounds));
  const ground = found?.ground ?? bug.ground;
  const sound = await withPatient(null, (patient) => patient.ask(ground));
  return { bug, found, sound, seconds: seconds() };
}

async function search(
  patient: Patient,
  bug: Bug,
  { seedsMax, secondsMax }: Bounds,
): Promise<Found | null> {
  const untilMs = performance.now() + secondsMax * 1000;
  for (const [index, ground] of groundsOf(bug, seedsMax).entries()) {
    if (index > 0 && performance.now() > untilMs) return null;
    const answered = await patient.ask(ground);
    if (answered !== null) return { ground, ...answered, tried: index + 1 };
  }
  return null;
}

/** A scenario is one world; worlds of seeds go on from the first one, since what a seed makes changes with the simulator. */
function groundsOf({ ground }: Bug, seedsMax: number): readonly Ground[] {
  if (ground.kind !== "seed" && ground.kind !== "liars") return [ground];
  const { kind } = ground;
  const [first, step] = kind === "liars" ? [signedFrom(1), SIGNED_EVERY] : [1, 1];
  const further = Array.from({ length: seedsMax }, (_, index) => first + index * step);
  const seeds = [ground.seed, ...further.filter((seed) => seed !== ground.seed)];
  return seeds.map((seed) => ({ kind, seed }));
}

async function withPatient<T>(bug: Bug | null, work: (patient: Patient) => Promise<T>): Promise<T> {
  const patient = new Patient(bug);
  try {
    return await work(patient);
  } finally {
    patient.end();
  }
}

/** Whether the bug is found by an invariant that is to tell, and by nothing where it is not planted. */
export const isCaught = ({ bug, found, sound }: Hunted): boolean =>
  found !== null && sound === null && bug.tells.includes(found.invariant);
