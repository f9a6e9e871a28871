import type { BootId, RolloutId, Soaking } from "@nixwave/effects";
import { recordRef, sameRecord } from "../activation/recordRef.ts";
import type { Mailbox, RecordRef } from "../input.ts";
import type { ProbeWorker } from "../perform/worker.ts";
import { CALLED_OFF, pause, type Random, type ReadRecord } from "../ports.ts";
import type { CheckOutcome } from "./check.ts";
import { runOnSchedule } from "./schedule.ts";
import { type RunnableProbe, readTopology, type TopologyParts } from "./topology.ts";

export interface ProbeParts extends TopologyParts {
  readonly mailbox: Mailbox;
  readonly readRecord: ReadRecord;
  readonly random: Random;
  /** What went wrong and is tried again, or our bug: for the log. */
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** The runners of one declaration. They belong to (rollout, attempt, boot), read from the journal and never remembered. */
interface Runners {
  readonly of: RecordRef;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  bootId: BootId | null;
}

/** Between two attempts to declare; a topology that stays undeclared for the threshold fails the host. */
const DECLARE_RETRY_MS = 2000;

export function probeWorker(parts: ProbeParts): ProbeWorker {
  const ending = new Set<Promise<void>>();
  let runners: Runners | null = null;
  let closed = false;

  const stop = (): void => {
    runners?.abort.abort(CALLED_OFF);
    runners = null;
  };

  const begin = (record: Soaking): void => {
    stop();
    const abort = new AbortController();
    const of = recordRef(record);
    const done = declareAndRun(parts, of, abort.signal, (bootId) => {
      mine.bootId = bootId;
    }).catch((cause: unknown) => parts.onTrouble("the probes gave up", cause));
    const mine: Runners = { of, abort, done, bootId: null };
    runners = mine;
    ending.add(done);
    void done.then(() => {
      ending.delete(done);
      if (runners === mine) runners = null;
    });
  };

  /** A boot ends this process on a real host; the folder of a test reboots under it. */
  const beginIfRebooted = async (of: RecordRef, bootId: BootId): Promise<void> => {
    const now = await parts.activation.bootId();
    const record = parts.readRecord(of.rolloutId);
    if (now === bootId || closed || record?.kind !== "Soaking") return;
    if (runners !== null && sameRecord(runners.of, of) && runners.bootId === bootId) begin(record);
  };

  return {
    reset: (rolloutId: RolloutId) => {
      const record = parts.readRecord(rolloutId);
      if (closed || record?.kind !== "Soaking" || record.supersededBy !== null) return;
      if (runners === null || !sameRecord(runners.of, recordRef(record))) return begin(record);
      if (runners.bootId === null) return;
      void beginIfRebooted(runners.of, runners.bootId).catch((cause: unknown) =>
        parts.onTrouble("the boot id can't be read", cause),
      );
    },
    stop,
    close: async () => {
      closed = true;
      stop();
      await Promise.all(ending);
    },
  };
}

/** The record's topology is committed before any runner reports: a result of a probe that is not declared is refused. */
async function declareAndRun(
  parts: ProbeParts,
  of: RecordRef,
  signal: AbortSignal,
  onBoot: (bootId: BootId) => void,
): Promise<void> {
  const probes = await declare(parts, of, signal, onBoot);
  if (probes === null) return;
  await Promise.all(
    probes
      .filter(({ declared }) => declared.mode !== "disabled")
      .map(({ declared: { probeName, mode, intervalSecs }, run }) =>
        runOnSchedule(
          {
            intervalSecs,
            run,
            report: (outcome) => report(parts, { of, probeName, mode, outcome }, signal),
          },
          parts,
          signal,
        ),
      ),
  );
}

/** Null: the record has left Soaking, or did not take the declaration. */
async function declare(
  parts: ProbeParts,
  of: RecordRef,
  signal: AbortSignal,
  onBoot: (bootId: BootId) => void,
): Promise<readonly RunnableProbe[] | null> {
  while (!signal.aborted) {
    const record = parts.readRecord(of.rolloutId);
    if (record?.kind !== "Soaking" || !sameRecord(recordRef(record), of)) return null;
    try {
      const bootId = await parts.activation.bootId();
      const probes = readTopology(parts, { of, target: record.targetClosure, bootId });
      const declared = probes.map((probe) => probe.declared);
      if (signal.aborted) return null;
      const { outcome } = await parts.mailbox.submit({
        kind: "TopologyDeclared",
        of,
        probes: declared,
        bootId,
      });
      onBoot(bootId);
      return outcome.kind === "stayed" || outcome.kind === "moved" ? probes : null;
    } catch (cause) {
      if (signal.aborted) return null;
      parts.onTrouble("the probes can't be declared yet", cause);
      await pause(parts.timer, DECLARE_RETRY_MS, signal);
    }
  }
  return null;
}

interface Report extends Pick<RunnableProbe["declared"], "probeName" | "mode"> {
  readonly of: RecordRef;
  readonly outcome: CheckOutcome;
}

/** A result that the mailbox can't take now is not kept: the next run is newer evidence. */
async function report(
  parts: ProbeParts,
  { of, probeName, mode, outcome }: Report,
  signal: AbortSignal,
): Promise<void> {
  try {
    await parts.mailbox.submit({ kind: "ProbeReported", of, probeName, mode, ...outcome });
  } catch (cause) {
    if (!signal.aborted) parts.onTrouble(`the result of ${probeName} is not taken`, cause);
  }
}
