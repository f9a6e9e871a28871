import type {
  ClosureHash,
  HostRollout,
  Instant,
  JournalId,
  PreviousStream,
} from "@nixwave/effects";
import {
  attempt,
  closureHash,
  instantMs,
  journalId,
  type LogHead,
  logHead,
  rolloutIdText,
} from "@nixwave/protocol";
import { z } from "zod";
import type { RecordRef } from "../input.ts";

/** Dispatches are rejected as retryable until then. */
export interface Hold {
  readonly until: Instant;
  readonly reason: string;
}

/** What was so before the switch of one attempt, for the probes after it. */
export interface Baseline extends RecordRef {
  /** Null: systemd could not be asked. */
  readonly failedUnits: readonly string[] | null;
  /** Of whom the host needs, those who answered before the switch, as `host:port`. */
  readonly answered: readonly string[];
  /** Somebody has answered since the activation, which stays so. */
  readonly reached: boolean;
}

/** What the journal knows of the host as a whole. */
export interface HostFacts {
  readonly journalId: JournalId;
  /** The last steady `now` that was committed; it never moves backwards (I12). */
  readonly steadyNow: Instant | null;
  /** createdAt of the newest release that was acknowledged; an older one is dropped. */
  readonly newestCreatedAt: Instant | null;
  /** Oldest first; the last one is pinned outside the journal too. */
  readonly knownGood: readonly ClosureHash[];
  readonly hold: Hold | null;
  /** The highest position of the CP's log that was shown. */
  readonly logHead: LogHead | null;
  /** Of the newest attempt that began to switch. */
  readonly baseline: Baseline | null;
  /** The first input of this journal was taken: from then on the pin is the journal's copy and not the other way round. */
  readonly booted: boolean;
}

/** What one input is decided by: read at once, before it. */
export interface Loaded {
  readonly facts: HostFacts;
  /** The record that the input names, or null. */
  readonly record: HostRollout | null;
  /** There is such a record, but a newer version wrote it: it is shown and left alone. */
  readonly opaque: boolean;
  /** The one record past Pending that is unsettled and not superseded. */
  readonly current: HostRollout | null;
  /** The stream that a DispatchAck of the named rollout has to name. */
  readonly previous: PreviousStream | null;
}

export type MetaKey =
  | "baseline"
  | "journalId"
  | "steadyNow"
  | "newestCreatedAt"
  | "hold"
  | "logHead"
  | "booted";

const baselineSchema: z.ZodType<Baseline> = z
  .object({
    rolloutId: rolloutIdText,
    journalId,
    attempt,
    failedUnits: z.array(z.string()).readonly().nullable(),
    answered: z.array(z.string()).readonly(),
    reached: z.boolean(),
  })
  .readonly();
const holdSchema: z.ZodType<Hold> = z.object({ until: instantMs, reason: z.string() }).readonly();

/** Reads the rows of `meta` and `known_good`. Throws where they are not what this version or a newer one wrote. */
export function factsOf(
  rows: ReadonlyMap<string, string>,
  knownGood: readonly string[],
): HostFacts {
  const read = <T>(key: MetaKey, schema: z.ZodType<T>): T | null => {
    const text = rows.get(key);
    return text === undefined ? null : schema.parse(JSON.parse(text));
  };
  return {
    journalId: journalId.parse(JSON.parse(rows.get("journalId") ?? "null")),
    steadyNow: read("steadyNow", instantMs),
    newestCreatedAt: read("newestCreatedAt", instantMs),
    knownGood: knownGood.map((closure) => closureHash.parse(closure)),
    hold: read("hold", holdSchema),
    logHead: read("logHead", logHead),
    baseline: read("baseline", baselineSchema),
    booted: read("booted", z.boolean()) ?? false,
  };
}
