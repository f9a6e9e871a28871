import { type ChildProcess, fork } from "node:child_process";
import { SIGNED_EVERY, signedFrom } from "../sim/liarPlans.ts";
import type { Bug, Ground } from "./bugs.ts";
import type { Answered } from "./world.ts";

const PLANT = new URL("plant.ts", import.meta.url).href;
/** Enough of what a child said to see why it died. */
const SAID_MAX = 2000;
/** Real time for one world, or for every interleaving of a small one. */
const WORLD_SECONDS_MAX = 240;

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

  /** Rejects where the process dies over it. A world that does not end is told, and is the last one of this process. */
  ask(ground: Ground): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const child = this.#child;
      const limit = setTimeout(() => {
        child.kill("SIGKILL");
        settle(() =>
          resolve({ invariant: "no-bug", detail: `did not end within ${WORLD_SECONDS_MAX} s` }),
        );
      }, WORLD_SECONDS_MAX * 1000);
      const settle = (tell: () => void): void => {
        clearTimeout(limit);
        child.off("exit", onExit);
        child.off("message", onMessage);
        tell();
      };
      const onExit = (code: number | null): void =>
        settle(() => reject(new Error(`a child of the hunt ended with ${code}: ${this.#said}`)));
      const onMessage = ({ answered }: { readonly answered: Answered }): void =>
        settle(() => resolve(answered));
      child.on("exit", onExit);
      child.on("message", onMessage);
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
}

/** What one bug came to; `sound`: what the same ground comes to without it, null being as it should. */
export interface Hunted {
  readonly bug: Bug;
  readonly found: Found | null;
  /** Worlds, the one that found it included. */
  readonly tried: number;
  readonly sound: Answered;
  readonly seconds: number;
}

/** Plants it, looks for it where it was found before, then further on; and runs what found it once more without it. */
export const hunt = (bug: Bug, bounds: Bounds): Promise<Hunted> =>
  huntIn(groundsOf(bug, bounds), bug, bounds);

/** The same as if nobody knew where: seed after seed from the first one. How many that takes says how good the worlds are. */
export const huntBlind = (bug: Bug, bounds: Bounds): Promise<Hunted> =>
  huntIn(seedsOf(bug, bounds), bug, bounds);

async function huntIn(
  grounds: readonly Ground[],
  bug: Bug,
  { secondsMax }: Bounds,
): Promise<Hunted> {
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const searched = await withPatient(bug, async (patient) => {
    for (const [index, ground] of grounds.entries()) {
      if (index > 0 && seconds() > secondsMax) return { found: null, tried: index };
      const answered = await patient.ask(ground);
      if (answered !== null) return { found: { ground, ...answered }, tried: index + 1 };
    }
    return { found: null, tried: grounds.length };
  });
  const ground = searched.found?.ground ?? bug.ground;
  const sound = await withPatient(null, (patient) => patient.ask(ground));
  return { bug, ...searched, sound, seconds: seconds() };
}

/** A scenario is one world; worlds of seeds go on from the first one, since what a seed makes changes with the simulator. */
function groundsOf(bug: Bug, bounds: Bounds): readonly Ground[] {
  const { ground } = bug;
  if (ground.kind !== "seed" && ground.kind !== "liars") return [ground];
  const further = seedsOf(bug, bounds).filter(({ seed }) => seed !== ground.seed);
  return [ground, ...further];
}

/** What only a liar can use is looked for where there is one. */
function seedsOf({ ground }: Bug, { seedsMax }: Bounds) {
  const kind = ground.kind === "liars" ? "liars" : "seed";
  const [first, step] = kind === "liars" ? [signedFrom(1), SIGNED_EVERY] : [1, 1];
  return Array.from(
    { length: seedsMax },
    (_, index) => ({ kind, seed: first + index * step }) as const,
  );
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
