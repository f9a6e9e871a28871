import { type ClosureHash, err, ok, type Result, type UnitSeen } from "@nixwave/effects";
import { pause } from "../ports.ts";
import {
  type Activation,
  type FireRefused,
  type FoundUnit,
  OUTPUT_MAX_BYTES,
  STOP_TIMEOUT_SECS,
  type UnitRun,
} from "./activation.ts";
import type { NixShell } from "./nixShell.ts";
import { lastBytes } from "./output.ts";
import { endedUnit, readUnit, type UnitState } from "./systemdState.ts";
import { parseUnitName, type UnitRef, unitName } from "./unit.ts";

/** Where a unit that is stopped or fails writes how it ended; gone with the boot, as the units are. */
const OUTCOMES = "/run/nixwave/units";
/** After TERM a unit gets this long before it is killed, so that stopping ends well within STOP_TIMEOUT_SECS. */
const TERM_GRACE_SECS = 30;
/** Between two looks at a unit: short at first, because many switches are short, then calm. */
const LOOK_FIRST_MS = 50;
const LOOK_MAX_MS = 1000;
const SYSTEMD_TIMEOUT_MS = 30_000;
const OUTPUT_LINES_MAX = 5000;

export interface SystemdParts {
  readonly shell: NixShell;
  /** PATH of what is fired; the rest of its environment is systemd's. */
  readonly path: string;
  /** What activates a closure: an absolute path, and its arguments. */
  readonly command: (closure: ClosureHash) => readonly string[];
}

/** Units are transient services: the switch lives outside of the agent's cgroup, and is asked by its name (hazard 53). */
export function systemdUnits(
  parts: SystemdParts,
): Pick<Activation, "fire" | "unit" | "ended" | "stop" | "units" | "output"> {
  const { shell } = parts;
  return {
    fire: (run) => fire(parts, run),
    unit: (ref) => look(shell, ref),
    ended: async (ref, signal) => {
      await until(shell, ref, { ms: Number.POSITIVE_INFINITY, signal });
    },
    stop: async (ref, signal) => {
      if (!isRunning(await look(shell, ref))) return true;
      await systemctl(shell, ["stop", "--no-block", service(ref)]);
      const seen = await until(shell, ref, { ms: STOP_TIMEOUT_SECS * 1000, signal });
      return !isRunning(seen);
    },
    units: () => allUnits(shell),
    output: (ref) => output(shell, ref),
  };
}

const service = (unit: UnitRef): string => `${unitName(unit)}.service`;
const isRunning = ({ kind }: UnitSeen): boolean => kind === "running";

/** While systemd re-executes itself, which many switches have it do, it leaves questions without an answer. */
const UNANSWERED =
  /disconnected from message bus|Failed to connect to bus|Connection reset by peer/;
const ASK_AGAIN_MS = 200;
const ASK_AGAIN_TIMES = 25;

async function systemctl(shell: NixShell, args: readonly string[]): Promise<string> {
  const limits = { timeoutMs: SYSTEMD_TIMEOUT_MS };
  for (let tries = 0; tries < ASK_AGAIN_TIMES; tries += 1) {
    const { end, stdout, stderr } = await shell.run(["systemctl", ...args], limits);
    if (end.kind === "exited" && end.code === 0) return stdout;
    if (!UNANSWERED.test(stderr)) break;
    await pause(shell.ports.timer, ASK_AGAIN_MS);
  }
  return await shell.must(["systemctl", ...args], limits);
}

/** A unit that was stopped after its end is forgotten by systemd; then what it left under OUTCOMES is the witness. */
async function look(shell: NixShell, ref: UnitRef): Promise<UnitSeen> {
  const state = await loadedState(shell, ref);
  if (state.kind !== "not-loaded") return state;
  return endedUnit(shell.ports.disk.readText(`${OUTCOMES}/${unitName(ref)}`));
}

async function loadedState(shell: NixShell, ref: UnitRef): Promise<UnitState> {
  const shown = "LoadState,ActiveState,Result,ExecMainCode,ExecMainStatus,Job";
  return readUnit(await systemctl(shell, ["show", service(ref), "-p", shown]));
}

async function until(
  shell: NixShell,
  ref: UnitRef,
  limits: { readonly ms: number; readonly signal: AbortSignal },
): Promise<UnitSeen> {
  let waitedMs = 0;
  let lookMs = LOOK_FIRST_MS;
  for (;;) {
    const seen = await look(shell, ref);
    if (!isRunning(seen) || waitedMs >= limits.ms || limits.signal.aborted) return seen;
    await pause(shell.ports.timer, lookMs, limits.signal);
    waitedMs += lookMs;
    lookMs = Math.min(lookMs * 1.5, LOOK_MAX_MS);
  }
}

async function allUnits(shell: NixShell): Promise<readonly FoundUnit[]> {
  const list = ["list-units", "--all", "--plain", "--full", "--no-legend", "nixwave-*"];
  const loaded = (await systemctl(shell, list)).split("\n").map((line) => {
    const [name = ""] = line.trim().split(/\s+/);
    return name.replace(/\.service$/, "");
  });
  const remembered = await shell.script(REMEMBERED, ["remembered", OUTCOMES]);
  const names = new Set([...remembered.split("\n"), ...loaded]);
  const refs = [...names].flatMap((name) => parseUnitName(name) ?? []);
  const states = await Promise.all(refs.map((ref) => look(shell, ref)));
  return refs.map((unit, index) => ({ unit, running: states[index]?.kind === "running" }));
}

/** `sh -c REMEMBERED remembered FOLDER`: the oldest first; nothing if there is no such folder. */
const REMEMBERED = `
[ ! -e "$1" ] || ls -tr "$1"
`;

/**
 * `-r` without `--collect`: a plain unit vanishes at its end, and then reads as a success. Its name is the lock against
 * firing twice. ExecStopPost runs when the unit fails or is stopped, whoever stops it, with or without an agent.
 */
async function fire(
  parts: SystemdParts,
  { unit, closure, deadlineSecs }: UnitRun,
): Promise<Result<null, FireRefused>> {
  const { shell, path, command } = parts;
  if ((await look(shell, unit)).kind !== "none") return taken(unit);
  await shell.script('mkdir -p "$1"', ["mkdir", OUTCOMES]);
  await clean(shell);
  const outcome = `echo "$$EXIT_CODE $$EXIT_STATUS $$SERVICE_RESULT" > ${OUTCOMES}/${unitName(unit)}`;
  const properties = [
    "Type=exec",
    `RuntimeMaxSec=${deadlineSecs}`,
    `TimeoutStopSec=${TERM_GRACE_SECS}`,
    `ExecStopPost=/bin/sh -c ${quoted(outcome)}`,
  ].flatMap((property) => ["-p", property]);
  const argv = ["systemd-run", "--quiet", "--no-block", "-r", `--unit=${unitName(unit)}`];
  const { end, stderr } = await shell.run(
    [
      ...argv,
      `--description=nixwave ${unit.purpose} to ${closure}`,
      ...properties,
      "-E",
      `PATH=${path}`,
      "--",
      // systemd replaces variables in arguments, unless their dollar sign is doubled.
      ...command(closure).map((arg) => arg.replaceAll("$", "$$$$")),
    ],
    { timeoutMs: SYSTEMD_TIMEOUT_MS },
  );
  if (end.kind === "exited" && end.code === 0) return ok(null);
  if (/already (loaded|exists)/.test(stderr)) return taken(unit);
  return err({
    kind: "failed",
    message: `systemd-run could not start ${unitName(unit)}: ${stderr.trim()}`,
  });
}

const quoted = (script: string): string => `"${script.replaceAll(/["\\]/g, "\\$&")}"`;

const taken = (ref: UnitRef): Result<null, FireRefused> =>
  err({ kind: "taken", message: `the unit ${unitName(ref)} was fired before` });

/**
 * A unit of ours that failed would count as failed in the next switch, and in the probes after it (hazard 58). Stopping
 * writes down how it ended, and so nothing is forgotten.
 */
async function clean(shell: NixShell): Promise<void> {
  for (const { unit, running } of await allUnits(shell)) {
    if (running || (await loadedState(shell, unit)).kind === "not-loaded") continue;
    await systemctl(shell, ["stop", service(unit)]);
    // It may be forgotten by now, which is what was wanted.
    await shell.run(["systemctl", "reset-failed", service(unit)], {
      timeoutMs: SYSTEMD_TIMEOUT_MS,
    });
  }
}

/** What its processes printed, without systemd's own lines about it. */
async function output(shell: NixShell, ref: UnitRef): Promise<string> {
  // What is still on its way to the log belongs to it; a log that can't be asked has none.
  await shell.run(["journalctl", "--sync"], { timeoutMs: SYSTEMD_TIMEOUT_MS });
  const argv = ["journalctl", "--quiet", "--no-pager", "-o", "cat", "-n", String(OUTPUT_LINES_MAX)];
  const { stdout } = await shell.run([...argv, `_SYSTEMD_UNIT=${service(ref)}`], {
    timeoutMs: SYSTEMD_TIMEOUT_MS,
    outputBytesMax: OUTPUT_MAX_BYTES,
  });
  return lastBytes(stdout, OUTPUT_MAX_BYTES);
}
