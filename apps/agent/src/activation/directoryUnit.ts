import {
  type BootId,
  type ClosureHash,
  err,
  ok,
  type Result,
  type UnitSeen,
} from "@nixwave/effects";
import { pause, type RunResult } from "../ports.ts";
import {
  type Activation,
  type FireRefused,
  type FoundUnit,
  OUTPUT_MAX_BYTES,
  STOP_TIMEOUT_SECS,
  type UnitRun,
} from "./activation.ts";
import type { DirectoryPorts } from "./directory.ts";
import { DETACH, SESSION, UNIT } from "./directoryScript.ts";
import { lastBytes } from "./output.ts";
import { parseUnitName, type UnitRef, unitName } from "./unit.ts";

/** What the units need of the backend around them. */
export interface UnitHost {
  readonly root: string;
  readonly closurePath: (closure: ClosureHash) => string;
  readonly bootId: () => BootId;
  readonly ports: DirectoryPorts;
  readonly run: (argv: readonly string[], timeoutMs: number) => Promise<RunResult>;
  readonly mustRun: (argv: readonly string[]) => Promise<string>;
}

type Units = Pick<Activation, "fire" | "unit" | "ended" | "stop" | "units" | "output">;

/** A unit that has not said who it is by then never will: it could not be started. */
const FIRE_TIMEOUT_MS = 10_000;
/** `timeout` kills its child this way, and so does the shell report a signal. NixOS's script ends with 100 at most. */
const CODE_DEADLINE = 124;
const CODE_SIGNAL = 128;
/** After TERM, a unit gets this long to end by itself. */
const TERM_GRACE_MS = 10_000;
/** Between two looks at a unit: short at first, because most switches of a demo are short, then calm. */
const LOOK_FIRST_MS = 20;
const LOOK_MAX_MS = 1000;

export function directoryUnits(host: UnitHost): Units {
  const { root, ports, run, mustRun } = host;
  const { disk, timer } = ports;
  const folder = (unit: UnitRef): string => `${root}/units/${unitName(unit)}`;

  const start = (unit: UnitRef): UnitStart | null => {
    const text = disk.readText(`${folder(unit)}/start`);
    if (text === null) return null;
    const [pid = "", startTime = "", boot = "", nonce = ""] = text.split("\n");
    return { pid, startTime, boot, nonce };
  };
  const outcome = (unit: UnitRef): UnitSeen | null => {
    const text = disk.readText(`${folder(unit)}/outcome`);
    if (text === null) return null;
    const code = Number.parseInt(text, 10);
    return code === CODE_DEADLINE || code > CODE_SIGNAL
      ? { kind: "killed" }
      : { kind: "exited", code };
  };
  /** Reading of a process that ends at that moment fails with ESRCH: there is none. */
  const statOf = (pid: string): string | null => {
    try {
      return disk.readText(`/proc/${pid}/stat`);
    } catch {
      return null;
    }
  };
  const signalSession = async (session: string, signal: "0" | "TERM" | "KILL"): Promise<boolean> =>
    (await mustRun(["sh", "-c", SESSION, "session", signal, session])).trim() !== "";

  /**
   * An outcome, once written, is the truth even after a reboot. Without one, the process that was started must still be
   * the same: its number may have been given to another (its start time tells), or a new boot may have begun. If only the
   * shell around it was killed, what it started may still be switching, and must not be taken for ended.
   */
  const unit = async (ref: UnitRef): Promise<UnitSeen> => {
    const ended = outcome(ref);
    if (ended !== null) return ended;
    const began = start(ref);
    if (began === null) return { kind: "none" };
    if (began.boot !== host.bootId()) return { kind: "unknown" };
    const startTime = startTimeOf(statOf(began.pid));
    if (startTime === began.startTime) return { kind: "running" };
    // A session's number is given to no other process while one of its members lives, so a stranger there means: all ended.
    if (startTime === null && (await signalSession(began.pid, "0"))) return { kind: "running" };
    return outcome(ref) ?? { kind: "killed" };
  };

  const until = async (
    ref: UnitRef,
    done: (state: UnitSeen) => boolean,
    limits: { readonly ms: number; readonly signal?: AbortSignal },
  ): Promise<UnitSeen> => {
    let waitedMs = 0;
    let lookMs = LOOK_FIRST_MS;
    for (;;) {
      const state = await unit(ref);
      if (done(state) || waitedMs >= limits.ms || limits.signal?.aborted === true) return state;
      await pause(timer, lookMs, limits.signal);
      waitedMs += lookMs;
      lookMs = Math.min(lookMs * 1.5, LOOK_MAX_MS);
    }
  };
  const isOver = (state: UnitSeen): boolean => state.kind !== "running";

  return {
    unit,
    fire: async ({
      unit: ref,
      closure,
      deadlineSecs,
    }: UnitRun): Promise<Result<null, FireRefused>> => {
      const nonce = ports.random.hex(8);
      await mustRun(["mkdir", "-p", `${root}/units`]);
      if (start(ref) !== null) return taken(ref);
      const program = `${host.closurePath(closure)}/bin/switch-to-configuration`;
      const args = [folder(ref), program, String(deadlineSecs), host.bootId(), nonce];
      const { stderr } = await run(
        ["sh", "-c", DETACH, "detach", root, UNIT, "unit", ...args],
        FIRE_TIMEOUT_MS,
      );
      const state = await until(ref, (seen) => seen.kind !== "none", { ms: FIRE_TIMEOUT_MS });
      if (state.kind === "none") {
        return err({ kind: "failed", message: `${folder(ref)} was not started: ${stderr.trim()}` });
      }
      return start(ref)?.nonce === nonce ? ok(null) : taken(ref);
    },
    ended: async (ref, signal) => {
      await until(ref, isOver, { ms: Number.POSITIVE_INFINITY, signal });
    },
    stop: async (ref) => {
      const began = start(ref);
      if (began === null || isOver(await unit(ref))) return true;
      await signalSession(began.pid, "TERM");
      if (isOver(await until(ref, isOver, { ms: TERM_GRACE_MS }))) return true;
      // A process may fork while the session is walked, so it is walked again until nobody is left.
      const giveUpMs = STOP_TIMEOUT_SECS * 1000 - TERM_GRACE_MS;
      for (let waitedMs = 0; waitedMs < giveUpMs; waitedMs += 100) {
        await signalSession(began.pid, "KILL");
        if (isOver(await unit(ref))) return true;
        await pause(timer, 100);
      }
      return false;
    },
    units: async (): Promise<readonly FoundUnit[]> => {
      const { stdout } = await run(["ls", `${root}/units`], FIRE_TIMEOUT_MS);
      const refs = stdout.split("\n").flatMap((name) => parseUnitName(name) ?? []);
      const states = await Promise.all(refs.map(unit));
      return refs.map((ref, index) => ({ unit: ref, running: states[index]?.kind === "running" }));
    },
    output: async (ref) => {
      const kept = ["output.0", "output.1", "output.2"]
        .map((name) => disk.readText(`${folder(ref)}/${name}`) ?? "")
        .join("");
      return lastBytes(kept, OUTPUT_MAX_BYTES);
    },
  };
}

interface UnitStart {
  readonly pid: string;
  /** In clock ticks since boot: with the boot id, it tells a process from a later one of the same number. */
  readonly startTime: string;
  readonly boot: string;
  readonly nonce: string;
}

const taken = (ref: UnitRef): Result<null, FireRefused> =>
  err({ kind: "taken", message: `the unit ${unitName(ref)} was fired before` });

/** Field 22 of /proc/PID/stat; null where there is no such process or only its zombie. The name before it may hold anything. */
function startTimeOf(stat: string | null): string | null {
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : (fields[19] ?? null);
}
