import { expect, test } from "vitest";
import { AWAY, cannedCp, runCli, viewOf, withField } from "./run.fixture.ts";
import { styleOf } from "./style.ts";
import type { Surroundings } from "./surroundings.ts";

test("on a terminal a watch redraws in place until Ctrl-C", async () => {
  const cp = await cannedCp(() => ({ "GET /v1/status": viewOf("status-moving") }));
  const ran = await runCli(["status", "--watch", "--cp", cp.url], {
    screen: true,
    env: { NO_COLOR: "1" },
    onWait: (waits, ctrlC) => {
      if (waits === 2) ctrlC();
    },
  });
  await cp.close();
  expect(ran.code).toBe(0);
  const [, first, second, third] = ran.data.split("\u001B[H");
  expect(ran.data.startsWith("\u001B[2J")).toBe(true);
  expect(first).toContain("stable@9f3c2ab");
  expect(second).toBe(first);
  expect(third).toBeUndefined();
});

test("off a terminal a watch prints what it sees when it changes, without an escape", async () => {
  let view = viewOf("status-moving");
  const cp = await cannedCp(() => ({ "GET /v1/status": view }));
  const ran = await runCli(["status", "--watch", "--cp", cp.url], {
    onWait: (waits, ctrlC) => {
      if (waits === 2) view = withField(view, ["channels", "0", "rollout", "done"], 6);
      if (waits === 5) ctrlC();
    },
  });
  await cp.close();
  expect(ran.data).not.toMatch(/\p{Cc}\[/u);
  expect(ran.data.match(/\d \/ 17/g)).toEqual(["5 / 17", "6 / 17"]);
});

test("events --follow goes on where it was, and says where the log begins", async () => {
  const items: unknown = Reflect.get(Object(viewOf("events")), "items");
  const [first, second]: unknown[] = Array.isArray(items) ? items : [];
  const cp = await cannedCp(() => ({
    "GET /v1/events?limit=500&host=canary-1": { items: [first], after: 1, beginsAt: 1, newest: 1 },
    "GET /v1/events?after=1&limit=500&host=canary-1": {
      items: [second],
      after: 2,
      beginsAt: 1,
      newest: 2,
    },
    "GET /v1/events?after=2&limit=500&host=canary-1": {
      items: [],
      after: 2,
      beginsAt: 1,
      newest: 2,
    },
  }));
  const ran = await runCli(["events", "--follow", "--host", "canary-1", "--json", "--cp", cp.url], {
    onWait: (waits, ctrlC) => {
      if (waits === 3) ctrlC();
    },
  });
  const text = await runCli(["events", "--host", "canary-1", "--cp", cp.url]);
  await cp.close();
  const lines = ran.data
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(lines).toEqual([first, second]);
  expect(ran.talk).toBe("The log begins at 1: what was before is archived.\n");
  expect(text.data).toBe(
    "09:12:06  –             stable@9f3c2ab    release verified; it is current\n",
  );
});

test("events --follow goes on when the control plane has been away for a moment, and says so once", async () => {
  const items: unknown = Reflect.get(Object(viewOf("events")), "items");
  const [first, second]: unknown[] = Array.isArray(items) ? items : [];
  const path = "GET /v1/events?limit=500&host=canary-1";
  const next = "GET /v1/events?after=1&limit=500&host=canary-1";
  const page = (item: unknown, after: number) => ({
    items: [item],
    after,
    beginsAt: 0,
    newest: after,
  });
  let isAway = false;
  const cp = await cannedCp(() => ({
    [path]: page(first, 1),
    [next]: isAway ? AWAY : page(second, 2),
  }));
  const argv = ["events", "--follow", "--host", "canary-1", "--json", "--cp", cp.url];
  const ran = await runCli(argv, {
    onWait: (waits, ctrlC) => {
      isAway = waits < 4;
      if (waits === 5) ctrlC();
    },
  });
  isAway = true;
  const once = await runCli(argv.filter((word) => word !== "--follow"));
  await cp.close();
  expect(ran.code).toBe(0);
  expect(ran.data.trimEnd().split("\n")).toHaveLength(2);
  expect(ran.talk.match(/Trying again\.\n/g)).toHaveLength(1);
  expect(once.code).toBe(0);
});

test.each([
  [true, {}, true],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
  [false, {}, false],
])("on a screen %j with %j, colour is %j", (screen, env, colour) => {
  const terminal: Surroundings["terminal"] = {
    data: () => undefined,
    talk: () => undefined,
    ask: async () => "",
    askSecret: async () => "",
    interactive: screen,
    screen,
    columns: () => 80,
    rows: () => 24,
  };
  expect(styleOf({ terminal, env, timeZone: "UTC" }).colour).toBe(colour);
});
