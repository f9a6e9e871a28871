import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { dispatchOffer, eventsAnswer, heartbeat, heartbeatAnswer } from "./dispatch.ts";
import { EVENT_KINDS, EVENT_SCHEMAS } from "./event.ts";
import { answerSchema, BLOCK_SCHEMAS, explanationSchema } from "./explanation.ts";
import { storedFleetInput, storedRolloutInput } from "./input.ts";
import { LOG_LINE_KINDS, shownLogLine, storedLogLine } from "./log.ts";
import { shownHostRollout, storedHostRollout } from "./record.ts";
import { bucketSchema, constraintsSchema, headSchema } from "./release.ts";
import { storedDispatch, storedFreeze, storedHostMarks, storedRollout } from "./rollout.ts";
import { hostView, rolloutView, statusView, whyView } from "./views.ts";
import { wireOf } from "./wire.fixture.ts";

const SCHEMAS: Record<string, z.ZodType> = {
  ...EVENT_SCHEMAS,
  ...BLOCK_SCHEMAS,
  answerSchema,
  bucketSchema,
  constraintsSchema,
  dispatchOffer,
  eventsAnswer,
  explanationSchema,
  headSchema,
  heartbeat,
  heartbeatAnswer,
  hostView,
  rolloutView,
  shownHostRollout,
  shownLogLine,
  statusView,
  storedDispatch,
  storedFleetInput,
  storedFreeze,
  storedHostMarks,
  storedHostRollout,
  storedLogLine,
  storedRollout,
  storedRolloutInput,
  whyView,
};

/** What goes through JSON and back, as a file, a row or a request does. */
const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test.each(Object.entries(SCHEMAS))("%s comes back from JSON as it was (hazard 9)", (_, schema) => {
  fc.assert(
    fc.property(wireOf(schema), (wire) => {
      const memory = schema.parse(throughJson(wire));
      const written = throughJson(z.encode(schema, memory));
      expect(written).toEqual(throughJson(wire));
      expect(schema.parse(written)).toEqual(memory);
    }),
    { numRuns: 25 },
  );
});

test.each(Object.entries(SCHEMAS))(
  "%s ignores fields that it does not know (hazards 84 and 85)",
  (_, schema) => {
    const [wire] = fc.sample(wireOf(schema), { numRuns: 1, seed: 1 });
    const known = z.record(z.string(), z.unknown()).parse(wire);
    expect(schema.parse({ ...known, fromALaterRelease: { deep: [1] } })).toEqual(
      schema.parse(known),
    );
  },
);

test("a stored instant that is text is refused, and a shown one that is a number: neither form is guessed (hazard 65)", () => {
  const freeze = {
    freezeId: "0123456789abcdef",
    scope: { kind: "all" },
    by: "ops",
    reason: "r",
    until: null,
  };
  expect(storedFreeze.safeParse({ ...freeze, since: 1 }).success).toBe(true);
  expect(storedFreeze.safeParse({ ...freeze, since: "2026-11-24T13:00:00.000Z" }).success).toBe(
    false,
  );
});

test("lists of kinds name exactly the kinds that there are", () => {
  expect([...EVENT_KINDS].sort()).toEqual(Object.keys(EVENT_SCHEMAS).sort());
  const kinds = storedLogLine.options.flatMap((option) => [...option.unwrap().shape.kind.values]);
  expect([...LOG_LINE_KINDS]).toEqual(kinds);
});

test("a record from before the digest was kept is read, and has none", () => {
  fc.assert(
    fc.property(wireOf(storedHostRollout), (wire) => {
      const old = JSON.stringify(wire).replace(/,"closureDigest":(?:null|"[0-9a-f]{64}")/, "");
      const { terms, ...rest } = storedHostRollout.parse(JSON.parse(old));
      const { terms: whole, ...others } = storedHostRollout.parse(throughJson(wire));
      expect(rest).toEqual(others);
      expect(terms).toEqual(whole === null ? null : { ...whole, closureDigest: null });
    }),
    { numRuns: 100 },
  );
});
