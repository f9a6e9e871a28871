import { err, ok, type Result } from "@nixwave/effects";
import { parseUnitName } from "../activation/unit.ts";
import type { Process } from "../ports.ts";
import { failed, PASS, type RunCheck } from "./check.ts";

export interface SystemdCheck {
  /** Empty: no failed unit beyond those that had failed before the switch. */
  readonly units: readonly string[];
  readonly timeoutSecs: number;
}

export interface SystemdPlace {
  readonly process: Process;
  readonly env: Readonly<Record<string, string>>;
  /** What had failed before the switch; null: nobody knows. */
  readonly failedBefore: readonly string[] | null;
}

const TIMEOUT_MS = 10_000;
const OUTPUT_BYTES_MAX = 1024 * 1024;

/** What was broken before is not the release's doing and must not roll it back; a new failure is. */
export function systemdCheck({ units, timeoutSecs }: SystemdCheck, place: SystemdPlace): RunCheck {
  const timeoutMs = timeoutSecs * 1000;
  return async (signal) => {
    if (units.length > 0) return await namedUnits(units, place, { timeoutMs, signal });
    const now = await listFailedUnits(place, { timeoutMs, signal });
    if (!now.ok) return failed(now.error);
    const before = new Set(place.failedBefore);
    const fresh = now.value.filter((unit) => !before.has(unit));
    return fresh.length === 0 ? PASS : failed(`failed since the switch: ${fresh.join(", ")}`);
  };
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

async function namedUnits(
  units: readonly string[],
  { process, env }: SystemdPlace,
  limits: Limits,
) {
  const argv = ["systemctl", "show", "-p", "Id,ActiveState", "--", ...units];
  const { end, stdout, stderr } = await process.run(argv, {
    cwd: "/",
    env,
    outputBytesMax: OUTPUT_BYTES_MAX,
    ...limits,
  });
  if (end.kind !== "exited" || end.code !== 0) return failed(cantSay(stderr));
  // One block per unit, in the order of the question.
  const states = stdout
    .trim()
    .split("\n\n")
    .map((block) => /^ActiveState=(.*)$/m.exec(block)?.[1] ?? "unknown");
  const down = units.flatMap((unit, index) => {
    const state = states[index] ?? "unknown";
    return state === "active" || state === "reloading" ? [] : [`${unit} is ${state}`];
  });
  return down.length === 0 ? PASS : failed(down.join(", "));
}

/** Names of the units that are failed now, but for the agent's own switches: those have reports of their own. */
export async function listFailedUnits(
  { process, env }: Pick<SystemdPlace, "process" | "env">,
  limits: Limits = { timeoutMs: TIMEOUT_MS },
): Promise<Result<readonly string[], string>> {
  const list = ["list-units", "--state=failed", "--plain", "--full", "--no-legend"];
  const { end, stdout, stderr } = await process.run(["systemctl", ...list], {
    cwd: "/",
    env,
    outputBytesMax: OUTPUT_BYTES_MAX,
    ...limits,
  });
  if (end.kind !== "exited" || end.code !== 0) return err(cantSay(stderr));
  const names = stdout.split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "");
  return ok(names.filter((name) => name !== "" && !isOurs(name)));
}

const isOurs = (name: string): boolean => parseUnitName(name.replace(/\.service$/, "")) !== null;
const cantSay = (stderr: string): string => `systemd can't be asked: ${stderr.trim()}`;
