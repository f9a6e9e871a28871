import { type Instant, InvariantViolated } from "@nixwave/effects";
import { headAfter } from "../log/segment.ts";
import type { Crash, Random } from "../ports.ts";
import type { Memory } from "../store/memory.ts";
import type { Snapshot } from "../store/snapshot.ts";
import type { KnownHeads, Store } from "../store/store.ts";
import { headsAsked } from "./decide.ts";
import type { Pending } from "./pending.ts";
import { decideTurn, type Turn } from "./turn.ts";

/** What came of a batch. Anything but `committed` leaves the memory ahead of the disk: it is to be thrown away. */
export type Settled =
  | { readonly kind: "committed"; readonly turn: Turn; readonly seconds: number }
  | { readonly kind: "not-stored"; readonly cause: unknown }
  | { readonly kind: "internal"; readonly cause: unknown };

interface Settling {
  readonly store: Store;
  readonly random: Random;
  readonly crash: Crash;
  /** Milliseconds, for durations only. */
  readonly ticks: () => number;
}

/** Load, decide, commit: one batch, one transaction. Never throws; what the disk did is told apart from our own mistakes. */
export async function settle(
  { store, random, crash, ticks }: Settling,
  memory: Memory,
  batch: { readonly pending: readonly Pending[]; readonly now: Instant; readonly last: boolean },
): Promise<Settled> {
  const began = ticks();
  const asked = headsAsked(batch.pending.map(({ command }) => command));
  const isCheckpoint = batch.pending.some(
    ({ command }) => command.kind === "Retain" && command.checkpoint,
  );
  let heads: KnownHeads;
  let snapshot: Snapshot | null;
  try {
    heads = asked.length === 0 ? new Map() : await store.hashEndingAt(asked);
    snapshot = isCheckpoint ? await store.snapshot() : null;
  } catch (cause) {
    return { kind: "not-stored", cause };
  }
  let turn: Turn;
  try {
    turn = decideTurn(memory, { ...batch, heads, snapshot, random });
  } catch (cause) {
    return { kind: "internal", cause };
  }
  if (turn.draft.isEmpty) return { kind: "committed", turn, seconds: 0 };
  const rows = turn.draft.batch();
  crash.point("before-commit");
  try {
    await store.commit(rows);
  } catch (cause) {
    return { kind: cause instanceof InvariantViolated ? "internal" : "not-stored", cause };
  }
  if (rows.segment !== null) memory.head = headAfter(rows.segment);
  crash.point("after-commit");
  return { kind: "committed", turn, seconds: (ticks() - began) / 1000 };
}
