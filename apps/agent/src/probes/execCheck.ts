import type { ProbeMode, SubResult } from "@nixwave/effects";
import { subResults } from "@nixwave/protocol";
import { z } from "zod";
import type { Process, RunEnd } from "../ports.ts";
import { failed, PASS, type RunCheck } from "./check.ts";

export interface ExecCheck {
  readonly argv: readonly string[];
  /** The one that is health. */
  readonly exitCode: number;
  /** `json`: stdout is a list of sub-results, the evidence of compliance checks. */
  readonly results: "json" | null;
  readonly mode: ProbeMode;
  readonly timeoutSecs: number;
}

export interface ExecPlace {
  readonly process: Process;
  /** PATH and what else the probe may see; nothing of the agent's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Room for as many sub-results as an event may carry; a reason uses its last line only. */
const OUTPUT_BYTES_MAX = 256 * 1024;

/** The exit code decides; sub-results are evidence beside it. The process group is killed at the timeout (hazard 60). */
export function execCheck(check: ExecCheck, { process, env }: ExecPlace): RunCheck {
  const { argv, exitCode, results, mode, timeoutSecs } = check;
  return async (signal) => {
    const { end, stdout, stderr } = await process.run(argv, {
      cwd: "/",
      env,
      timeoutMs: timeoutSecs * 1000,
      outputBytesMax: OUTPUT_BYTES_MAX,
      signal,
    });
    const said = (stderr.trim() || stdout.trim()).split("\n").at(-1) ?? "";
    const list = results === "json" ? readSubResults(stdout, mode) : null;
    const evidence = list !== null && list.ok ? list.value : null;
    if (end.kind !== "exited" || end.code !== exitCode) {
      const reason = `${argv.join(" ")} ${endText(end, check)}`;
      return failed(said === "" ? reason : `${reason}: ${said}`, evidence);
    }
    if (list !== null && !list.ok) return failed(`${argv.join(" ")} ${list.reason}`);
    return { ...PASS, subResults: evidence };
  };
}

type Read =
  | { readonly ok: true; readonly value: readonly SubResult[] }
  | { readonly ok: false; readonly reason: string };

/** What a check may leave out, because most have nothing to say there. */
const DEFAULTS = { article: null, overrideReason: null };

function readSubResults(stdout: string, mode: ProbeMode): Read {
  const expected = "printed no JSON list of sub-results (controlId, status, framework …)";
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch {
    return { ok: false, reason: expected };
  }
  const list = z.array(z.record(z.string(), z.unknown())).safeParse(json);
  if (!list.success) return { ok: false, reason: expected };
  const full = list.data.map((entry) => ({ ...DEFAULTS, effectiveMode: mode, ...entry }));
  const read = subResults.safeParse(full);
  if (read.success) return { ok: true, value: read.data };
  return { ok: false, reason: `printed bad sub-results: ${z.prettifyError(read.error)}` };
}

function endText(end: RunEnd, { exitCode, timeoutSecs }: ExecCheck): string {
  switch (end.kind) {
    case "exited":
      return `exited with ${end.code}; expected ${exitCode}`;
    case "signalled":
      return `was killed by ${end.signal}`;
    case "timed-out":
      return `did not end within ${timeoutSecs} s and was killed`;
    case "aborted":
      return "was given up";
    case "not-started":
      return `could not be started (${end.message})`;
  }
}
