import type { HostRollout } from "../host/state.ts";
import type {
  Attempt,
  BootId,
  Channel,
  ClosureHash,
  FreezeId,
  HostName,
  JournalId,
  RolloutId,
  Seq,
} from "../ids.ts";
import type { Release } from "../release.ts";
import type { Freeze } from "../rollout/input.ts";
import type { HostMarks, Rollout } from "../rollout/state.ts";
import type { Instant } from "../time.ts";
import type { Dispatch } from "./dispatch.ts";

export type Leaving = "reboot" | "off" | "sleep";

/** What a host last said of itself, or that it was merely heard. An observation: never rebuilt from the log. */
export interface HostReport {
  readonly currentClosure: ClosureHash | null;
  readonly bootId: BootId;
  readonly agentVersion: string;
  readonly leaving: Leaving | null;
  readonly streams: readonly {
    readonly rolloutId: RolloutId;
    readonly attempt: Attempt;
    readonly lastSeq: Seq | 0;
  }[];
  readonly clockSkewSecs: number;
  readonly diskFreeBytes: number | null;
  /** Why its newest activation can't begin yet, in the agent's words; null where nothing was refused. */
  readonly waitsFor: string | null;
}

/** Everything that can change what a plan looks at. The one way to change a FleetState. */
export type FleetChange =
  /**
   * A verified release; `current` if its channel's current.json names it. Applied again, with a later `at`, whenever the
   * channel's metadata has changed (a new timestamp or snapshot version), never for a mere look: it opens the gate `refused`.
   */
  | {
      readonly kind: "ReleaseVerified";
      readonly release: Release;
      readonly current: boolean;
      readonly at: Instant;
    }
  /** The channel's metadata or release can't be trusted now; null when it can again. */
  | {
      readonly kind: "ChannelUnverified";
      readonly channel: Channel;
      readonly reason: string | null;
      readonly since: Instant;
    }
  | { readonly kind: "RolloutChanged"; readonly rollout: Rollout }
  | { readonly kind: "MarksChanged"; readonly marks: HostMarks }
  | { readonly kind: "RecordChanged"; readonly record: HostRollout }
  | { readonly kind: "DispatchChanged"; readonly dispatch: Dispatch }
  | {
      readonly kind: "QuarantineInserted";
      readonly channel: Channel;
      readonly closure: ClosureHash;
      readonly since: Instant;
    }
  | { readonly kind: "QuarantineRemoved"; readonly channel: Channel; readonly closure: ClosureHash }
  | { readonly kind: "FreezeInserted"; readonly freeze: Freeze }
  | { readonly kind: "FreezeRemoved"; readonly freezeId: FreezeId }
  /** Any authenticated request; `report` is a heartbeat's, null keeps the last one. */
  | {
      readonly kind: "HostHeard";
      readonly host: HostName;
      readonly journalId: JournalId;
      readonly at: Instant;
      readonly report: HostReport | null;
    }
  | { readonly kind: "HostRevoked"; readonly host: HostName; readonly revoked: boolean }
  /** The gate `replay`: in force on these channels until each host was heard and replayed, or is silent past its grace. */
  | { readonly kind: "ReplayBegan"; readonly channels: readonly Channel[]; readonly since: Instant }
  | { readonly kind: "HostReplayed"; readonly host: HostName }
  | { readonly kind: "ReplayEnded"; readonly channels: readonly Channel[] };
