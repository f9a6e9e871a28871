import type { Attempt, JournalId, RolloutId } from "@nixwave/effects";
import type {
  DispatchOffer,
  EventsAnswer,
  Heartbeat,
  HeartbeatAnswer,
  Holding,
  ProblemCode,
} from "@nixwave/protocol";

/** No call ever rejects: an answer, a problem that the CP named, or none at all. */
export type Call<T> =
  | { readonly kind: "answered"; readonly value: T }
  | {
      readonly kind: "problem";
      readonly code: ProblemCode;
      readonly detail: string;
      readonly retryAfterSecs: number | null;
    }
  | { readonly kind: "unreachable"; readonly reason: string };

export interface UnitLog {
  readonly rolloutId: RolloutId;
  readonly attempt: Attempt;
  readonly purpose: "switch" | "rollback";
  readonly text: string;
}

/** The CP as an agent sees it: it only answers. Each request carries the journal's id. */
export interface ControlPlane {
  poll(
    journalId: JournalId,
    options: { readonly waitSecs: number; readonly holding: Holding | null },
    signal: AbortSignal,
  ): Promise<Call<DispatchOffer | null>>;
  postEvents(
    journalId: JournalId,
    lines: readonly string[],
    signal: AbortSignal,
  ): Promise<Call<EventsAnswer>>;
  heartbeat(
    journalId: JournalId,
    body: Heartbeat,
    signal: AbortSignal,
  ): Promise<Call<HeartbeatAnswer>>;
  postLog(journalId: JournalId, log: UnitLog, signal: AbortSignal): Promise<Call<null>>;
  /** A file of the signed repository by its path inside it, such as `metadata/timestamp.json`; null where there is none. */
  repositoryFile(
    journalId: JournalId,
    path: string,
    options: { readonly bytesMax: number; readonly signal: AbortSignal },
  ): Promise<FileCall>;
}

/** A file that is longer than any such file may be is no answer, and no fault of the network either. */
type FileCall = Call<Uint8Array | null> | { readonly kind: "too-long"; readonly bytesMax: number };

/** What a refused journal means is the same whichever route says it. */
export function refusedJournal(call: Call<unknown>): "old-journal" | "set-back" | null {
  if (call.kind !== "problem") return null;
  return call.code === "old-journal" || call.code === "set-back" ? call.code : null;
}
