import { ROOT } from "../source.ts";
import { lanesOf } from "./lanes.ts";
import { runLanes } from "./run.ts";

// `pnpm verify`: everything that CI does, in lanes that go side by side (lanes.ts).

const began = performance.now();
const write = (text: string): void => void process.stdout.write(text);
const sinceBegan = (): string => `${Math.round((performance.now() - began) / 1000)} s`;
const whole: string[] = [];

const { failed, left } = await runLanes(lanesOf(process.env["NIXWAVE_TEST_RESULTS"]), {
  folder: ROOT,
  said: ({ name }, line) => {
    write(`${name}: ${line}\n`);
  },
  ended: ({ step, ok, output, secs }) => {
    write(`\n== ${step.name}: ${ok ? "done" : "FAILED"} in ${secs} s, at ${sinceBegan()}\n\n`);
    if (!ok) whole.push(`\n== ${step.name} failed and said:\n${output}`);
  },
});
if (failed.length > 0) {
  const rest = left.length > 0 ? ` Not run: ${left.join(", ")}.` : "";
  write(`${whole.join("")}\nverify: FAILED in ${failed.join(", ")}, ${sinceBegan()}.${rest}\n`);
  process.exitCode = 1;
} else write(`verify: all is well, ${sinceBegan()}.\n`);
