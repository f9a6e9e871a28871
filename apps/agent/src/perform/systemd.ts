import type { Leaving } from "../inbound/heartbeat.ts";
import type { Process, Timer } from "../ports.ts";

const RUN = { timeoutMs: 5000, outputBytesMax: 16_384 } as const;

/** Tells systemd that the agent serves, and then that it lives; does nothing where nobody asked for it. */
export function notifySystemd(
  env: Readonly<Record<string, string | undefined>>,
  { process, timer }: { readonly process: Process; readonly timer: Timer },
): () => void {
  if (env["NOTIFY_SOCKET"] === undefined) return () => {};
  // A datagram on a Unix socket is what Node can't send by itself.
  const tell = (state: string): void => void process.run(["systemd-notify", state], RUN);
  tell("READY=1");
  const watchdogUsec = Number(env["WATCHDOG_USEC"] ?? "");
  if (!Number.isSafeInteger(watchdogUsec) || watchdogUsec <= 0) return () => {};
  let cancel = (): void => {};
  const again = (): void => {
    tell("WATCHDOG=1");
    // Half of the time allowed, as systemd asks for.
    cancel = timer.after(watchdogUsec / 2000, again);
  };
  again();
  return () => {
    cancel();
  };
}

/** Whether the machine goes down, and how, as systemd knows it; null where it stays up or there is no systemd. */
export async function leavingOf(process: Process): Promise<Leaving | null> {
  const state = await process.run(["systemctl", "is-system-running"], RUN);
  if (state.stdout.trim() !== "stopping") return null;
  const jobs = await process.run(["systemctl", "list-jobs", "--no-legend"], RUN);
  if (/\b(reboot|kexec|soft-reboot)\.target\b/.test(jobs.stdout)) return "reboot";
  return "off";
}
