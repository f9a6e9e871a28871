import type { RejectCode } from "../event.ts";
import type { Attempt, Channel, ClosureHash, HostName, RolloutId } from "../ids.ts";
import type { Freeze } from "../rollout/input.ts";
import type { HaltCause, Pause } from "../rollout/state.ts";
import type { Instant } from "../time.ts";

/** Why a host does not move, with the evidence that a person needs; one variant per gate. */
export type Block =
  | {
      readonly gate: "rollout-halted";
      readonly cause: HaltCause;
      readonly haltedAt: Instant;
      readonly hosts: readonly HostName[];
    }
  | {
      readonly gate: "replay";
      readonly channel: Channel;
      readonly unheard: number;
      readonly since: Instant;
    }
  | {
      readonly gate: "release-unverified";
      readonly channel: Channel;
      readonly reason: string;
      readonly since: Instant;
    }
  | { readonly gate: "paused"; readonly pause: Pause }
  | { readonly gate: "frozen"; readonly freeze: Freeze }
  | { readonly gate: "channel-conflict"; readonly channels: readonly Channel[] }
  | { readonly gate: "duplicate-host"; readonly journals: number; readonly since: Instant }
  | { readonly gate: "quarantine"; readonly channel: Channel; readonly closure: ClosureHash }
  | {
      readonly gate: "offline";
      readonly lastHeardAt: Instant | null;
      readonly leaving: string | null;
    }
  | {
      readonly gate: "refused";
      readonly attempt: Attempt;
      readonly code: RejectCode | null;
      readonly reason: string;
      readonly retryable: boolean;
      readonly count: number;
      readonly rejectedAt: Instant;
    }
  | {
      readonly gate: "channel-edge";
      readonly channel: Channel;
      readonly state: string;
      readonly reason: string;
    }
  | {
      readonly gate: "wave";
      readonly wave: number;
      readonly cursor: number;
      readonly unproven: boolean;
    }
  | {
      readonly gate: "host-edge";
      readonly host: HostName;
      readonly state: string;
      readonly reason: string;
    }
  | { readonly gate: "host-busy"; readonly rolloutId: RolloutId; readonly state: string }
  | {
      readonly gate: "budget";
      readonly budget: string;
      readonly held: number;
      readonly maxInFlight: number;
      readonly holders: readonly HostName[];
    };

export type GateName = Block["gate"];

/** A host that the planner looked at and did not move, and why. Computed, never stored. */
export interface Waiting {
  readonly host: HostName;
  readonly rolloutId: RolloutId;
  readonly block: Block;
  /** The earliest instant at which time alone may move it, or null. */
  readonly earliest: Instant | null;
  /** The command that would clear it, or null if it clears by itself. */
  readonly clears: string | null;
}
