import { type HostRollout, type Instant, secsBetween } from "@nixwave/effects";
import { left } from "./block.ts";
import { ago, duration } from "./duration.ts";
import { listed, shortClosure } from "./name.ts";
import { harmless } from "./style.ts";

/** What a host is doing according to its record, for how long, and what comes next. */
export function activity(record: HostRollout, now: Instant): string {
  const since = (at: Instant): string => duration(secsBetween(at, now));
  switch (record.kind) {
    case "Pending":
      return record.lastReject === null
        ? "dispatched, not acknowledged yet"
        : `rejected: ${harmless(record.lastReject.reason)}`;
    case "Activating":
      return record.startedAt === null
        ? `realising ${shortClosure(record.targetClosure)} since ${since(record.ackedAt)}`
        : `switch running since ${since(record.startedAt)}${record.starts > 1 ? `, start ${record.starts}` : ""}`;
    case "Deferred":
      return `boots into it at the next reboot (${harmless(record.component)})`;
    case "Soaking":
      return soakWords(record, now);
    case "Converged":
      return `converged ${ago(record.convergedAt, now)}`;
    case "Failed":
      return failedWords(record, now);
    case "Reverted":
      return `rolled back ${ago(record.revertedAt, now)}`;
  }
}

function soakWords(record: Extract<HostRollout, { kind: "Soaking" }>, now: Instant): string {
  const failing = Object.entries(record.probes).filter(([, probe]) => probe.status === "fail");
  if (failing.length > 0) {
    const [name, probe] = failing[0] ?? [];
    const more = failing.length > 1 ? ` and ${failing.length - 1} more` : "";
    const reason = probe?.reason ?? null;
    return `probe ${name} fails${more}${reason === null ? "" : `: ${harmless(reason)}`}`;
  }
  const soaked = secsBetween(record.activationCompletedAt, now);
  const remaining = record.terms.soakSecs - soaked;
  return remaining > 0
    ? `soak ${duration(remaining)} left`
    : "soaked, its last evidence is awaited";
}

function failedWords(record: Extract<HostRollout, { kind: "Failed" }>, now: Instant): string {
  const cause =
    record.cause === "health" ? `health: ${listed(record.failingProbes)}` : "activation failed";
  switch (record.rollback) {
    case "none":
      return `${cause}, ${ago(record.failedAt, now)}; not rolled back (${record.policyApplied})`;
    case "owed":
      return `${cause}; rolling back`;
    case "failed":
      return `${cause}; the rollback failed ${record.rollbackTries === 1 ? "once" : `${record.rollbackTries} times`}${record.rollbackRetryAt === null ? "" : `, next try ${left(record.rollbackRetryAt, now)}`}`;
  }
}
