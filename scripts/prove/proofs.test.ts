import { expect, test } from "vitest";
import { ROOT } from "../source.ts";
import { runLanes } from "../verify/run.ts";
import { proofs, WORLDS_SECS_MAX } from "./proofs.ts";

const [worlds, fleet, small] = proofs({ seeds: 3, hosts: 20, secondsMax: 60 });

async function lines(proof: typeof worlds, ...more: readonly string[]) {
  if (proof === undefined) throw new Error("it is not among the proofs");
  const { step, shows } = proof;
  let told: { readonly ok: boolean; readonly shown: readonly string[] } | null = null;
  await runLanes([[{ ...step, command: [...step.command, ...more] }]], {
    folder: ROOT,
    said: () => {},
    ended: ({ ok, output }) => {
      told = { ok, shown: output.split("\n").filter((line) => shows.test(line)) };
    },
  });
  return told;
}

test("worlds a second, virtual time, events and crashes are shown", async () => {
  const shown = [
    expect.stringMatching(
      /^seeds 1 to 3: 3 worlds in .* a second; .* of virtual time .* events applied, .* crashes survived; /,
    ),
  ];
  expect(await lines(worlds)).toEqual({ ok: true, shown });
});

test("a fleet that gets through its release is shown", async () => {
  const shown = [expect.stringMatching(/^20 hosts Converged in .* of virtual time and .* real/)];
  expect(await lines(fleet)).toEqual({ ok: true, shown });
});

test("how many states were searched is shown", async () => {
  const shown = [expect.stringMatching(/^Nothing was broken: 1 worlds, [\d,]+ states, \d+ s\.$/)];
  expect(await lines(small, "--only", "one host, one wave")).toEqual({ ok: true, shown });
});

test("each has a bound, and all of them have one", () => {
  const bounds = proofs({ seeds: 10_000, hosts: 10_000, secondsMax: WORLDS_SECS_MAX }).map(
    ({ step }) => step.secondsMax ?? Number.POSITIVE_INFINITY,
  );
  // CI has ninety minutes, and begins with installing.
  expect(bounds.reduce((all, each) => all + each)).toBeLessThanOrEqual(5000);
});
