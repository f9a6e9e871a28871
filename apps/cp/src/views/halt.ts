import type { FleetState, HaltCause, HostName, Instant, Release, Rollout } from "@nixwave/effects";
import type { RolloutSummary } from "@nixwave/protocol";
import { shortId } from "./short.ts";

interface Failure {
  readonly host: HostName;
  readonly at: Instant;
  readonly reason: string;
}

/** What counts as a failure of this rollout and is not forgiven, in the order in which it came. */
function failuresOf(fleet: FleetState, { rolloutId, hosts }: Release): readonly Failure[] {
  const failures: Failure[] = [];
  for (const { host } of hosts) {
    const marks = fleet.marks(rolloutId, host);
    const record = fleet.record(rolloutId, host);
    if (marks.forgivenAt !== null && marks.lostAt === null) continue;
    if (marks.lostAt !== null) {
      failures.push({ host, at: marks.lostAt, reason: `${host} is lost` });
    } else if (record?.kind === "Reverted") {
      failures.push({ host, at: record.failedAt, reason: `${host} rolled back` });
    } else if (record?.kind === "Failed") {
      const probes = record.failingProbes.join(", ");
      const what = record.cause === "activation" ? "the activation failed" : `probe ${probes}`;
      failures.push({ host, at: record.failedAt, reason: `${host} failed (${what})` });
    }
  }
  return failures.sort((a, b) => a.at - b.at);
}

type Halted = NonNullable<RolloutSummary["halted"]>;

function haltedBy(
  fleet: FleetState,
  { rollout, release }: { readonly rollout: Rollout; readonly release: Release },
  halt: { readonly haltedAt: Instant; readonly cause: HaltCause },
): Halted {
  const { haltedAt: since, cause } = halt;
  if (cause === "cancelled") {
    const reason = `an operator cancelled it: nixwave events --rollout ${shortId(rollout)} says who and why`;
    return { since, cause, host: null, reason };
  }
  const failures = failuresOf(fleet, release);
  // As many as the policy allows did not halt it; the next one did.
  const tipped = failures[release.policy.maxFailures] ?? failures.at(-1);
  if (tipped === undefined) {
    return { since, cause, host: null, reason: "hosts failed, and have been heard well since" };
  }
  const others = failures.length - 1;
  const more = others === 0 ? "" : `, and ${others} more`;
  return { since, cause, host: tipped.host, reason: `${tipped.reason}${more}` };
}

/** Why the rollout is stopped, or null. */
export function haltOf(fleet: FleetState, rollout: Rollout, release: Release): Halted | null {
  switch (rollout.kind) {
    case "Failed":
    case "Reverted":
      return haltedBy(fleet, { rollout, release }, rollout);
    case "Active":
    case "Completed":
    case "Superseded":
    case "Pruned":
      return null;
  }
}
