import { type BootId, err, ok, type Result, type UnitSeen } from "@nixwave/effects";
import { pause } from "../ports.ts";
import {
  type Activation,
  type FireRefused,
  OUTPUT_MAX_BYTES,
  STOP_TIMEOUT_SECS,
  type UnitRun,
} from "./activation.ts";
import { DETACH, LIST, PRUNE, SESSION, UNIT } from "./directoryScript.ts";
import type { DirectoryShell } from "./directoryShell.ts";
import { lastBytes } from "./output.ts";
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

/** Units are folders under `units/`, written by the shell that runs them; this side only reads and signals. */
export function directoryUnits(
  shell: DirectoryShell,
  bootId: () => BootId,
): Pick<Activation, "fire" | "unit" | "ended" | "stop" | "units" | "output"> {
  const { root } = shell.config;
  const host: UnitHost = { shell, bootId };
  return {
    unit: (ref) => look(host, ref),
    fire: (run) => fire(host, run),
    ended: async (ref, signal) => {
      await until(host, ref, isOver, { ms: Number.POSITIVE_INFINITY, signal });
    },
    stop: (ref, signal) => stop(host, ref, signal),
    units: async () => {
      const names = await shell.script(LIST, ["list", `${root}/units`]);
      const refs = names.split("\n").flatMap((name) => parseUnitName(name) ?? []);
      const states = await Promise.all(refs.map((ref) => look(host, ref)));
      return refs.map((unit, index) => ({ unit, running: states[index]?.kind === "running" }));
    },
    output: async (ref) => {
      const kept = ["output.0", "output.1", "output.2"].map((name) => read(host, ref, name) ?? "");
      return lastBytes(kept.join(""), OUTPUT_MAX_BYTES);
    },
  };
}

interface UnitHost {
  readonly shell: DirectoryShell;
  readonly bootId: () => BootId;
}

const folder = ({ shell }: UnitHost, unit: UnitRef): string =>
  `${shell.config.root}/units/${unitName(unit)}`;

const read = (host: UnitHost, unit: UnitRef, name: string): string | null =>
  host.shell.ports.disk.readText(`${folder(host, unit)}/${name}`);

/**
 * An outcome, once written, is the truth even after a reboot. Without one, the process that was started must still be
 * the same: its number may have been given to another (its start time tells), or a new boot may have begun. If only the
 * shell around it was killed, what it started may still be switching, and must not be taken for ended.
 */
async function look(host: UnitHost, ref: UnitRef): Promise<UnitSeen> {
  const ended = outcome(host, ref);
  if (ended !== null) return ended;
  const began = start(host, ref);
  if (began === null) return { kind: "none" };
  if (began.boot !== host.bootId()) return { kind: "unknown" };
  const startTime = startTimeOf(host, began.pid);
  if (startTime === began.startTime) return { kind: "running" };
  // A session's number is given to no other process while one of its members lives, so a stranger there means: all ended.
  if (startTime === null && (await signalSession(host, began.pid, "0"))) return { kind: "running" };
  return outcome(host, ref) ?? { kind: "killed" };
}

function outcome(host: UnitHost, ref: UnitRef): UnitSeen | null {
  const text = read(host, ref, "outcome");
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

function start(host: UnitHost, ref: UnitRef): UnitStart | null {
  const text = read(host, ref, "start");
  if (text === null) return null;
  const [pid = "", startTime = "", boot = "", nonce = ""] = text.split("\n");
  return { pid, startTime, boot, nonce };
}

/** Field 22 of /proc/PID/stat; null where there is no such process or only its zombie. The name before it may hold anything. */
function startTimeOf({ shell }: UnitHost, pid: string): string | null {
  const stat = statOf(shell, pid);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : (fields[19] ?? null);
}

/** Reading of a process that ends at that moment fails with ESRCH: there is none. */
function statOf({ ports }: DirectoryShell, pid: string): string | null {
  try {
    return ports.disk.readText(`/proc/${pid}/stat`);
  } catch {
    return null;
  }
}

/** Whether there was anybody to signal. */
async function signalSession(
  { shell }: UnitHost,
  session: string,
  signal: "0" | "TERM" | "KILL",
): Promise<boolean> {
  return (await shell.script(SESSION, ["session", signal, session])).trim() !== "";
}

const isOver = (seen: UnitSeen): boolean => seen.kind !== "running";

async function until(
  host: UnitHost,
  ref: UnitRef,
  done: (seen: UnitSeen) => boolean,
  limits: { readonly ms: number; readonly signal?: AbortSignal },
): Promise<UnitSeen> {
  let waitedMs = 0;
  let lookMs = LOOK_FIRST_MS;
  for (;;) {
    const seen = await look(host, ref);
    if (done(seen) || waitedMs >= limits.ms || limits.signal?.aborted === true) return seen;
    await pause(host.shell.ports.timer, lookMs, limits.signal);
    waitedMs += lookMs;
    lookMs = Math.min(lookMs * 1.5, LOOK_MAX_MS);
  }
}

/** The nonce tells our unit from one that another caller fired under this name at the same moment. */
async function fire(
  host: UnitHost,
  { unit, closure, deadlineSecs }: UnitRun,
): Promise<Result<null, FireRefused>> {
  const { shell } = host;
  const { root } = shell.config;
  const nonce = shell.ports.random.hex(8);
  await shell.script(PRUNE, ["prune", `${root}/units`, String(UNITS_KEPT)]);
  if (start(host, unit) !== null) return taken(unit);
  const program = shell.program(closure);
  const args = [folder(host, unit), program, String(deadlineSecs), host.bootId(), nonce];
  await shell.script(DETACH, ["detach", root, UNIT, "unit", ...args]);
  const seen = await until(host, unit, ({ kind }) => kind !== "none", { ms: FIRE_TIMEOUT_MS });
  if (seen.kind === "none") {
    const message = `${folder(host, unit)} did not begin within ${FIRE_TIMEOUT_MS / 1000} s`;
    return err({ kind: "failed", message });
  }
  return start(host, unit)?.nonce === nonce ? ok(null) : taken(unit);
}

const taken = (ref: UnitRef): Result<null, FireRefused> =>
  err({ kind: "taken", message: `the unit ${unitName(ref)} was fired before` });

async function stop(host: UnitHost, ref: UnitRef, signal: AbortSignal): Promise<boolean> {
  const began = start(host, ref);
  if (began === null || isOver(await look(host, ref))) return true;
  await signalSession(host, began.pid, "TERM");
  if (isOver(await until(host, ref, isOver, { ms: TERM_GRACE_MS, signal }))) return true;
  // A process may fork while the session is walked, so it is walked again until nobody is left.
  const giveUpMs = STOP_TIMEOUT_SECS * 1000 - TERM_GRACE_MS;
  for (let waitedMs = 0; waitedMs < giveUpMs && !signal.aborted; waitedMs += KILL_EVERY_MS) {
    await signalSession(host, began.pid, "KILL");
    if (isOver(await until(host, ref, isOver, { ms: KILL_EVERY_MS, signal }))) return true;
  }
  return false;
}
