import { afterAll, beforeAll, expect, test } from "vitest";
import { cannedCp, PlainText, runCli, viewOf } from "../run.fixture.ts";

const STABLE = `stable@9f3c2ab${"0".repeat(33)}`;
const summary: unknown = Reflect.get(
  Object(Reflect.get(Object(viewOf("rollout")), "view")),
  "rollout",
);
let cp: Awaited<ReturnType<typeof cannedCp>>;
beforeAll(async () => {
  cp = await cannedCp(() => ({
    "GET /v1/hosts/web-7/logs": new PlainText("activating\nunit failed \u001b[31mred\u001b[0m\n"),
    [`GET /v1/hosts/web-7/logs?rollout=${encodeURIComponent(STABLE)}`]: new PlainText(
      "of stable\n",
    ),
    "GET /v1/rollouts": { items: [summary], next: null, total: 1 },
  }));
});
afterAll(() => cp.close());
const run = (...args: readonly string[]) => runCli(["logs", ...args, "--cp", cp.url]);

test("a host's output is printed as it is, but for what would move the terminal's cursor", async () => {
  expect(await run("web-7")).toMatchObject({
    code: 0,
    data: "activating\nunit failed ·[31mred·[0m\n",
  });
  expect(JSON.parse((await run("web-7", "--json")).data)).toMatchObject({
    host: "web-7",
    output: expect.stringContaining("activating\n"),
  });
});

test("of one rollout, by its channel", async () => {
  expect((await run("web-7", "--rollout", "stable")).data).toBe("of stable\n");
});

test("a host without output is said", async () => {
  const { code, talk } = await run("web-8");
  expect(code).not.toBe(0);
  expect(talk).toContain("web-8");
});
