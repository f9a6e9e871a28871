import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const ROOT = dirname(dirname(import.meta.dirname));

/** Processes whose command line or environment names the folder. */
function processesOf(folder: string): readonly string[] {
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

/** Starts the demo, interrupts it at the first line that fits, and comes back when it has ended. */
function interrupt(
  at: RegExp,
): Promise<{ code: number | null; output: string; seen: readonly string[] }> {
  const demo = spawn(process.execPath, [join(ROOT, "scripts/demo/main.ts"), "--ci"], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let seen: readonly string[] = [];
  const read = (chunk: Buffer): void => {
    output += chunk.toString("utf8");
    if (seen.length > 0 || !at.test(output)) return;
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

const folderIn = (output: string): string => /in (\S+nixwave-demo-\S+)/.exec(output)?.[1] ?? "";

test("Ctrl-C in the middle of a switch leaves no process and no file behind", async () => {
  const { code, output, seen } = await interrupt(/canary-1 +░ activating/);
  expect(code, output).toBe(130);
  const folder = folderIn(output);
  expect(folder).not.toBe("");
  // One control plane and eight agents at least were there to be left behind.
  expect(seen.length).toBeGreaterThanOrEqual(9);
  expect(processesOf(folder)).toEqual([]);
  expect(existsSync(folder)).toBe(false);
}, 120_000);
