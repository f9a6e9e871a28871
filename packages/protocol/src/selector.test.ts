import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hostName } from "./ids.ts";
import { matcher, namedHosts, parseSelector, type Selector, selectorSchema } from "./selector.ts";

const name = (text: string) => hostName.parse(text);
const FLEET = [
  { host: name("web-1"), tags: ["web", "eu"] },
  { host: name("web-2"), tags: ["web"] },
  { host: name("db-1"), tags: ["db", "eu"] },
  { host: name("bare"), tags: [] },
];
const { selector } = fc.letrec<{ selector: Selector }>((tie) => ({
  selector: fc.oneof(
    { maxDepth: 4 },
    fc.constant<Selector>({ all: true }),
    fc
      .uniqueArray(fc.constantFrom("web", "db", "eu", "none"), { minLength: 1 })
      .map((tags) => ({ tags })),
    fc
      .uniqueArray(fc.constantFrom(...FLEET.map(({ host }) => host)), { minLength: 1 })
      .map((hosts) => ({ hosts })),
    tie("selector").map((not) => ({ not })),
    fc.array(tie("selector"), { minLength: 1, maxLength: 3 }).map((and) => ({ and })),
    fc.array(tie("selector"), { minLength: 1, maxLength: 3 }).map((or) => ({ or })),
  ),
}));

const namesOf = (chosen: Selector) => FLEET.filter(matcher(chosen)).map(({ host }) => String(host));

/** The dumb twin: selectors as sets, by De Morgan without a single `and`. */
function setOf(chosen: Selector): Set<string> {
  const all = FLEET.map(({ host }) => String(host));
  const but = (some: Set<string>) => new Set(all.filter((host) => !some.has(host)));
  if ("all" in chosen) return new Set(all);
  if ("tags" in chosen) {
    const without = FLEET.filter(({ tags }) => chosen.tags.some((tag) => !tags.includes(tag)));
    return but(new Set(without.map(({ host }) => host)));
  }
  if ("hosts" in chosen) return new Set(chosen.hosts);
  if ("not" in chosen) return but(setOf(chosen.not));
  if ("and" in chosen) return but(new Set(chosen.and.flatMap((part) => [...but(setOf(part))])));
  return new Set(chosen.or.flatMap((part) => [...setOf(part)]));
}

test("a selector selects what the same expression over sets does, and reads back from JSON", () => {
  fc.assert(
    fc.property(selector, (chosen) => {
      expect(new Set(namesOf(chosen))).toEqual(setOf(chosen));
      expect(selectorSchema.parse(JSON.parse(JSON.stringify(chosen)))).toEqual(chosen);
      expect(parseSelector(JSON.stringify(chosen))).toEqual({ ok: true, value: chosen });
    }),
  );
});

test("the hosts that it names are found with their paths", () => {
  const chosen: Selector = { and: [{ all: true }, { not: { or: [{ hosts: [name("db-1")] }] } }] };
  expect(namedHosts(chosen, ["select"])).toEqual([
    { host: "db-1", path: ["select", "and", 1, "not", "or", 0, "hosts", 0] },
  ]);
});

describe("as a person types it", () => {
  test.each([
    ["@web", ["web-1", "web-2"]],
    ["@web@eu", ["web-1"]],
    ["web-1, db-1", ["web-1", "db-1"]],
    ["all", ["web-1", "web-2", "db-1", "bare"]],
    ['{"not":{"tags":["web"]}}', ["db-1", "bare"]],
  ])("%s", (text, hosts) => {
    const read = parseSelector(text);
    expect(read.ok && namesOf(read.value)).toEqual(hosts);
  });

  test.each([
    ["@", "expected @tag"],
    ["Web 1", 'not "Web 1"'],
    ["", "expected host names"],
    ["{", "begins like JSON, but is not"],
    ['{"tag":["web"]}', 'unknown selector "tag"'],
    ['{"all":true,"tags":["a"]}', "and one of them only"],
    ['{"and":[]}', "expected a list of selectors"],
    [`${'{"not":'.repeat(200)}{"all":true}${"}".repeat(200)}`, "nested too deeply"],
  ])("%s is refused (hazard 28)", (text, sentence) => {
    expect(parseSelector(text)).toMatchObject({
      ok: false,
      error: expect.stringContaining(sentence),
    });
  });

  test("whatever is typed or sent, it answers and never throws", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseSelector(text)));
    fc.assert(fc.property(fc.jsonValue(), (value) => void selectorSchema.safeParse(value)));
  });
});
