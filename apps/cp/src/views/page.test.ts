import { expect, it } from "vitest";
import { mapPage, page } from "./page.ts";

const letters = ["a", "b", "c", "d", "e"];

it("walks a list without leaving out or repeating any", () => {
  const seen: string[] = [];
  let cursor: string | undefined;
  for (;;) {
    const { items, next, total } = page(letters, String, { limit: 2, cursor });
    expect(total).toBe(5);
    seen.push(...items);
    if (next === null) break;
    cursor = next;
  }
  expect(seen).toEqual(letters);
});

it("ends on the last item, also where the page is just full", () => {
  expect(page(letters, String, { limit: 5 }).next).toBeNull();
  expect(page([], String, {})).toEqual({ items: [], next: null, total: 0 });
});

it("begins anew where the cursor's item has gone", () => {
  expect(page(letters, String, { cursor: "z", limit: 1 }).items).toEqual(["a"]);
});

it("shows only what is on the page", () => {
  const shown: string[] = [];
  mapPage(page(letters, String, { limit: 2 }), (letter) => shown.push(letter));
  expect(shown).toEqual(["a", "b"]);
});
