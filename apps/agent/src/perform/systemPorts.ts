import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { parseCrashPlan } from "../crashPoint.ts";
import type { Clock, Crash, Disk, Random, Timer } from "../ports.ts";

const NS_PER_MS = 1_000_000n;
/** setTimeout takes no more; a longer wait is set again when it fires. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** On Linux the monotonic clock counts from the boot. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => Number(process.hrtime.bigint() / NS_PER_MS),
};

export const systemTimer: Timer = {
  after: (ms, fire) => {
    const handle = setTimeout(fire, Math.min(Math.max(0, ms), TIMEOUT_MS_MAX));
    handle.unref();
    return () => {
      clearTimeout(handle);
    };
  },
};

export const systemRandom: Random = {
  unit: () => Math.random(),
  hex: (bytes) => randomBytes(bytes).toString("hex"),
};

export const systemDisk: Disk = {
  readText: (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
      throw new Error(`${path} can't be read`, { cause });
    }
  },
  writeAtomically: (path, text) => {
    const beside = `${path}.new`;
    writeSynced(beside, text);
    renameSync(beside, path);
    const folder = openSync(dirname(path), "r");
    fsyncSync(folder);
    closeSync(folder);
  },
  remove: (path) => rmSync(path, { force: true }),
  freeBytes: (path) => {
    try {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    } catch {
      return null;
    }
  },
};

function writeSynced(path: string, text: string): void {
  const file = openSync(path, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Kills this process at the point that NIXWAVE_CRASH_AT names, as a power cut would: no handler runs, nothing is flushed. */
export function systemCrash(plan: string | undefined): Crash {
  if (plan === undefined || plan === "") return { at: () => {} };
  const { point, nth } = parseCrashPlan(plan);
  let passed = 0;
  return {
    at: (here) => {
      if (here !== point) return;
      passed += 1;
      if (passed === nth) process.kill(process.pid, "SIGKILL");
    },
  };
}
