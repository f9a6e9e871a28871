import {
  type BootId,
  type ClosureHash,
  err,
  ok,
  type Result,
  type UnitSeen,
} from "@nixwave/effects";
import { type Disk, pause, type Random, type Timer } from "../ports.ts";
import {
  type Activation,
  type FireRefused,
  OUTPUT_MAX_BYTES,
  STOP_TIMEOUT_SECS,
  type UnitRun,
} from "./activation.ts";
import { lastBytes } from "./output.ts";
import { DETACH, LIST, PRUNE, SESSION, UNIT } from "./sessionScript.ts";
import { parseUnitName, type UnitRef, unitName } from "./unit.ts";

/** Names are not used again, so that an old folder locks nothing; each may hold 1.5 MiB of output. */
const UNITS_KEPT = 32;
/** A unit that has not said who it is by then never will: it could not be started. */
const FIRE_TIMEOUT_MS = 10_000;
/** `timeout` kills its child this way, and so does the shell report a signal. NixOS's script ends with 100 at most. */
const CODE_DEADLINE = 124;
const CODE_SIGNAL = 128;
/** After TERM, a unit gets this long to end by itself. */
const TERM_GRACE_MS = 10_000;
const KILL_EVERY_MS = 500;
/** Between two looks at a unit: short at first, because most switches of a demo are short, then calm. */
const LOOK_FIRST_MS = 20;
const LOOK_MAX_MS = 1000;

export interface SessionParts {
  readonly ports: { readonly disk: Disk; readonly timer: Timer; readonly random: Random };
  /** A small script of ours, which has to succeed: what it printed. */
  readonly script: (
    text: string,
    args: readonly [name: string, ...rest: readonly string[]],
  ) => Promise<string>;
  readonly bootId: () => BootId;
  /** Holds a folder per unit; on disk, so that outcomes outlive the boot. */
  readonly folder: string;
  /** `NAME=VALUE`: what a unit's environment holds beside PATH. */
  readonly environment: readonly string[];
  /** What activates a closure: a program, and its arguments. */
  readonly command: (closure: ClosureHash) => readonly string[];
}

/**
 * Units where no systemd is: each is a session of its own with a folder, written by the shell that runs it; this side only
 * reads and signals. What a unit leaves in another session is not its own any more, and is not stopped with it.
 */
export function sessionUnits(
  parts: SessionParts,
): Pick<Activation, "fire" | "unit" | "ended" | "stop" | "units" | "output"> {
  return {
    unit: (ref) => look(parts, ref),
    fire: (run) => fire(parts, run),
    ended: async (ref, signal) => {
      await until(parts, ref, isOver, { ms: Number.POSITIVE_INFINITY, signal });
    },
    stop: (ref, signal) => stop(parts, ref, signal),
    units: async () => {
      const names = await parts.script(LIST, ["list", parts.folder]);
      const refs = names.split("\n").flatMap((name) => parseUnitName(name) ?? []);
      const states = await Promise.all(refs.map((ref) => look(parts, ref)));
      return refs.map((unit, index) => ({ unit, running: states[index]?.kind === "running" }));
    },
    output: async (ref) => {
      const kept = ["output.0", "output.1", "output.2"].map((name) => read(parts, ref, name) ?? "");
      return lastBytes(kept.join(""), OUTPUT_MAX_BYTES);
    },
  };
}

const folderOf = ({ folder }: SessionParts, unit: UnitRef): string => `${folder}/${unitName(unit)}`;

const read = (parts: SessionParts, unit: UnitRef, name: string): string | null =>
  parts.ports.disk.readText(`${folderOf(parts, unit)}/${name}`);

/**
 * An outcome, once written, is the truth even after a reboot. Without one, the process that was started must still be
 * the same: its number may have been given to another (its start time tells), or a new boot may have begun. If only the
 * shell around it was killed, what it started may still be switching, and must not be taken for ended.
 */
async function look(parts: SessionParts, ref: UnitRef): Promise<UnitSeen> {
  const ended = outcome(parts, ref);
  if (ended !== null) return ended;
  const began = start(parts, ref);
  if (began === null) return { kind: "none" };
  if (began.boot !== parts.bootId()) return { kind: "unknown" };
  const startTime = startTimeOf(parts, began.pid);
  if (startTime === began.startTime) return { kind: "running" };
  // A session's number is given to no other process while one of its members lives, so a stranger there means: all ended.
  if (startTime === null && (await signalSession(parts, began.pid, "0")))
    return { kind: "running" };
  return outcome(parts, ref) ?? { kind: "killed" };
}

function outcome(parts: SessionParts, ref: UnitRef): UnitSeen | null {
  const text = read(parts, ref, "outcome");
  if (text === null) return null;
  const code = Number.parseInt(text, 10);
  // Renamed into place, and then the power went before its one line was written: it says nothing.
  if (Number.isNaN(code)) return null;
  const isKilled = code === CODE_DEADLINE || code > CODE_SIGNAL;
  return isKilled ? { kind: "killed" } : { kind: "exited", code };
}

interface UnitStart {
  readonly pid: string;
  /** In clock ticks since boot: with the boot id, it tells a process from a later one of the same number. */
  readonly startTime: string;
  readonly boot: string;
  readonly nonce: string;
}

function start(parts: SessionParts, ref: UnitRef): UnitStart | null {
  const text = read(parts, ref, "start");
  if (text === null) return null;
  const [pid = "", startTime = "", boot = "", nonce = ""] = text.split("\n");
  return { pid, startTime, boot, nonce };
}

/** Field 22 of /proc/PID/stat; null where there is no such process or only its zombie. The name before it may hold anything. */
function startTimeOf({ ports }: SessionParts, pid: string): string | null {
  const stat = statOf(ports, pid);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : (fields[19] ?? null);
}

/** Reading of a process that ends at that moment fails with ESRCH: there is none. */
function statOf(ports: SessionParts["ports"], pid: string): string | null {
  try {
    return ports.disk.readText(`/proc/${pid}/stat`);
  } catch {
    return null;
  }
}

/** Whether there was anybody to signal. */
async function signalSession(
  { script }: SessionParts,
  session: string,
  signal: "0" | "TERM" | "KILL",
): Promise<boolean> {
  return (await script(SESSION, ["session", signal, session])).trim() !== "";
}

const isOver = (seen: UnitSeen): boolean => seen.kind !== "running";

async function until(
  parts: SessionParts,
  ref: UnitRef,
  done: (seen: UnitSeen) => boolean,
  limits: { readonly ms: number; readonly signal?: AbortSignal },
): Promise<UnitSeen> {
  let waitedMs = 0;
  let lookMs = LOOK_FIRST_MS;
  for (;;) {
    const seen = await look(parts, ref);
    if (done(seen) || waitedMs >= limits.ms || limits.signal?.aborted === true) return seen;
    await pause(parts.ports.timer, lookMs, limits.signal);
    waitedMs += lookMs;
    lookMs = Math.min(lookMs * 1.5, LOOK_MAX_MS);
  }
}

/** The nonce tells our unit from one that another caller fired under this name at the same moment. */
async function fire(
  parts: SessionParts,
  { unit, closure, deadlineSecs }: UnitRun,
): Promise<Result<null, FireRefused>> {
  const { ports, script, folder, environment, command } = parts;
  const nonce = ports.random.hex(8);
  await script(PRUNE, ["prune", folder, String(UNITS_KEPT)]);
  if (start(parts, unit) !== null) return taken(unit);
  const own = [folderOf(parts, unit), String(deadlineSecs), parts.bootId(), nonce];
  const session = ["setsid", "--fork", "sh", "-c", UNIT, "unit", ...own, ...command(closure)];
  await script(DETACH, ["detach", ...environment, ...session]);
  const seen = await until(parts, unit, ({ kind }) => kind !== "none", { ms: FIRE_TIMEOUT_MS });
  if (seen.kind === "none") {
    const message = `${folderOf(parts, unit)} did not begin within ${FIRE_TIMEOUT_MS / 1000} s`;
    return err({ kind: "failed", message });
  }
  return start(parts, unit)?.nonce === nonce ? ok(null) : taken(unit);
}

const taken = (ref: UnitRef): Result<null, FireRefused> =>
  err({ kind: "taken", message: `the unit ${unitName(ref)} was fired before` });

async function stop(parts: SessionParts, ref: UnitRef, signal: AbortSignal): Promise<boolean> {
  const began = start(parts, ref);
  if (began === null || isOver(await look(parts, ref))) return true;
  await signalSession(parts, began.pid, "TERM");
  if (isOver(await until(parts, ref, isOver, { ms: TERM_GRACE_MS, signal }))) return true;
  // A process may fork while the session is walked, so it is walked again until nobody is left.
  const giveUpMs = STOP_TIMEOUT_SECS * 1000 - TERM_GRACE_MS;
  for (let waitedMs = 0; waitedMs < giveUpMs && !signal.aborted; waitedMs += KILL_EVERY_MS) {
    await signalSession(parts, began.pid, "KILL");
    if (isOver(await until(parts, ref, isOver, { ms: KILL_EVERY_MS, signal }))) return true;
  }
  return false;
}
