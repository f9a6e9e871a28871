import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Ends the switches that agents left running under `root`: they run detached, in sessions of their own, so that no agent
 * takes them along. A unit is found by its folder; its session is ended only while the process that began it is the same
 * (by its start time), or, if that one is gone, while members of its session are left that began under this root.
 */
export function endUnits(root: string): void {
  const units = join(root, "units");
  if (!existsSync(units)) return;
  for (const name of readdirSync(units)) {
    const [session = ""] = readText(join(units, name, "start")).split("\n");
    if (!/^\d+$/.test(session) || existsSync(join(units, name, "outcome"))) continue;
    for (const pid of membersOf(session, root)) end(pid);
  }
}

/** Processes of the session whose environment names this root: a number that was given to a stranger does not. */
function membersOf(session: string, root: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const stat = readText(`/proc/${pid}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[3] !== session) return false;
      return readText(`/proc/${pid}/environ`).split("\0").includes(`NIXWAVE_ROOT=${root}`);
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
