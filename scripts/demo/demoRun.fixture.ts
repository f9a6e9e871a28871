import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = dirname(dirname(import.meta.dirname));

export interface DemoRun {
  readonly code: number | null;
  readonly output: string;
  /** The processes of the demo when it was interrupted. */
  readonly seen: readonly string[];
}

/** Processes whose command line or environment names the folder. */
export function processesOf(folder: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) =>
      ["cmdline", "environ"].some((file) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(folder);
        } catch {
          return false;
        }
      }),
    );
}

/** Runs the demo to its end, or interrupts it at the first line that fits; null: at none. */
export function runDemo(options: readonly string[], interruptAt: RegExp | null): Promise<DemoRun> {
  const demo = spawn(process.execPath, [join(ROOT, "scripts/demo/main.ts"), "--ci", ...options], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let seen: readonly string[] = [];
  const read = (chunk: Buffer): void => {
    output += chunk.toString("utf8");
    if (seen.length > 0 || interruptAt?.test(output) !== true) return;
    seen = processesOf(folderIn(output));
    demo.kill("SIGINT");
  };
  demo.stdout.on("data", read);
  demo.stderr.on("data", read);
  return new Promise((resolve, reject) => {
    demo.once("error", reject);
    demo.once("close", (code) => {
      resolve({ code, output, seen });
    });
  });
}

export const folderIn = (output: string): string =>
  /in (\S+nixwave-demo-\S+)/.exec(output)?.[1] ?? "";
