import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Lane, Step } from "./lanes.ts";

/** What became of one step. The output is kept whole: where steps go side by side, that of one that failed must be readable. */
interface Ended {
  readonly step: Step;
  readonly ok: boolean;
  readonly output: string;
  readonly secs: number;
}

/** What only computes gives way to whatever waits. */
const BEFORE = { waits: [], computes: ["nice", "-n", "15"] } as const satisfies Record<
  Step["kind"],
  readonly string[]
>;

interface Told {
  readonly folder: string;
  /** A line, as soon as it is there. */
  readonly said: (step: Step, line: string) => void;
  readonly ended: (ended: Ended) => void;
}

/**
 * Runs the lanes side by side. After a failure what runs goes on to its end, because a fleet that is torn down in the middle leaves
 * processes behind; nothing new is begun. Ctrl-C reaches all of them, as the terminal's group.
 */
export async function runLanes(
  lanes: readonly Lane[],
  { folder, said, ended: tell }: Told,
): Promise<{ readonly failed: readonly string[]; readonly left: readonly string[] }> {
  const failed: string[] = [];
  const left: string[] = [];
  const runLane = async (lane: Lane): Promise<void> => {
    for (const step of lane) {
      if (failed.length > 0) {
        left.push(step.name);
        continue;
      }
      const ended = await runStep(step, folder, said);
      if (!ended.ok) failed.push(step.name);
      tell(ended);
    }
  };
  await Promise.all(lanes.map(runLane));
  return { failed, left };
}

function runStep(step: Step, cwd: string, said: Told["said"]): Promise<Ended> {
  const began = performance.now();
  const [command = "", ...args] = [...BEFORE[step.kind], ...step.command];
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...step.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on("line", (line) => {
      output += `${line}\n`;
      said(step, line);
    });
  const { secondsMax } = step;
  const limit =
    secondsMax === undefined
      ? undefined
      : setTimeout(() => {
          output += `killed after ${secondsMax} s\n`;
          child.kill("SIGKILL");
        }, secondsMax * 1000);
  const ended = (ok: boolean): Ended => ({
    step,
    ok,
    output,
    secs: Math.round((performance.now() - began) / 1000),
  });
  return new Promise((resolve) => {
    child.once("error", (cause) => {
      output += `${command} could not be started: ${cause.message}\n`;
      resolve(ended(false));
    });
    child.once("close", (code) => {
      clearTimeout(limit);
      resolve(ended(code === 0));
    });
  });
}
