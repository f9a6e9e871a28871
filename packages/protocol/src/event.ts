import {
  type EventKind,
  type OutboundAgentEvent,
  type ProbeMode,
  REJECT_CODES,
} from "@nixwave/effects";
import { z } from "zod";
import {
  attempt,
  bootId,
  closureHash,
  controlId,
  hostName,
  journalId,
  lastSeq,
  probeName,
  rolloutIdText,
  seq,
  sha256Text,
} from "./ids.ts";
import { instantText } from "./time.ts";

/** Per host; a topology beyond it is refused as `bad-event`. */
export const PROBES_MAX = 64;
export const SUB_RESULTS_MAX = 256;
/** The agent cuts the unit's output to this, after its `redact` patterns. UTF-8 bytes. */
export const STDERR_TAIL_BYTES_MAX = 4 * 1024;
/** A reason is a sentence or two; anything longer is output, and that has its own route. */
const REASON_LENGTH_MAX = 2048;
const NAME_LENGTH_MAX = 256;

export const PROBE_MODES = [
  "enforce",
  "observe",
  "disabled",
] as const satisfies readonly ProbeMode[];

const utf8 = new TextEncoder();
const reason = z.string().max(REASON_LENGTH_MAX);
const name = z.string().max(NAME_LENGTH_MAX);
/** Short enough that 64 probes with the longest names fit into a line. */
const probeKind = z.string().regex(/^[a-z][a-z0-9-]{0,23}$/, { error: "expected a kind of probe" });
const secs = z.number().min(0);
const exitCode = z.int().nullable();
const stderrTail = z.string().refine((text) => utf8.encode(text).length <= STDERR_TAIL_BYTES_MAX, {
  error: `expected at most ${STDERR_TAIL_BYTES_MAX} bytes`,
});
export const probeMode = z.enum(PROBE_MODES, {
  error: "expected enforce, observe or disabled",
});
export const probeStatus = z.enum(["pass", "fail"]);
export const onHealthFailure = z.enum(["rollback-and-halt", "halt"], {
  error: "expected rollback-and-halt or halt",
});

export const subResult = z
  .object({
    controlId,
    status: probeStatus,
    framework: name,
    article: name.nullable(),
    effectiveMode: probeMode,
    overrideReason: reason.nullable(),
  })
  .readonly();
export const subResults = z.array(subResult).max(SUB_RESULTS_MAX).readonly();

export const declaredProbe = z
  .object({ probeName, kind: probeKind, mode: probeMode, intervalSecs: secs })
  .readonly();
export const declaredProbes = z.array(declaredProbe).max(PROBES_MAX).readonly();

const previous = z.object({ rolloutId: rolloutIdText, journalId, lastSeq }).readonly();

export const rejectCode = z.enum(REJECT_CODES);

/** One schema per kind of event; `event.test.ts` proves that they are exactly the types of packages/effects. */
export const EVENT_SCHEMAS = {
  DispatchAck: z
    .object({
      kind: z.literal("DispatchAck"),
      attempt,
      dispatchedAt: instantText,
      soakDueAt: instantText,
      previous: previous.nullable(),
      currentClosureAtDispatch: closureHash.nullable(),
      rollbackTarget: closureHash.nullable(),
      ackedAt: instantText,
    })
    .readonly(),
  DispatchReject: z
    .object({
      kind: z.literal("DispatchReject"),
      attempt,
      dispatchedAt: instantText,
      soakDueAt: instantText,
      code: rejectCode.nullable().default(null),
      reason,
      retryable: z.boolean(),
      rejectedAt: instantText,
    })
    .readonly(),
  ActivationStarted: z
    .object({
      kind: z.literal("ActivationStarted"),
      startedAt: instantText,
      switchMethod: z.enum(["switch", "boot", "none"]),
    })
    .readonly(),
  ActivationCompleted: z
    .object({
      kind: z.literal("ActivationCompleted"),
      observedCurrentClosure: closureHash,
      exitCode,
      completedAt: instantText,
    })
    .readonly(),
  ActivationDeferred: z
    .object({
      kind: z.literal("ActivationDeferred"),
      component: name,
      bootId,
      deferredAt: instantText,
    })
    .readonly(),
  ActivationFailed: z
    .object({
      kind: z.literal("ActivationFailed"),
      phase: z.enum(["realise", "profile", "check", "switch", "verify", "timeout"]),
      untouched: z.boolean(),
      exitCode,
      stderrTail,
      failedAt: instantText,
    })
    .readonly(),
  ProbeTopologyDeclared: z
    .object({
      kind: z.literal("ProbeTopologyDeclared"),
      probes: declaredProbes,
      bootId,
      declaredAt: instantText,
    })
    .readonly(),
  ProbeObservedFirst: z
    .object({
      kind: z.literal("ProbeObservedFirst"),
      probeName,
      mode: probeMode,
      observedAt: instantText,
    })
    .readonly(),
  ProbeResult: z
    .object({
      kind: z.literal("ProbeResult"),
      probeName,
      mode: probeMode,
      status: probeStatus,
      observedAt: instantText,
      failureReason: reason.nullable(),
      subResults: subResults.nullable(),
    })
    .readonly(),
  ProbeFailureFirst: z
    .object({
      kind: z.literal("ProbeFailureFirst"),
      probeName,
      mode: probeMode,
      firstFailedAt: instantText,
    })
    .readonly(),
  Failed: z
    .object({
      kind: z.literal("Failed"),
      failedAt: instantText,
      sustainedDurationSecs: secs,
      failingProbes: z.array(probeName).max(PROBES_MAX).readonly(),
      policyApplied: onHealthFailure,
    })
    .readonly(),
  RollbackStarted: z
    .object({ kind: z.literal("RollbackStarted"), startedAt: instantText })
    .readonly(),
  RollbackComplete: z
    .object({
      kind: z.literal("RollbackComplete"),
      revertedToClosure: closureHash,
      exitCode,
      completedAt: instantText,
    })
    .readonly(),
  RollbackFailed: z
    .object({
      kind: z.literal("RollbackFailed"),
      exitCode,
      stderrTail,
      failedAt: instantText,
    })
    .readonly(),
  Converged: z
    .object({
      kind: z.literal("Converged"),
      convergedAt: instantText,
      currentClosure: closureHash,
    })
    .readonly(),
} as const satisfies Record<EventKind, z.ZodType<OutboundAgentEvent>>;

export const EVENT_KINDS: readonly EventKind[] = [
  "DispatchAck",
  "DispatchReject",
  "ActivationStarted",
  "ActivationCompleted",
  "ActivationDeferred",
  "ActivationFailed",
  "ProbeTopologyDeclared",
  "ProbeObservedFirst",
  "ProbeResult",
  "ProbeFailureFirst",
  "Failed",
  "RollbackStarted",
  "RollbackComplete",
  "RollbackFailed",
  "Converged",
];

const S = EVENT_SCHEMAS;
/** Any event: instants RFC 3339 on the wire, Instant in memory. */
export const eventSchema = z.discriminatedUnion("kind", [
  S.DispatchAck,
  S.DispatchReject,
  S.ActivationStarted,
  S.ActivationCompleted,
  S.ActivationDeferred,
  S.ActivationFailed,
  S.ProbeTopologyDeclared,
  S.ProbeObservedFirst,
  S.ProbeResult,
  S.ProbeFailureFirst,
  S.Failed,
  S.RollbackStarted,
  S.RollbackComplete,
  S.RollbackFailed,
  S.Converged,
]);

export const isEventKind = (text: string): text is EventKind => Object.hasOwn(EVENT_SCHEMAS, text);

/** The envelope as a line has it: the journal's id is the header `Nixwave-Journal`. */
export const envelopeSchema = z
  .object({
    host: hostName,
    rolloutId: rolloutIdText,
    seq,
    prev: sha256Text.nullable(),
    event: eventSchema,
  })
  .readonly();
