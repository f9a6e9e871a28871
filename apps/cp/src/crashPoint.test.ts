import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { CRASH_POINTS, crashFrom } from "./crashPoint.ts";

const here = dirname(fileURLToPath(import.meta.url));

test("each crash point is at exactly one place in the code, and there are no others", () => {
  const used = readdirSync(here, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
    .flatMap((path) => [
      ...readFileSync(join(here, path), "utf8").matchAll(/crash\.point\(\s*"([^"]+)"/g),
    ])
    .map(([, name]) => name ?? "");
  expect(used.toSorted()).toEqual([...CRASH_POINTS].toSorted());
});

test("the n-th time at its point, and at no other, the process is killed", () => {
  let killed = 0;
  const crash = crashFrom("after-commit:2", () => {
    killed += 1;
  });
  crash.point("before-commit");
  crash.point("after-commit");
  expect(killed).toBe(0);
  crash.point("after-commit");
  crash.point("after-commit");
  expect(killed).toBe(1);
});

test("an unknown point says which there are", () => {
  expect(() => crashFrom("somewhere", () => undefined)).toThrow(/before-commit.*not "somewhere"/);
  expect(crashFrom(undefined, () => undefined).point("before-commit")).toBeUndefined();
});
