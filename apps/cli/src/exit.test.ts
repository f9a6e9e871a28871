import { afterAll, beforeAll, expect, test } from "vitest";
import { exitCode } from "./exit.ts";
import { type Canned, cannedCp, runCli, viewOf, withField } from "./run.fixture.ts";

test.each([
  [{ halted: true, waitsForPerson: true, timedOut: true }, 2],
  [{ halted: false, waitsForPerson: true, timedOut: true }, 3],
  [{ halted: false, waitsForPerson: false, timedOut: true }, 4],
  [{ halted: false, waitsForPerson: false, timedOut: false }, 0],
])("of what was seen, %j, the first that applies is %d", (seen, code) => {
  expect(exitCode(seen)).toBe(code);
});

const STABLE = `stable@9f3c2ab${"0".repeat(33)}`;
const view: unknown = Reflect.get(Object(viewOf("rollout")), "view");
const HOSTS = { items: [], next: null, total: 0 };
const PAUSE = { by: "ops-2", reason: "x", since: "2026-11-24T09:00:00.000Z", until: null };
const HALT = { since: "2026-11-24T09:00:00.000Z", cause: "failures", host: "web-1", reason: "x" };
const still = withField(view, ["rollout", "counts"], { converged: 5, waiting: 12 });
/** The open wave is held by one reason, whose block is given. */
const heldBy = (block: object): unknown =>
  withField(
    still,
    ["waves", "1", "heldBy"],
    [{ hosts: 1, example: { ...example, answer: { kind: "gate", block } } }],
  );
const example = {
  host: "web-7",
  rolloutId: STABLE,
  wave: 2,
  since: null,
  earliest: null,
  clears: null,
};
const AT = "2026-11-24T09:00:00.000Z";

let answers: Canned = {};
let cp: Awaited<ReturnType<typeof cannedCp>>;
beforeAll(async () => {
  cp = await cannedCp(() => answers);
});
afterAll(() => cp.close());

const cases: [name: string, view: unknown, code: number][] = [
  ["in progress", view, 0],
  ["completed", withField(still, ["rollout", "state"], "Completed"), 0],
  ["superseded", withField(still, ["rollout", "state"], "Superseded"), 0],
  [
    "failed",
    withField(withField(view, ["rollout", "state"], "Failed"), ["rollout", "halted"], HALT),
    2,
  ],
  [
    "reverted",
    withField(withField(view, ["rollout", "state"], "Reverted"), ["rollout", "halted"], HALT),
    2,
  ],
  ["paused without an end", withField(view, ["rollout", "pause"], PAUSE), 3],
  [
    "paused until later, soaking",
    withField(view, ["rollout", "pause"], { ...PAUSE, until: AT }),
    0,
  ],
  [
    "held by a budget",
    heldBy({ gate: "budget", budget: "web", held: 1, maxInFlight: 1, holders: ["web-1"] }),
    0,
  ],
  ["an unproven wave", heldBy({ gate: "wave", wave: 3, cursor: 2, unproven: true }), 3],
  [
    "a quarantine",
    heldBy({ gate: "quarantine", channel: "stable", closure: `${"0".repeat(32)}-x` }),
    3,
  ],
  [
    "a final refusal",
    heldBy({
      gate: "refused",
      attempt: 1,
      code: null,
      reason: "x",
      retryable: false,
      count: 1,
      rejectedAt: AT,
    }),
    3,
  ],
  [
    "a refusal that is tried again",
    heldBy({ gate: "refused", attempt: 1, reason: "x", retryable: true, count: 1, rejectedAt: AT }),
    0,
  ],
  ["an offline host", heldBy({ gate: "offline", lastHeardAt: AT, leaving: null }), 0],
  [
    "an edge to a reverted host",
    heldBy({ gate: "host-edge", host: "db-1", state: "Reverted", reason: "x" }),
    3,
  ],
];

test.each(cases)("rollout show: %s", async (_, shown, code) => {
  answers = {
    [`GET /v1/rollouts/${encodeURIComponent(STABLE)}`]: shown,
    [`GET /v1/rollouts/${encodeURIComponent(STABLE)}/hosts`]: HOSTS,
  };
  const ran = await runCli(["rollout", "show", STABLE, "--cp", cp.url]);
  expect(ran.talk).toBe("");
  expect(ran.code).toBe(code);
});

test.each([
  ["status", 2],
  ["status-held", 3],
  ["status-empty", 0],
])("status of transcript %s", async (name, code) => {
  const edge = `GET /v1/rollouts/${encodeURIComponent(`edge@77d01e4${"1".repeat(33)}`)}`;
  answers = {
    "GET /v1/status": viewOf(name),
    [edge]: view,
    [`GET /v1/rollouts/${encodeURIComponent(STABLE)}`]: view,
  };
  const ran = await runCli(["status", "--cp", cp.url]);
  expect(ran.code).toBe(code);
});

test("--wait gives up in time, and comes back as soon as the rollout is over", async () => {
  const path = `GET /v1/rollouts/${encodeURIComponent(STABLE)}`;
  answers = { [path]: view, [`${path}/hosts`]: HOSTS };
  const argv = ["rollout", "show", STABLE, "--cp", cp.url, "--wait", "--timeout", "30s"];
  expect((await runCli(argv)).code).toBe(4);
  const over = await runCli(argv, {
    onWait: (waits) => {
      if (waits === 3)
        answers = { ...answers, [path]: withField(still, ["rollout", "state"], "Completed") };
    },
  });
  expect(over.code).toBe(0);
  expect(over.data.split("\n")[0]).toContain("✓ Completed");
});

test("nobody answers: 1, with the address and what to do", async () => {
  const gone = await cannedCp(() => ({}));
  await gone.close();
  const ran = await runCli(["status", "--cp", gone.url]);
  expect(ran).toEqual({
    code: 1,
    data: "",
    talk: `nixwave: No control plane answers at ${gone.url} (ECONNREFUSED). Is nixwave-cp serving there? Name another with --cp URL or NIXWAVE_CP.\n`,
  });
});

test("once it has answered, a control plane that is away for a moment ends no watch", async () => {
  const first = await cannedCp(() => ({ "GET /v1/status": viewOf("status-moving") }));
  const argv = ["status", "--wait", "--timeout", "10s", "--cp", first.url];
  const closed: Promise<void>[] = [];
  const ran = await runCli(argv, {
    onWait: (waits) => {
      if (waits === 1) closed.push(first.close());
    },
  });
  await Promise.all(closed);
  expect(ran.code).toBe(4);
  expect(ran.talk.match(/Trying again\./g)).toHaveLength(1);
});

test("--watch --json is a line per change, not per look", async () => {
  let state = withField(view, ["rollout", "done"], 5);
  const path = `GET /v1/rollouts/${encodeURIComponent(STABLE)}`;
  const watched = await cannedCp(() => ({ [path]: state }));
  const ran = await runCli(
    [
      "rollout",
      "show",
      STABLE,
      "--cp",
      watched.url,
      "--json",
      "--watch",
      "--wait",
      "--timeout",
      "6s",
    ],
    {
      onWait: (waits) => {
        if (waits === 2) state = withField(state, ["rollout", "done"], 6);
        if (waits === 3) state = withField(state, ["now"], "2026-11-24T09:30:00.000Z");
      },
    },
  );
  await watched.close();
  const lines = ran.data.trimEnd().split("\n");
  expect(
    lines.map((line) =>
      Reflect.get(Object(Reflect.get(Object(JSON.parse(line)), "rollout")), "done"),
    ),
  ).toEqual([5, 6]);
  expect(ran.code).toBe(4);
});
