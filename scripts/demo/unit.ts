import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Ends the switches that agents left running: they run detached, in sessions of their own, so that no agent takes them
 * along. A unit is found by its folder; of its session only those processes are ended whose environment has the host's `mark`.
 */
export function endUnits(units: string, mark: string): void {
  if (!existsSync(units)) return;
  for (const name of readdirSync(units)) {
    const [session = ""] = readText(join(units, name, "start")).split("\n");
    if (!/^\d+$/.test(session) || existsSync(join(units, name, "outcome"))) continue;
    for (const pid of membersOf(session, mark)) end(pid);
  }
}

/** Processes of the session that have the mark: a number that was given to a stranger has not. */
function membersOf(session: string, mark: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const stat = readText(`/proc/${pid}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[3] !== session) return false;
      return readText(`/proc/${pid}/environ`).split("\0").includes(mark);
    })
    .map(Number);
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself in between.
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
