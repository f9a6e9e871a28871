import type { RemoteOpenRolloutRecord, RemoteQueueDispatch } from "../effect.ts";
import type { ClosureHash, RolloutId } from "../ids.ts";
import type { Freeze, Input } from "../rollout/input.ts";
import type { Instant } from "../time.ts";
import { START } from "./controlPlane.fixture.ts";
import type { Answer, Explanation } from "./explanation.ts";
import type { Block, Waiting } from "./waiting.ts";

/** What happens in a transcript, in words. Instants are seconds since its start. */

export const clock = (at: Instant | null): string =>
  at === null ? "open" : `+${(at - START) / 1000}s`;
const shortId = (id: RolloutId): string => id.slice(0, id.indexOf("@") + 8);
const bare = (closure: ClosureHash): string => closure.slice(33);

export function inputWords(input: Input): string {
  const on = "rolloutId" in input ? ` ${shortId(input.rolloutId)}` : "";
  const host = "host" in input ? ` ${input.host}` : "";
  const attempt = "attempt" in input ? ` attempt ${input.attempt}` : "";
  return `${input.kind}${host}${on}${attempt}${detail(input)}`;
}

function detail(input: Input): string {
  switch (input.kind) {
    case "HostStateChanged":
      return ` ${input.from} -> ${input.to} (${input.failures} failed, ${input.reverted} of them reverted, ${input.maxFailures} allowed)`;
    case "HostLost":
      return ` (${input.failures} failed, ${input.maxFailures} allowed)`;
    case "HostFound":
      return ` (${input.failures} failed, ${input.reverted} of them reverted)`;
    case "HostSkipped":
      return ` (${input.reason})`;
    case "DispatchCancelled":
      return ` (gate ${input.gate})`;
    case "WaveCompleted":
    case "OperatorAdvanced":
      return ` wave ${input.wave}`;
    case "SuccessorOpened":
      return ` by ${shortId(input.successor)}`;
    case "OperatorPaused":
      return ` until ${clock(input.until)}`;
    case "OperatorCleared":
      return ` forgiven ${input.forgiven.join(", ") || "nobody"}; owed ${owedWords(input.attempts)}`;
    case "QuarantineLifted":
      return ` ${input.channel} ${bare(input.closure)}; owed ${owedWords(input.attempts)}`;
    case "Frozen":
      return ` ${scopeWords(input.freeze)} until ${clock(input.freeze.until)}`;
    case "Unfrozen":
      return ` ${input.freezeId}`;
    case "ReplayEnded":
      return ` ${input.channels.join(", ")}`;
    case "RolloutOpened":
    case "HostJoined":
    case "HostReturned":
    case "RolloutCompleted":
    case "OperatorResumed":
    case "OperatorRetried":
    case "OperatorCancelled":
    case "RetentionExpired":
    case "HostForgot":
      return "";
  }
}

const owedWords = (owed: readonly { readonly host: string; readonly attempt: number }[]): string =>
  owed.map(({ host, attempt }) => `${host} attempt ${attempt}`).join(", ") || "nobody";

function scopeWords({ scope }: Freeze): string {
  switch (scope.kind) {
    case "all":
      return "all";
    case "channel":
      return scope.channel;
    case "hosts":
      return scope.hosts.join(", ");
  }
}

export const effectWords = (effect: RemoteOpenRolloutRecord | RemoteQueueDispatch): string =>
  effect.kind === "RemoteQueueDispatch"
    ? `${effect.kind} ${effect.host} ${shortId(effect.rolloutId)} ${bare(effect.targetClosure)}`
    : `${effect.kind} ${effect.host} ${shortId(effect.rolloutId)}`;

export function waitingWords({ host, block, earliest, clears }: Waiting): string {
  const when = earliest === null ? "" : ` | earliest ${clock(earliest)}`;
  const how = clears === null ? "" : ` | clears ${clears}`;
  return `${host} ${block.gate}: ${blockWords(block)}${when}${how}`;
}

function blockWords(block: Block): string {
  switch (block.gate) {
    case "rollout-halted":
      return `${block.cause} since ${clock(block.haltedAt)}${block.hosts.length === 0 ? "" : `: ${block.hosts.join(", ")}`}`;
    case "replay":
      return `${block.unheard} hosts of ${block.channel} not replayed`;
    case "release-unverified":
      return `${block.channel}: ${block.reason}`;
    case "paused":
      return `by ${block.pause.by} until ${clock(block.pause.until)}: ${block.pause.reason}`;
    case "frozen":
      return `${scopeWords(block.freeze)} by ${block.freeze.by} until ${clock(block.freeze.until)}: ${block.freeze.reason}`;
    case "channel-conflict":
      return `listed by ${block.channels.join(" and ")}`;
    case "duplicate-host":
      return `${block.journals} journals within the hour`;
    case "quarantine":
      return `${bare(block.closure)} on ${block.channel}`;
    case "offline":
      return `last heard ${block.lastHeardAt === null ? "never" : clock(block.lastHeardAt)}`;
    case "refused":
      return `attempt ${block.attempt}, ${block.count} times, ${block.retryable ? "retryable" : "final"}: ${block.reason}`;
    case "channel-edge":
      return `${block.channel} is ${block.state} (${block.reason})`;
    case "wave":
      return `in wave ${block.wave}, wave ${block.cursor} is open${block.unproven ? `; no host of wave ${block.cursor} has shown health` : ""}`;
    case "host-edge":
      return `${block.host} is ${block.state} (${block.reason})`;
    case "host-busy":
      return `${block.state} in ${shortId(block.rolloutId)}`;
    case "budget":
      return `${block.budget} has ${block.held} of ${block.maxInFlight} slots held by ${block.holders.join(", ")}`;
  }
}

export function explanationWords(explanation: Explanation): string {
  const { host, rolloutId, wave, answer, since, earliest, clears } = explanation;
  const where = rolloutId === null ? "" : ` ${shortId(rolloutId)}`;
  const inWave = wave === null ? "" : ` wave ${wave}`;
  const from =
    since === null ? "" : ` | since ${since.atLeast ? "at least " : ""}${clock(since.at)}`;
  const when = earliest === null ? "" : ` | earliest ${clock(earliest)}`;
  const how = clears === null ? "" : ` | clears ${clears}`;
  return `${host}${where}${inWave}: ${answerWords(answer)}${from}${when}${how}`;
}

function answerWords(answer: Answer): string {
  switch (answer.kind) {
    case "gate":
      return `${answer.block.gate}: ${blockWords(answer.block)}`;
    case "soaking":
      return `soaking, ${answer.unproven.map(({ what, reason }) => `${what} ${reason}`).join("; ") || "proven"}`;
    case "skipped":
      return `skipped (${answer.reason ?? "waits to be heard"})`;
    case "done":
      return answer.drifted ? "done, drifted" : "done";
    case "queued":
    case "dispatched":
    case "activating":
    case "deferred":
    case "rolling-back":
    case "failed":
    case "reverted":
    case "lost":
    case "unlisted":
    case "revoked":
    case "never-seen":
    case "no-release":
      return answer.kind;
  }
}
