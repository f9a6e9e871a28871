import fc from "fast-check";
import { expect, test } from "vitest";
import { orderByGates } from "./graph.ts";
import { didYouMean } from "./suggestion.ts";

const node = fc.constantFrom("a", "b", "c", "d", "e", "f");
const arrows = fc.array(fc.record({ gates: node, gated: node }), { maxLength: 12 });

test("an order puts every gate before what it gates; a cycle is one that can be walked", () => {
  fc.assert(
    fc.property(arrows, (all) => {
      const found = orderByGates<string>(["a", "z"], all);
      if (found.kind === "ordered") {
        expect(new Set(found.order).size).toBe(found.order.length);
        expect(found.order).toContain("z");
        for (const { gates, gated } of all) {
          expect(found.order.indexOf(gates)).toBeLessThan(found.order.indexOf(gated));
        }
        return;
      }
      expect(found.cycle.length).toBeGreaterThan(1);
      expect(found.cycle.at(0)).toBe(found.cycle.at(-1));
      for (const [index, gates] of found.cycle.slice(0, -1).entries()) {
        expect(all).toContainEqual({ gates, gated: found.cycle[index + 1] });
      }
    }),
  );
});

test("a chain of 100,000 takes no stack", () => {
  const chain = Array.from({ length: 100_000 }, (_, at) => ({
    gates: `${at}`,
    gated: `${at + 1}`,
  }));
  expect(orderByGates<string>([], chain).kind).toBe("ordered");
  expect(orderByGates<string>([], [...chain, { gates: "100000", gated: "0" }]).kind).toBe("cycle");
});

test.each([
  ["web-9", " Did you mean web-8?"],
  ["wbe-8", " Did you mean web-8?"],
  ["web8", " Did you mean web-8?"],
  ["database", ""],
  ["x", ""],
  ["", ""],
])("for %s: %s", (word, hint) => {
  expect(didYouMean(word, ["web-8", "db-1"])).toBe(hint);
});
