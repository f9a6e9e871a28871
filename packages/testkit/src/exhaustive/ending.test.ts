import { expect, test } from "vitest";
import { Steps } from "./ending.ts";
import { StateTable } from "./stateTable.ts";

test("a circle that leads nowhere is found, one with a way out is not", () => {
  const steps = new Steps();
  for (const [from, to] of [
    [0, 1],
    [1, 2],
    [2, 1],
    [0, 3],
    [3, 4],
    [4, 3],
    [4, 5],
  ] as const)
    steps.add(from, to);
  expect(steps.firstWithoutEnd(6, [5])).toBe(1);
  steps.add(2, 4);
  expect(steps.firstWithoutEnd(6, [5])).toBeNull();
});

test("more steps than there is room for at first are all kept", () => {
  const steps = new Steps();
  const states = 100_000;
  for (let at = 0; at + 1 < states; at += 1) steps.add(at, at + 1);
  expect(steps.firstWithoutEnd(states, [states - 1])).toBeNull();
  expect(steps.firstWithoutEnd(states, [states - 2])).toBe(states - 1);
});

test("a state has one number, however many there are", () => {
  const table = new StateTable(3);
  const rows = Array.from({ length: 20_000 }, (_, at) => [at % 7, at, -1]);
  expect(rows.map((row) => table.add(row))).toEqual(rows.map((_, at) => ({ at, isNew: true })));
  expect(rows.map((row) => table.add(row))).toEqual(rows.map((_, at) => ({ at, isNew: false })));
  expect(table.row(1234)).toEqual(rows[1234]);
  expect(table.size).toBe(rows.length);
});
