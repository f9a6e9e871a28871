import { runCommand } from "../command.ts";
import { ROOT } from "../source.ts";
import { lanesOf } from "./lanes.ts";
import { runLanes } from "./run.ts";

// Everything that CI does, in lanes that go side by side (lanes.ts).

const USAGE = `pnpm verify            format, lint, types, dead code, all tests, the demo, the simulator, the exhaustive search
pnpm verify --hosts    the tests on whole hosts too (pnpm test:system), as root or by sudo
`;

const VERIFY = { name: "verify", usage: USAGE, options: { hosts: { type: "boolean" } } } as const;

await runCommand(VERIFY, async ({ hosts }) => {
  const results = process.env["NIXWAVE_TEST_RESULTS"];
  const root = process.getuid?.() === 0 ? "as root" : "by sudo";
  const lanes = lanesOf({
    ...(results === undefined ? {} : { results }),
    ...(hosts === true ? { hosts: root } : {}),
  });

  const began = performance.now();
  const write = (text: string): void => void process.stdout.write(text);
  const sinceBegan = (): string => `${Math.round((performance.now() - began) / 1000)} s`;
  const whole: string[] = [];

  const { failed, left } = await runLanes(lanes, {
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
    return 1;
  }
  write(`verify: all is well, ${sinceBegan()}.\n`);
  return 0;
});
