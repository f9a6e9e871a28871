import { type Block, type Instant, secsBetween } from "@nixwave/effects";
import { scopeWords } from "../narrate/input.ts";
import { age, ago, duration, wallClock } from "./duration.ts";
import { counted, listed, shortClosure, shortRollout } from "./name.ts";
import { harmless } from "./style.ts";

/** Who stopped it, why, and until when. */
export function heldBy(
  hold: { readonly by: string; readonly reason: string; readonly until: Instant | null },
  now: Instant,
  timeZone: string,
): string {
  const until =
    hold.until === null ? "until lifted" : `until ${wallClock(hold.until, now, timeZone)}`;
  return `by ${harmless(hold.by)} ${until}: ${harmless(hold.reason)}`;
}

const heard = (at: Instant | null, now: Instant): string =>
  at === null ? "never heard of" : `last heard ${ago(at, now)}`;

/** A gate with the evidence that a person needs, on one line. */
export function blockWords(block: Block, now: Instant, timeZone: string): string {
  switch (block.gate) {
    case "rollout-halted":
      return block.cause === "cancelled"
        ? `the rollout was cancelled ${ago(block.haltedAt, now)}`
        : `the rollout is halted since ${ago(block.haltedAt, now)}: ${listed(block.hosts)} failed`;
    case "replay":
      return `the control plane recovers since ${age(secsBetween(block.since, now))}: ${counted(block.unheard, "host")} of ${block.channel} not heard yet`;
    case "release-unverified":
      return `the release of ${block.channel} is not verified: ${harmless(block.reason)}`;
    case "paused":
      return `paused ${heldBy(block.pause, now, timeZone)}`;
    case "frozen":
      return `${scopeWords(block.freeze.scope)} frozen ${heldBy(block.freeze, now, timeZone)}`;
    case "channel-conflict":
      return `several channels claim this host: ${block.channels.join(", ")}`;
    case "duplicate-host":
      return `${block.journals} journals answered under this name within an hour`;
    case "quarantine":
      return `${shortClosure(block.closure)} is quarantined on ${block.channel}`;
    case "offline":
      return block.leaving === null
        ? heard(block.lastHeardAt, now)
        : `said that it goes (${block.leaving}), ${heard(block.lastHeardAt, now)}`;
    case "refused":
      return `its agent rejected attempt ${block.attempt}${block.code === null ? "" : ` (${block.code})`}, ${block.count} in a row: ${harmless(block.reason)}`;
    case "channel-edge":
      return `channel ${block.channel} is ${block.state}, not Completed: ${harmless(block.reason)}`;
    case "wave":
      return block.unproven
        ? `wave ${block.cursor}: no host of it has shown health`
        : `wave ${block.wave} opens after wave ${block.cursor}`;
    case "host-edge":
      return `${block.host} is ${block.state}, not Converged: ${harmless(block.reason)}`;
    case "host-busy":
      return `the host is ${block.state} in ${shortRollout(block.rolloutId)}`;
    case "budget":
      return `budget ${block.budget}: ${listed(block.holders)} ${block.holders.length === 1 ? "holds" : "hold"} ${block.held} of ${counted(block.maxInFlight, "slot")}`;
  }
}

/** Whether only a person can open the gate: time, a host or another rollout will not. */
export function waitsForPerson(block: Block): boolean {
  switch (block.gate) {
    case "rollout-halted":
    case "release-unverified":
    case "channel-conflict":
    case "duplicate-host":
    case "quarantine":
      return true;
    case "paused":
      return block.pause.until === null;
    case "frozen":
      return block.freeze.until === null;
    case "refused":
      return !block.retryable;
    case "wave":
      return block.unproven;
    case "host-edge":
      return block.state === "Failed" || block.state === "Reverted" || block.state === "skipped";
    case "channel-edge":
      return block.state === "Failed" || block.state === "Reverted";
    case "replay":
    case "offline":
    case "host-busy":
    case "budget":
      return false;
  }
}

/** The wait in the fewest words, for a column: `budget web (2 of 2)`. */
export function blockName(block: Block): string {
  switch (block.gate) {
    case "budget":
      return `budget ${block.budget} (${block.held} of ${block.maxInFlight})`;
    case "host-edge":
      return `edge to ${block.host}`;
    case "channel-edge":
      return `channel ${block.channel}`;
    case "wave":
      return `wave ${block.cursor}`;
    case "paused":
      return block.pause.until === null ? "paused" : `paused until lifted or expired`;
    case "refused":
      return `refused: ${harmless(block.reason)}`;
    case "rollout-halted":
    case "replay":
    case "release-unverified":
    case "frozen":
    case "channel-conflict":
    case "duplicate-host":
    case "quarantine":
    case "offline":
    case "host-busy":
      return block.gate;
  }
}

export const left = (until: Instant, now: Instant): string => {
  const secs = secsBetween(now, until);
  return secs <= 0 ? "due" : `${duration(secs)} left`;
};
