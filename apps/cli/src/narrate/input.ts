import type { FreezeScope, Handlers, Input } from "@nixwave/effects";
import { counted, listed, shortClosure, shortRollout } from "../render/name.ts";
import { harmless } from "../render/style.ts";

const who = (input: { readonly by: string; readonly reason: string }): string =>
  `${harmless(input.by)}: ${harmless(input.reason)}`;

/** What a freeze holds, as the object of a sentence. */
export function scopeWords(scope: FreezeScope): string {
  switch (scope.kind) {
    case "all":
      return "the whole fleet";
    case "channel":
      return `channel ${scope.channel}`;
    case "hosts":
      return `${counted(scope.hosts.length, "host")} (${listed(scope.hosts)})`;
  }
}

/** What happened to a rollout or the fleet, as one past-tense clause without the rollout's name. */
export const INPUT_WORDS: Handlers<Input, null, string> = {
  RolloutOpened: () => "opened",
  HostJoined: (input) => `${input.host} joined, attempt ${input.attempt}`,
  DispatchCancelled: (input) => `dispatch to ${input.host} cancelled: gate ${input.gate} closed`,
  HostStateChanged: (input) => `${input.host}: ${input.from} → ${input.to}`,
  HostSkipped: (input) => `${input.host} skipped: ${input.reason}`,
  HostReturned: (input) => `${input.host} came back`,
  WaveCompleted: (input) => `wave ${input.wave} complete`,
  RolloutCompleted: () => "completed",
  SuccessorOpened: (input) => `superseded by ${shortRollout(input.successor)}`,
  OperatorPaused: (input) => `paused by ${who(input)}`,
  OperatorResumed: (input) => `resumed by ${who(input)}`,
  OperatorAdvanced: (input) => `wave ${input.wave} taken as complete by ${who(input)}`,
  OperatorCleared: (input) =>
    `cleared by ${who(input)}; ${counted(input.forgiven.length, "host")} forgiven, ${counted(input.attempts.length, "attempt")} owed`,
  OperatorRetried: (input) => `${input.host} gets attempt ${input.attempt} from ${who(input)}`,
  OperatorCancelled: (input) => `cancelled by ${who(input)}`,
  RetentionExpired: () => "pruned: its retention is over",
  HostLost: (input) => `${input.host} is lost: in flight and silent`,
  HostFound: (input) => `${input.host} was heard again`,
  HostForgot: (input) =>
    `${input.host} has a new journal and forgot; attempt ${input.attempt} is owed`,
  Frozen: ({ freeze }) => `${scopeWords(freeze.scope)} frozen by ${who(freeze)}`,
  Unfrozen: (input) => `freeze ${input.freezeId} lifted by ${who(input)}`,
  QuarantineLifted: (input) =>
    `quarantine of ${shortClosure(input.closure)} on ${input.channel} lifted by ${who(input)}`,
  ReplayEnded: (input) => `replay of ${listed(input.channels)} ended by ${who(input)}`,
};
