import type { EmitLog, LogLevel, SharedEffect } from "../effect.ts";
import type { OutboundAgentEvent } from "../event.ts";
import type { Instant } from "../time.ts";
import type { Outcome } from "./outcome.ts";
import type { HostRollout, HostState } from "./state.ts";

/** History behind the timeline: for every legal change of state. */
export function recordTransition(
  outcome: Outcome,
  state: HostRollout,
  now: Instant,
): readonly SharedEffect[] {
  if (outcome.kind !== "moved") return [];
  return [
    {
      kind: "RecordTransition",
      host: state.host,
      rolloutId: state.rolloutId,
      from: outcome.from,
      to: outcome.to,
      at: now,
    },
  ];
}

/** Metric and log line of an outcome, the same on both sides and always last. */
export function report(
  outcome: Outcome,
  state: HostRollout,
  event: OutboundAgentEvent,
): readonly SharedEffect[] {
  switch (outcome.kind) {
    case "moved": {
      const { from, to } = outcome;
      return [
        {
          kind: "EmitMetric",
          name: "nixwave_host_transitions_total",
          labels: [
            ["from", from],
            ["to", to],
            ["channel", state.channel],
          ],
          value: 1,
        },
        log(levelOf(to), "host moved", [
          ["host", state.host],
          ["rollout", state.rolloutId],
          ["from", from],
          ["to", to],
        ]),
      ];
    }
    case "stayed":
      return [
        {
          kind: "EmitMetric",
          name: "nixwave_events_total",
          labels: [["event", event.kind]],
          value: 1,
        },
      ];
    case "refused":
      return [
        {
          kind: "EmitMetric",
          name: "nixwave_events_refused_total",
          labels: [["code", outcome.code]],
          value: 1,
        },
        log("warn", "event refused", [
          ["host", state.host],
          ["rollout", state.rolloutId],
          ["event", event.kind],
          ["code", outcome.code],
        ]),
      ];
    case "duplicate":
    case "gap":
      return [];
  }
}

const log = (level: LogLevel, message: string, fields: EmitLog["fields"]): EmitLog => ({
  kind: "EmitLog",
  level,
  target: "host",
  message,
  fields,
});

function levelOf(to: HostState): LogLevel {
  switch (to) {
    case "Failed":
    case "Reverted":
      return "warn";
    case "Pending":
    case "Activating":
    case "Deferred":
    case "Soaking":
    case "Converged":
      return "info";
  }
}
