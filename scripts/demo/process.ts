import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";

/** How a process ended: its exit code, or null and the signal that ended it. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartedProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly ended: Promise<Ended>;
  isRunning(): boolean;
  /** To this process only; nothing if it has ended. */
  signal(signal: NodeJS.Signals): void;
}

interface RunPlan {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** stdout and stderr are appended to it. */
  readonly logFile: string;
}

export interface ProcessPlan extends RunPlan {
  /** The program's file; it runs under this very Node. */
  readonly script: string;
}

export const startProcess = ({ script, args, ...plan }: ProcessPlan): StartedProcess =>
  startCommand({ ...plan, command: process.execPath, args: [script, ...args] });

/** Starts a command with its output in a file: nobody has to read a pipe for it to go on. */
export function startCommand(plan: RunPlan & { readonly command: string }): StartedProcess {
  const log = openSync(plan.logFile, "a");
  const child = spawn(plan.command, plan.args, {
    cwd: plan.cwd,
    env: { ...inherited(), ...plan.env },
    stdio: ["ignore", log, log],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${plan.name} could not be started: ${plan.command}`);
  const ended = endOf(child);
  return {
    name: plan.name,
    pid,
    logFile: plan.logFile,
    ended,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    signal: (signal) => {
      // kill() of this handle can't reach a later process of the same number: Node knows when the child was reaped.
      child.kill(signal);
    },
  };
}

/** Runs a script to its end and gives its output; for commands that answer at once. */
export async function runScript(
  plan: Omit<ProcessPlan, "logFile" | "name">,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [plan.script, ...plan.args], {
    cwd: plan.cwd,
    env: { ...inherited(), ...plan.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
  const { code } = await endOf(child);
  return { code, stdout: await stdout, stderr: await stderr };
}

function endOf(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({ code, signal });
    });
  });
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Only what a program needs to be found and to speak; the demo must not depend on the rest of a person's environment. */
function inherited(): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "NO_COLOR"];
  return Object.fromEntries(
    kept.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
