import { isProbeName } from "@nixwave/effects";
import fc from "fast-check";
import { z } from "zod";
import { STDERR_TAIL_BYTES_MAX } from "./event.ts";
import { gateName } from "./explanation.ts";
import * as ids from "./ids.ts";
import { instantMs, instantText } from "./time.ts";

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
const dotted = fc.stringMatching(/^[a-zA-Z0-9._-]{1,128}$/).filter(isProbeName);
const positive = fc.oneof(
  fc.integer({ min: 1, max: 1000 }),
  fc.maxSafeNat().map((n) => Math.max(n, 1)),
);
/** Up to the end of the year 9999, which is the last that RFC 3339 can spell. */
const ms = fc.integer({ min: 0, max: 253_402_300_799_999 });

/** Schemas whose rule is code, not structure. Keyed by identity. */
const BY_SCHEMA = new Map<z.core.$ZodType, fc.Arbitrary<unknown>>([
  [ids.hostName, fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."))],
  [ids.channel, fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,63}$/)],
  [ids.channelRef, hex(40)],
  [ids.rolloutIdText, fc.tuple(label, hex(40)).map(([channel, ref]) => `${channel}@${ref}`)],
  [
    ids.closureHash,
    fc.stringMatching(/^[0-9a-df-np-sv-z]{32}-[a-zA-Z0-9+._?=][a-zA-Z0-9+._?=-]{0,40}$/),
  ],
  [ids.probeName, dotted],
  [ids.controlId, dotted],
  [ids.journalId, hex(32)],
  [ids.bootId, fc.stringMatching(/^[a-zA-Z0-9-]{1,64}$/)],
  [ids.freezeId, hex(16)],
  [ids.sha256Text, hex(64)],
  [ids.seq, positive],
  [ids.attempt, positive],
  [ids.offset, fc.maxSafeNat()],
  [instantText, ms.map((at) => new Date(at).toISOString())],
  [instantMs, ms],
  [gateName, fc.constantFrom("wave", "budget", "rollout-halted", "host-edge")],
]);

/** Values that a schema of this package takes, as they stand on the wire: made from its structure, so that none is forgotten. */
export function wireOf(schema: z.core.$ZodType): fc.Arbitrary<unknown> {
  const known = BY_SCHEMA.get(schema);
  if (known !== undefined) return known;
  if (schema instanceof z.ZodReadonly) return wireOf(schema.def.innerType);
  if (schema instanceof z.ZodNullable)
    return fc.option(wireOf(schema.def.innerType), { nil: null });
  if (schema instanceof z.ZodOptional) return wireOf(schema.def.innerType);
  if (schema instanceof z.ZodObject) return objectOf(schema.shape);
  if (schema instanceof z.ZodArray) {
    const minLength = ruleOf(schema, "minimum", (value) => typeof value === "number") ?? 0;
    return fc.array(wireOf(schema.def.element), { minLength, maxLength: minLength + 3 });
  }
  if (schema instanceof z.ZodUnion) return fc.oneof(...schema.def.options.map(wireOf));
  if (schema instanceof z.ZodLiteral) return fc.constantFrom(...schema.def.values);
  if (schema instanceof z.ZodEnum) return fc.constantFrom(...Object.values(schema.def.entries));
  if (schema instanceof z.ZodRecord) {
    return fc.dictionary(wireOf(schema.def.keyType).map(String), wireOf(schema.def.valueType), {
      maxKeys: 3,
      noNullPrototype: true,
    });
  }
  if (schema instanceof z.ZodBoolean) return fc.boolean();
  // Written out, as every encoder does: a default is only for what was written before the field was.
  if (schema instanceof z.ZodDefault) return wireOf(schema.def.innerType);
  if (schema instanceof z.ZodNumber) return numberOf(schema);
  if (schema instanceof z.ZodString) return textOf(schema);
  throw new Error(`no arbitrary for a schema of type ${schema._zod.def.type}`);
}

const objectOf = (shape: z.core.$ZodShape): fc.Arbitrary<unknown> =>
  fc.record(
    Object.fromEntries(Object.entries(shape).map(([key, schema]) => [key, wireOf(schema)])),
    { noNullPrototype: true },
  );

function numberOf(schema: z.ZodNumber): fc.Arbitrary<number> {
  const min = Math.max(schema.minValue ?? 0, 0);
  const max = Math.min(schema.maxValue ?? 1e9, 1e9);
  return fc.integer({ min: Math.ceil(min), max: Math.floor(max) });
}

function textOf(schema: z.ZodString): fc.Arbitrary<string> {
  const pattern = ruleOf(schema, "pattern", (value) => value instanceof RegExp);
  if (pattern !== undefined) return fc.stringMatching(pattern);
  const longest = schema.maxLength ?? STDERR_TAIL_BYTES_MAX / 4;
  return fc
    .string({
      unit: "grapheme",
      minLength: schema.minLength ?? 0,
      maxLength: Math.min(longest, 200),
    })
    .filter((text) => text.length <= longest);
}

/** What one of a schema's checks demands. */
function ruleOf<T>(
  schema: z.core.$ZodType,
  name: string,
  is: (value: unknown) => value is T,
): T | undefined {
  const rules = (schema._zod.def.checks ?? []).map((check) =>
    Object.entries(check._zod.def).find(([key, value]) => key === name && is(value)),
  );
  return rules.map((rule) => rule?.[1]).find((value): value is T => is(value));
}
