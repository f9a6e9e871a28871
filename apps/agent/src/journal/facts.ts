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
  /** When the newest metadata that this host verified were signed; null while none were. */
  readonly metadataSignedAt: Instant | null;
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
  | "metadataSignedAt"
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

/**
 * Reads the rows of `meta` and `known_good`. Throws where they are not what this version or a newer one wrote. Of eight facts a commit
 * changes one or two, and the sources ask for all of them before each request: what was decoded last is kept with its text.
 */
export function factsReader(): (
  rows: ReadonlyMap<string, string>,
  knownGood: readonly string[],
) => HostFacts {
  const journal = kept(journalId);
  const steadyNow = kept(instantMs);
  const newestCreatedAt = kept(instantMs);
  const hold = kept(holdSchema);
  const metadataSignedAt = kept(instantMs);
  const head = kept(logHead);
  const baseline = kept(baselineSchema);
  const booted = kept(z.boolean());
  const closures = kept(z.array(closureHash));
  return (rows, knownGood) => {
    const id = journal(rows.get("journalId"));
    if (id === null) throw new Error("the journal has no id");
    return {
      journalId: id,
      steadyNow: steadyNow(rows.get("steadyNow")),
      newestCreatedAt: newestCreatedAt(rows.get("newestCreatedAt")),
      knownGood: closures(JSON.stringify(knownGood)) ?? [],
      hold: hold(rows.get("hold")),
      metadataSignedAt: metadataSignedAt(rows.get("metadataSignedAt")),
      logHead: head(rows.get("logHead")),
      baseline: baseline(rows.get("baseline")),
      booted: booted(rows.get("booted")) ?? false,
    };
  };
}

function kept<T>(schema: z.ZodType<T>): (text: string | undefined) => T | null {
  let last: string | undefined;
  let value: T | null = null;
  return (text) => {
    if (text === last) return value;
    value = text === undefined ? null : schema.parse(JSON.parse(text));
    last = text;
    return value;
  };
}
