import { mkdirSync } from "node:fs";
import type { Config } from "../config.ts";
import { keepIdentity } from "../connect.ts";
import { NO_TLS } from "../console/answer.ts";
import { systemClock, systemDisk, systemRandom, systemTimer } from "./systemPorts.ts";

/** Enrols where no agent runs, as a person asks for it; what it does is said by its answer, and not in a log. */
export async function enrolAlone(
  config: Config,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  if (config.tls === null) return { ok: true, text: NO_TLS };
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
  const ports = { clock: systemClock, timer: systemTimer, random: systemRandom, disk: systemDisk };
  const logs = { write: () => {}, trouble: () => {} };
  const kept = keepIdentity({ config, ports, logs, journalId: null }, config.tls);
  try {
    const { state, says } = await kept.identity.once(new AbortController().signal);
    return { ok: state === "Valid" || state === "Due", text: says };
  } finally {
    await kept.close();
  }
}
