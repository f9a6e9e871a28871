import fc from "fast-check";
import { DEEDS, EVERYONE, type Op } from "./world.fixture.ts";

const anyHost = fc.constantFrom(...EVERYONE);
const as = <K extends string>(kind: K) => fc.constant(kind);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      kind: as("release"),
      channel: fc.constantFrom("stable" as const, "lab" as const),
      shape: fc.nat({ max: 7 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: as("deed"), host: anyHost, deed: fc.constantFrom(...DEEDS) }),
  },
  { weight: 8, arbitrary: fc.record({ kind: as("well"), host: anyHost }) },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: as("round"),
      but: fc.constantFrom(...EVERYONE, "none"),
      secs: fc.constantFrom(1, 60, 900),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: as("handOut"), host: anyHost }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: as("heard"),
      host: anyHost,
      leaving: fc.boolean(),
      journal: fc.option(fc.constantFrom("a", "b", "c"), { freq: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: as("tick"), secs: fc.constantFrom(1, 125, 900, 1800, 3600) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: as("operator"),
      what: fc.nat({ max: 19 }),
      host: anyHost,
      secs: fc.option(fc.constantFrom(30, 600)),
    }),
  },
);
/** A fleet that is heard and released to, and then anything. */
export const history = fc
  .tuple(
    fc.constant<readonly Op[]>([
      { kind: "release", channel: "lab", shape: 1 },
      { kind: "release", channel: "stable", shape: 3 },
      ...EVERYONE.map((name): Op => ({ kind: "heard", host: name, leaving: false, journal: "a" })),
    ]),
    fc.array(op, { maxLength: 80, size: "max" }),
  )
  .map(([first, rest]) => [...first, ...rest]);
