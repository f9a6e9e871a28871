import type {
  Block,
  ByKind,
  Dispatch,
  EventKind,
  Explanation,
  FleetInput,
  Freeze,
  HostMarks,
  HostRollout,
  OutboundAgentEvent,
  Policy,
  ProbeEvidence,
  Release,
  ReleaseHost,
  Rollout,
  RolloutInput,
  Terms,
} from "@nixwave/effects";
import { expect, test } from "vitest";
import type { z } from "zod";
import type { DispatchOffer, dispatchOffer } from "./dispatch.ts";
import type { EVENT_SCHEMAS, eventSchema } from "./event.ts";
import type { blockSchema, explanationSchema } from "./explanation.ts";
import type {
  shownFleetInput,
  shownRolloutInput,
  storedFleetInput,
  storedRolloutInput,
} from "./input.ts";
import type { policySchema } from "./policy.ts";
import type { evidenceSchema, shownHostRollout, storedHostRollout, termsSchema } from "./record.ts";
import type { constraintsSchema, Head, releaseHostSchema } from "./release.ts";
import type {
  shownDispatch,
  shownFreeze,
  shownRollout,
  storedDispatch,
  storedFreeze,
  storedHostMarks,
  storedRollout,
} from "./rollout.ts";

/** True only for the same type: `satisfies z.ZodType<T>` would let a schema leave a field out. */
type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Out<S extends z.ZodType> = z.output<S>;

/** A false one does not compile: the key names the schema that differs from its type. */
const exact: {
  readonly eachEvent: {
    [K in EventKind]: Equal<Out<(typeof EVENT_SCHEMAS)[K]>, ByKind<OutboundAgentEvent>[K]>;
  };
  readonly anyEvent: Equal<Out<typeof eventSchema>, OutboundAgentEvent>;
  readonly hostRollout: Equal<Out<typeof storedHostRollout>, HostRollout>;
  readonly shownHostRollout: Equal<Out<typeof shownHostRollout>, HostRollout>;
  readonly evidence: Equal<Out<ReturnType<typeof evidenceSchema>>, ProbeEvidence>;
  readonly rollout: Equal<Out<typeof storedRollout>, Rollout>;
  readonly shownRollout: Equal<Out<typeof shownRollout>, Rollout>;
  readonly hostMarks: Equal<Out<typeof storedHostMarks>, HostMarks>;
  readonly dispatch: Equal<Out<typeof storedDispatch>, Dispatch>;
  readonly shownDispatch: Equal<Out<typeof shownDispatch>, Dispatch>;
  readonly offer: Equal<Out<typeof dispatchOffer>, DispatchOffer>;
  readonly freeze: Equal<Out<typeof storedFreeze>, Freeze>;
  readonly shownFreeze: Equal<Out<typeof shownFreeze>, Freeze>;
  readonly rolloutInput: Equal<Out<typeof storedRolloutInput>, RolloutInput>;
  readonly shownRolloutInput: Equal<Out<typeof shownRolloutInput>, RolloutInput>;
  readonly fleetInput: Equal<Out<typeof storedFleetInput>, FleetInput>;
  readonly shownFleetInput: Equal<Out<typeof shownFleetInput>, FleetInput>;
  readonly block: Equal<Out<typeof blockSchema>, Block>;
  readonly explanation: Equal<Out<typeof explanationSchema>, Explanation>;
  readonly policy: Equal<Out<typeof policySchema>, Policy>;
  readonly terms: Equal<Out<typeof termsSchema>, Terms>;
  readonly releaseHost: Equal<Out<typeof releaseHostSchema>, ReleaseHost>;
  readonly waves: Equal<Head["waves"][number], Release["waves"][number]>;
  readonly channelEdges: Equal<Head["channelEdges"][number], Release["channelEdges"][number]>;
  readonly budget: Equal<
    Out<typeof constraintsSchema>["budgets"][number],
    Release["budgets"][number]
  >;
  readonly hostEdge: Equal<
    Out<typeof constraintsSchema>["edges"][number],
    Release["edges"][number]
  >;
} = {
  eachEvent: {
    DispatchAck: true,
    DispatchReject: true,
    ActivationStarted: true,
    ActivationCompleted: true,
    ActivationDeferred: true,
    ActivationFailed: true,
    ProbeTopologyDeclared: true,
    ProbeObservedFirst: true,
    ProbeResult: true,
    ProbeFailureFirst: true,
    Failed: true,
    RollbackStarted: true,
    RollbackComplete: true,
    RollbackFailed: true,
    Converged: true,
  },
  anyEvent: true,
  hostRollout: true,
  shownHostRollout: true,
  evidence: true,
  rollout: true,
  shownRollout: true,
  hostMarks: true,
  dispatch: true,
  shownDispatch: true,
  offer: true,
  freeze: true,
  shownFreeze: true,
  rolloutInput: true,
  shownRolloutInput: true,
  fleetInput: true,
  shownFleetInput: true,
  block: true,
  explanation: true,
  policy: true,
  terms: true,
  releaseHost: true,
  waves: true,
  channelEdges: true,
  budget: true,
  hostEdge: true,
};

test("every schema is exactly its type (hazard 9)", () => {
  const { eachEvent, ...others } = exact;
  expect([...Object.values(eachEvent), ...Object.values(others)]).not.toContain(false);
});
