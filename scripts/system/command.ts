import { systemProcess } from "@nixwave/agent";

const TIMEOUT_MS = 120_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/** Runs a command of the lab, which has to succeed: what it printed. */
export async function command(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { end, stdout, stderr } = await systemProcess.run(argv, {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...env },
    timeoutMs: TIMEOUT_MS,
    outputBytesMax: OUTPUT_BYTES_MAX,
  });
  if (end.kind === "exited" && end.code === 0) return stdout;
  throw new Error(`${argv.join(" ")}: ${JSON.stringify(end)}\n${stdout}${stderr}`);
}
