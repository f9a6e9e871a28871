import type { ClosureHash, Result } from "@nixwave/effects";
import { err, ok } from "@nixwave/effects";
import type { RunResult } from "../ports.ts";
import type { CheckOutcome, StageFailed } from "./activation.ts";
import { endText } from "./directoryShell.ts";
import { stderrTail } from "./output.ts";

/** `check` looks, it does not build; NixOS's takes seconds. */
const CHECK_TIMEOUT_MS = 120_000;
/** Writing a boot entry may copy kernels to a slow disk. */
const STAGE_TIMEOUT_MS = 300_000;

/** A closure's `bin/switch-to-configuration`, run beside the agent. */
export type RunScript = (
  word: "check" | "boot",
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<RunResult>;

export async function checkBy(run: RunScript, signal: AbortSignal): Promise<CheckOutcome> {
  const { end, stdout, stderr } = await run("check", { timeoutMs: CHECK_TIMEOUT_MS, signal });
  if (end.kind === "exited" && end.code === 0) return { kind: "passed" };
  // A script from before `check` answers any word that it doesn't know with its usage, and so tells us without a version.
  if (end.kind === "exited" && /usage:/i.test(stderr + stdout)) return { kind: "unsupported" };
  const exitCode = end.kind === "exited" ? end.code : null;
  return { kind: "refused", exitCode, stderrTail: stderrTail(stderr || endText(end)) };
}

/** `readBoot` is asked afterwards: that the script ended with 0 is no boot entry yet (hazard 52). */
export async function stageBy(
  run: RunScript,
  closure: ClosureHash,
  readBoot: () => Promise<ClosureHash | null>,
  signal: AbortSignal,
): Promise<Result<null, StageFailed>> {
  const { end, stderr } = await run("boot", { timeoutMs: STAGE_TIMEOUT_MS, signal });
  const exitCode = end.kind === "exited" ? end.code : null;
  if (exitCode !== 0) return err({ exitCode, stderrTail: stderrTail(stderr || endText(end)) });
  const boot = await readBoot();
  if (boot === closure) return ok(null);
  const lie = `switch-to-configuration boot said 0, but the boot default is ${boot ?? "nothing"}`;
  return err({ exitCode, stderrTail: stderrTail(`${stderr}\n${lie}`) });
}
