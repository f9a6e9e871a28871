import {
  type Activating,
  type ClosureHash,
  err,
  type Failed,
  type HostRollout,
  ok,
  type Result,
  type Seen,
} from "@nixwave/effects";
import type { Mailbox, RecordRef } from "../input.ts";
import { type Crash, pause, type Random, type ReadRecord, type Timer } from "../ports.ts";
import type { Found } from "../probes/baseline.ts";
import type { Activation } from "./activation.ts";
import { stderrTail } from "./output.ts";
import { recordRef, sameRecord } from "./recordRef.ts";
import { readSeen } from "./seen.ts";
import { type UnitRef, unitOf } from "./unit.ts";

/** What the activation worker is made of. */
export interface ActivationParts {
  readonly activation: Activation;
  readonly mailbox: Mailbox;
  readonly readRecord: ReadRecord;
  /** The closure to keep beside target and rollback target; null on a host that has none yet. */
  readonly knownGood: () => ClosureHash | null;
  /** What the probes after the switch are compared with. */
  readonly baseline: (signal: AbortSignal) => Promise<Found>;
  readonly timer: Timer;
  readonly random: Random;
  readonly crash: Crash;
  /** Takes the configured secrets out of what leaves the machine. */
  readonly redact: (text: string) => string;
  /** The switch in hand was refused for the first time: the control plane is to hear of it before the next heartbeat is due. */
  readonly onRefused: () => void;
  /** What went wrong and is tried again, or our bug: for the log. */
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/**
 * `preparing` changes nothing that matters; `firing` is between the committed start and the unit; `reporting` has said
 * what it saw, so that an effect that comes back means another round.
 */
type Stage = "preparing" | "firing" | "watching" | "reporting";

export interface Task {
  readonly of: RecordRef;
  readonly purpose: "switch" | "rollback" | "watch";
  readonly signal: AbortSignal;
  stage: Stage;
  /** The effect came back while the task was saying what it saw: there is more to do. */
  again: boolean;
  /** Why nothing has been fired yet, should its time be over now. */
  obstacle: string;
  /** What refused it last and is tried again; null if nothing has. */
  refusal: string | null;
}

/** Caches come back within minutes; a fleet that waits for one must not ask in step, hence the jitter. */
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 60_000;

/** Waits before try number `failures` + 1, between half and all of its time. */
export async function backOff(
  parts: ActivationParts,
  failures: number,
  signal: AbortSignal,
): Promise<void> {
  const ms = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 10), RETRY_MAX_MS);
  await pause(parts.timer, ms * (0.5 + parts.random.unit() / 2), signal);
}

/** The record as the journal has it now, if the task still is about it and nobody has called it off. */
export function current(parts: ActivationParts, task: Task): HostRollout | null {
  if (task.signal.aborted) return null;
  const record = parts.readRecord(task.of.rolloutId);
  if (record === null || record.supersededBy !== null) return null;
  return sameRecord(recordRef(record), task.of) ? record : null;
}

export function currentActivating(parts: ActivationParts, task: Task): Activating | null {
  const record = current(parts, task);
  return record?.kind === "Activating" ? record : null;
}

/** Failed, with a rollback to come to a closure that is known. */
export type OwesRollback = Failed & { readonly rollbackTarget: ClosureHash };

const owesRollback = (record: HostRollout): record is OwesRollback =>
  record.kind === "Failed" && record.rollback !== "none" && record.rollbackTarget !== null;

export function currentFailed(parts: ActivationParts, task: Task): OwesRollback | null {
  const record = current(parts, task);
  return record !== null && owesRollback(record) ? record : null;
}

/** Turns what the world throws (a full disk, a missing tool) into a value, so that it becomes an event or another try. */
export async function tried<T>(operation: () => Promise<T>): Promise<Result<T, string>> {
  try {
    return ok(await operation());
  } catch (cause) {
    return err(cause instanceof Error ? cause.message : String(cause));
  }
}

/** Reads the machine for the record and says so, once; decides nothing. */
export async function report(
  parts: ActivationParts,
  record: HostRollout,
  obstacle: string,
): Promise<Seen> {
  const seen = await readSeen(parts.activation, record);
  const text = seen.stderrTail === "" && seen.unit.kind === "none" ? obstacle : seen.stderrTail;
  const redacted: Seen = { ...seen, stderrTail: stderrTail(parts.redact(text)) };
  const tryNo = unitOf(record)?.tryNo ?? 0;
  await parts.mailbox.submit({ kind: "Observed", of: recordRef(record), tryNo, seen: redacted });
  return seen;
}

/** Waits for the unit's end and says what is then to be seen, until the machine could be read. */
export async function watch(parts: ActivationParts, task: Task, unit: UnitRef): Promise<void> {
  task.stage = "watching";
  for (let failures = 0; !task.signal.aborted; failures += 1) {
    const ended = await tried(() => parts.activation.ended(unit, task.signal));
    if (task.signal.aborted) return;
    if (ended.ok) {
      parts.crash.at("after-unit-ended");
      return await reportUntilRead(parts, task);
    }
    parts.onTrouble("the switch unit can't be watched", ended.error);
    await backOff(parts, failures, task.signal);
  }
}

/** The end of every task: one observation that reaches the loop, however often the machine has to be asked. */
export async function reportUntilRead(parts: ActivationParts, task: Task): Promise<void> {
  for (let failures = 0; ; failures += 1) {
    const record = current(parts, task);
    if (record === null) return;
    task.stage = "reporting";
    const reported = await tried(() => report(parts, record, task.obstacle));
    if (reported.ok) return;
    parts.onTrouble("the machine can't be read", reported.error);
    await backOff(parts, failures, task.signal);
  }
}
