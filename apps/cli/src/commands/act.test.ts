import { afterAll, beforeAll, expect, test } from "vitest";
import { type Canned, cannedCp, runCli, viewOf, withField } from "../run.fixture.ts";

const REF = `9f3c2ab${"0".repeat(33)}`;
const STABLE = `stable@${REF}`;
const CLOSURE = `5kxq1${"0".repeat(27)}-cam-os-9`;
const view: unknown = Reflect.get(Object(viewOf("rollout")), "view");
const summary: unknown = Reflect.get(Object(view), "rollout");
const of = (action: string): string => `/v1/rollouts/${encodeURIComponent(STABLE)}${action}`;
const FREEZE = {
  freezeId: "00c0ffee00c0ffee",
  scope: { kind: "all" },
  by: "ops-1",
  reason: "holiday",
  since: "2026-11-24T08:00:00.000Z",
  until: null,
};
const QUARANTINE = {
  channel: "stable",
  closure: CLOSURE,
  since: "2026-11-24T08:00:00.000Z",
  host: null,
  rolloutId: null,
  hosts: 1,
};
const page = (items: readonly unknown[]): object => ({ items, next: null, total: items.length });

const ANSWERS: Canned = {
  "GET /v1/rollouts": page([summary]),
  "GET /v1/rollouts?limit=1&channel=deadbee": page([]),
  "GET /v1/rollouts?limit=1&channel=9f3c2ab": page([]),
  "GET /v1/rollouts?limit=1&channel=9f3c2a": page([]),
  [`GET ${of("")}`]: view,
  [`POST ${of("/pause")}`]: summary,
  [`POST ${of("/resume")}`]: summary,
  [`POST ${of("/clear")}`]: summary,
  [`POST ${of("/cancel")}`]: summary,
  [`POST ${of("/advance")}`]: summary,
  "POST /v1/hosts/web-7/retry": viewOf("why-budget"),
  "GET /v1/hosts": page([Reflect.get(Object(viewOf("why-budget")), "row")]),
  "POST /v1/freezes": FREEZE,
  "GET /v1/freezes": page([FREEZE]),
  "POST /v1/freezes/00c0ffee00c0ffee/lift": FREEZE,
  "GET /v1/quarantines": page([QUARANTINE]),
  [`POST /v1/quarantines/stable/${encodeURIComponent(CLOSURE)}/lift`]: QUARANTINE,
  "GET /v1/status": viewOf("status"),
};

let cp: Awaited<ReturnType<typeof cannedCp>>;
beforeAll(async () => {
  cp = await cannedCp(() => ANSWERS);
});
afterAll(() => cp.close());
const posts = () => cp.asked.filter(({ method }) => method === "POST");
const run = (args: readonly string[], answer?: string) =>
  runCli([...args, "--cp", cp.url], answer === undefined ? {} : { answer });

const BECAUSE = ["--reason", "maintenance"];
const ACTIONS: readonly [args: readonly string[], path: string, body: object][] = [
  [
    ["pause", "stable", "--until", "2h"],
    of("/pause"),
    { reason: "maintenance", until: "2026-11-24T11:24:10.000Z" },
  ],
  [["pause", "9f3c2ab"], of("/pause"), { reason: "maintenance", until: null }],
  [["resume", "stable@9f3c2ab"], of("/resume"), { reason: "maintenance" }],
  [["clear", STABLE], of("/clear"), { reason: "maintenance" }],
  [["cancel", "stable"], of("/cancel"), { reason: "maintenance" }],
  [["advance", "stable"], of("/advance"), { reason: "maintenance", wave: 2 }],
  [["advance", "stable", "--wave", "1"], of("/advance"), { reason: "maintenance", wave: 1 }],
  [["retry", "web-7"], "/v1/hosts/web-7/retry", { reason: "maintenance" }],
  [
    ["freeze", "--all"],
    "/v1/freezes",
    { reason: "maintenance", until: null, scope: { kind: "all" } },
  ],
  [
    ["freeze", "--channel", "edge"],
    "/v1/freezes",
    { reason: "maintenance", until: null, scope: { kind: "channel", channel: "edge" } },
  ],
  [
    ["freeze", "--hosts", "@web"],
    "/v1/freezes",
    { reason: "maintenance", until: null, scope: { kind: "hosts", hosts: ["web-7"] } },
  ],
  [["unfreeze"], "/v1/freezes/00c0ffee00c0ffee/lift", { reason: "maintenance" }],
  [["unfreeze", "00c0f"], "/v1/freezes/00c0ffee00c0ffee/lift", { reason: "maintenance" }],
  [
    ["quarantine", "lift", "stable", "5kxq1"],
    `/v1/quarantines/stable/${encodeURIComponent(CLOSURE)}/lift`,
    { reason: "maintenance" },
  ],
  [
    ["quarantine", "lift", "stable", "5kxq1…-cam-os-9"],
    `/v1/quarantines/stable/${encodeURIComponent(CLOSURE)}/lift`,
    { reason: "maintenance" },
  ],
];

test.each(ACTIONS)("%j sends one request, with the operator's name", async (args, path, body) => {
  const before = posts().length;
  const ran = await run([...args, ...BECAUSE]);
  expect(ran.code).toBe(0);
  expect(ran.data).not.toBe("");
  expect(posts().slice(before)).toEqual([{ method: "POST", path, body, operator: "ops-2" }]);
});

test.each(ACTIONS)(
  "%j --dry-run says the same request and sends none",
  async (args, path, body) => {
    const before = posts().length;
    const text = await run([...args, ...BECAUSE, "--dry-run"]);
    expect(text.code).toBe(0);
    expect(text.talk).toMatch(/Would .*Nothing was sent\.\n$/);
    expect(text.data).toBe(`POST ${path}\n${JSON.stringify(ordered(text.data, body))}\n`);
    const json = await run([...args, ...BECAUSE, "--dry-run", "--json"]);
    expect(JSON.parse(json.data)).toEqual({ method: "POST", path, body });
    expect(posts().length).toBe(before);
  },
);

/** The body as printed, if it equals the one expected: the order of its keys is the schema's. */
function ordered(data: string, body: object): unknown {
  const printed: unknown = JSON.parse(data.split("\n")[1] ?? "null");
  expect(printed).toEqual(body);
  return printed;
}

test.each(ACTIONS)("%j asks once on a terminal, and takes no for an answer", async (args) => {
  const before = posts().length;
  const no = await run([...args, ...BECAUSE], "");
  expect(no.code).toBe(1);
  expect(no.talk.match(/\[y\/N\]/g)).toHaveLength(1);
  expect(posts().length).toBe(before);
  const yes = await run([...args, ...BECAUSE, "--yes"], "n");
  expect(yes.code).toBe(0);
  expect(yes.talk).not.toContain("[y/N]");
});

test("what is named by its beginning is looked for on every page", async () => {
  const [first, last] = [page([]), page([])].map((one) => ({ ...one, total: 2 }));
  const turned = (items: readonly unknown[]) => ({ ...first, items, next: "more" });
  const other = { ...FREEZE, freezeId: "ffffffffffffffff" };
  const elsewhere = { ...QUARANTINE, closure: `9${CLOSURE.slice(1)}` };
  const old = withField(
    withField(summary, ["ref"], REF.replace("9f3", "000")),
    ["rolloutId"],
    STABLE.replace("9f3", "000"),
  );
  const paged = await cannedCp(() => ({
    ...ANSWERS,
    "GET /v1/freezes?limit=500": turned([other]),
    "GET /v1/freezes?limit=500&cursor=more": { ...last, items: [FREEZE] },
    "GET /v1/quarantines?limit=500&channel=stable": turned([elsewhere]),
    "GET /v1/quarantines?limit=500&cursor=more&channel=stable": { ...last, items: [QUARANTINE] },
    "GET /v1/rollouts?limit=500&channel=stable": turned([old]),
    "GET /v1/rollouts?limit=500&cursor=more&channel=stable": { ...last, items: [summary] },
  }));
  const done = async (...args: readonly string[]) =>
    (await runCli([...args, ...BECAUSE, "--cp", paged.url])).code;
  expect(await done("unfreeze", "00c0")).toBe(0);
  expect(await done("quarantine", "lift", "stable", "5kxq1")).toBe(0);
  expect(await done("pause", "stable@9f3c2ab")).toBe(0);
  const ran = await runCli(["quarantine", "list", "stable", "--json", "--cp", paged.url]);
  await paged.close();
  expect(JSON.parse(ran.data)).toMatchObject({
    items: [elsewhere, QUARANTINE],
    next: null,
    total: 2,
  });
});

test("a list that never ends is refused, not cut", async () => {
  const endless = await cannedCp(() => ({
    ...ANSWERS,
    "GET /v1/freezes": { items: [], next: "more", total: 1 },
  }));
  const ran = await runCli(["unfreeze", ...BECAUSE, "--cp", endless.url]);
  await endless.close();
  expect(ran.code).toBe(1);
  expect(ran.talk).toContain("did not end");
});

const REFUSED: readonly [args: readonly string[], said: RegExp][] = [
  [["pause", "stable"], /required option '--reason <TEXT>'/],
  [["pause", "stable", "--reason", " "], /--reason is empty/],
  [["pause", "stable", "--reason", "x".repeat(501)], /--reason has 501 characters, of at most 500/],
  [
    ["pause", "stable", ...BECAUSE, "--until", "tomorrow"],
    /--until “tomorrow”: expected a time from now/,
  ],
  [["pause", "stable", ...BECAUSE, "--until", "2026-11-24T09:00:00Z"], /is over already/],
  [["pause", "stable", "extra", ...BECAUSE], /too many arguments/],
  [
    ["pause", "deadbee", ...BECAUSE],
    /“deadbee” is no rollout: expected a channel, or a rollout such as/,
  ],
  [["pause", "9f3c2a", ...BECAUSE], /is no rollout/],
  [["pause", "STABLE", ...BECAUSE], /is no rollout/],
  [["advance", "stable", "--wave", "0", ...BECAUSE], /--wave “0”: expected the number of a wave/],
  [["advance", "stable", "--wave", "9", ...BECAUSE], /has no wave 9: expected 1 to 3/],
  [["retry", "Web_7", ...BECAUSE], /“Web_7” is no host name/],
  [["freeze", ...BECAUSE], /Freeze what\? Expected exactly one of/],
  [["freeze", "--all", "--channel", "edge", ...BECAUSE], /Freeze what\?/],
  [["unfreeze", "ffff", ...BECAUSE], /“ffff” is no freeze in force\. There is 00c0ffee00c0ffee/],
  [["quarantine", "lift", "stable", "9zzz9", ...BECAUSE], /“9zzz9” is not quarantined on stable/],
  [["events", "--after", "soon"], /--after “soon”: expected a position/],
  [["events", "--kind", "Nothing"], /Allowed choices are/],
  [["hosts", "--state", "sick"], /Allowed choices are/],
  [["stauts"], /Did you mean status\?/],
  [["status", "--cp", "ftp://x"], /expected the control plane's address/],
];

test.each(REFUSED)("%j is refused with what was expected", async (args, said) => {
  const before = posts().length;
  const ran = args.includes("--cp") ? await runCli(args) : await run(args);
  expect(ran.code).toBe(1);
  expect(ran.data).toBe("");
  expect(ran.talk).toMatch(said);
  expect(ran.talk).toMatch(/^nixwave: /m);
  expect(posts().length).toBe(before);
});

test("every command that changes something takes --reason, --yes and --dry-run, and teaches by example", async () => {
  for (const command of [
    "pause",
    "resume",
    "advance",
    "retry",
    "clear",
    "cancel",
    "freeze",
    "unfreeze",
    "quarantine lift",
    "resume-after-restore",
  ]) {
    const ran = await runCli([...command.split(" "), "--help"]);
    expect(ran.code).toBe(0);
    for (const part of [
      "--reason",
      "--yes",
      "--dry-run",
      "--cp",
      "--json",
      `$ nixwave ${command}`,
    ]) {
      expect(ran.data, `${command} --help`).toContain(part);
    }
  }
  for (const command of [
    "status",
    "rollout show",
    "hosts",
    "why",
    "events",
    "init",
    "release",
    "quarantine list",
  ]) {
    const ran = await runCli([...command.split(" "), "--help"]);
    expect(ran.data, `${command} --help`).toContain(`$ nixwave ${command}`);
  }
});
