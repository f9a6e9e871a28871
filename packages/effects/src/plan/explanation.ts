import type { HostRollout } from "../host/state.ts";
import type { Channel, ClosureHash, HostName, RolloutId } from "../ids.ts";
import type { SkipReason } from "../rollout/input.ts";
import type { Instant } from "../time.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Block } from "./waiting.ts";

/** One enforce probe (or the lack of evidence) that still keeps a soaking host from Converged. */
export interface Unproven {
  readonly what: string;
  readonly reason: string;
}

/** What explainHost found: a gate, or one of the other answers. Each has its evidence beside it. */
export type Answer =
  | { readonly kind: "gate"; readonly block: Block }
  /** A null dispatch: nothing holds it, and the next plan queues one. */
  | { readonly kind: "queued"; readonly dispatch: Dispatch | null }
  | { readonly kind: "dispatched"; readonly dispatch: Dispatch }
  | { readonly kind: "activating"; readonly record: HostRollout }
  | { readonly kind: "deferred"; readonly record: HostRollout }
  | {
      readonly kind: "soaking";
      readonly record: HostRollout;
      readonly unproven: readonly Unproven[];
    }
  | { readonly kind: "rolling-back"; readonly record: HostRollout }
  | { readonly kind: "failed"; readonly record: HostRollout }
  | { readonly kind: "reverted"; readonly record: HostRollout }
  | { readonly kind: "lost"; readonly record: HostRollout; readonly lastHeardAt: Instant | null }
  | {
      readonly kind: "skipped";
      readonly reason: SkipReason | null;
      readonly skippedAt: Instant;
      readonly lastHeardAt: Instant | null;
    }
  | {
      readonly kind: "done";
      readonly record: HostRollout;
      readonly drifted: boolean;
      readonly runningClosure: ClosureHash | null;
    }
  | {
      readonly kind: "unlisted";
      readonly runningClosure: ClosureHash | null;
      readonly lastHeardAt: Instant | null;
    }
  | { readonly kind: "revoked" }
  | { readonly kind: "never-seen"; readonly channel: Channel }
  | { readonly kind: "no-release"; readonly channel: Channel | null };

export type AnswerKind = Answer["kind"];

export interface Explanation {
  readonly host: HostName;
  readonly rolloutId: RolloutId | null;
  readonly wave: number | null;
  readonly answer: Answer;
  /** Null where it is not known; `atLeast` after a restart of the CP, which keeps it in memory only. */
  readonly since: { readonly at: Instant; readonly atLeast: boolean } | null;
  readonly earliest: Instant | null;
  /** The command that would clear it, or null. */
  readonly clears: string | null;
}
