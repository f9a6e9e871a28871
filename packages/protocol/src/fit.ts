import type { OutboundAgentEvent, ProbeResult, SubResult } from "@nixwave/effects";
import { z } from "zod";
import { eventSchema, STDERR_TAIL_BYTES_MAX, SUB_RESULTS_MAX, subResult } from "./event.ts";
import { LINE_BYTES_MAX } from "./line.ts";

/** Host, rollout id, number, previous hash and their names, at their longest, come to 534 bytes. */
const ENVELOPE_BYTES_MAX = 640;
const EVENT_BYTES_MAX = LINE_BYTES_MAX - ENVELOPE_BYTES_MAX;
/** Of a sub-result's text: enough for one sentence. */
const SUB_TEXT_LENGTH_MAX = 120;

/** Leaves room for the other fields of any event that has a long text. */
const ESCAPED_BYTES_MAX = EVENT_BYTES_MAX - 1024;
/** As JSON it is six times as long at worst, 6 KiB. */
const FAILURE_REASON_LENGTH_MAX = 1024;
const toUtf8 = new TextEncoder();
const bytesOf = (text: string): number => toUtf8.encode(text).length;
const fits = (event: OutboundAgentEvent): boolean =>
  bytesOf(JSON.stringify(z.encode(eventSchema, event))) <= EVENT_BYTES_MAX;

/**
 * Cuts what an event carries for people until its line is within LINE_BYTES_MAX. An agent calls it before the event is
 * stepped, so that its record and the CP's mirror are made of the same event; a line that is too long would block its
 * stream for ever. What decisions read is never cut.
 */
export function fitEvent(event: OutboundAgentEvent): OutboundAgentEvent {
  switch (event.kind) {
    case "ActivationFailed":
    case "RollbackFailed":
      return { ...event, stderrTail: fitTail(event.stderrTail) };
    case "ProbeResult":
      return fitProbeResult(event);
    case "DispatchReject":
      return { ...event, reason: head(event.reason, FAILURE_REASON_LENGTH_MAX) };
    case "DispatchAck":
    case "ActivationStarted":
    case "ActivationCompleted":
    case "ActivationDeferred":
    case "ProbeTopologyDeclared":
    case "ProbeObservedFirst":
    case "ProbeFailureFirst":
    case "Failed":
    case "RollbackStarted":
    case "RollbackComplete":
    case "Converged":
      return event;
  }
}

/** The end of a text within a number of bytes, both as it is and as JSON escapes it. */
function fitTail(text: string): string {
  const points = Array.from(text.slice(-STDERR_TAIL_BYTES_MAX));
  let raw = 0;
  let escaped = 0;
  let from = points.length;
  while (from > 0) {
    const point = points[from - 1] ?? "";
    raw += bytesOf(point);
    escaped += bytesOf(JSON.stringify(point)) - 2;
    if (raw > STDERR_TAIL_BYTES_MAX || escaped > ESCAPED_BYTES_MAX) break;
    from -= 1;
  }
  return points.slice(from).join("");
}

/** The beginning of a text, with a mark where it was cut. */
const head = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;

/** 16 KiB do not hold 256 sub-results with reasons: failing ones go first, and what is left out is said. */
function fitProbeResult(event: ProbeResult): ProbeResult {
  const { failureReason, subResults } = event;
  const reason = failureReason === null ? null : head(failureReason, FAILURE_REASON_LENGTH_MAX);
  const all = subResults ?? [];
  const whole: ProbeResult = { ...event, failureReason: reason };
  if (all.length <= SUB_RESULTS_MAX && withinSchema(whole)) return whole;
  const order = [...all].sort((a, b) => Number(a.status === "pass") - Number(b.status === "pass"));
  const short = order.map(shorten).slice(0, SUB_RESULTS_MAX);
  let kept = short.length;
  for (;;) {
    const out = all.length - kept;
    const note = `${out} of ${all.length} sub-results are left out, which is what a line holds`;
    const said =
      out === 0
        ? reason
        : head(reason === null ? note : `${note}; ${reason}`, FAILURE_REASON_LENGTH_MAX);
    const cut: ProbeResult = { ...event, failureReason: said, subResults: short.slice(0, kept) };
    if (kept === 0 || withinSchema(cut)) return cut;
    kept = Math.floor(kept * 0.9);
  }
}

const withinSchema = (event: ProbeResult): boolean =>
  (event.subResults?.every((sub) => subResult.safeParse(sub).success) ?? true) && fits(event);

const shorten = (sub: SubResult): SubResult => ({
  ...sub,
  framework: head(sub.framework, SUB_TEXT_LENGTH_MAX),
  article: sub.article === null ? null : head(sub.article, SUB_TEXT_LENGTH_MAX),
  overrideReason:
    sub.overrideReason === null ? null : head(sub.overrideReason, SUB_TEXT_LENGTH_MAX),
});
