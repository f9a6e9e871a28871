import type { ClosureHash, RolloutId } from "@nixwave/effects";
import type { HostRow, RolloutView } from "@nixwave/protocol";
import type { Board } from "./board.ts";
import { NotReached, pause } from "./deadline.ts";
import { CP, type DemoFleet } from "./fleet.ts";

/** Far more than a chapter takes, so that a slow machine is no failure; a chapter that hangs is one. */
const CHAPTER_SECS = 180;
/** Between two pictures. */
const FRAME_MS = 250;
/** Long enough to be seen on the board. */
const AWAY_MS = 1500;

export interface Stage {
  readonly fleet: DemoFleet;
  readonly board: Board;
  readonly stop: AbortSignal;
}

/** Shows the rollout until `done` says so; gives the view that it ended with. */
async function follow(
  { fleet, board, stop }: Stage,
  on: { readonly rolloutId: RolloutId; readonly title: string; readonly what: string },
  done: (view: RolloutView, hosts: readonly HostRow[]) => boolean,
): Promise<RolloutView> {
  return fleet.until({ what: on.what, timeoutSecs: CHAPTER_SECS }, async () => {
    await pause(FRAME_MS, stop);
    const params = { rolloutId: on.rolloutId };
    const rollout = await fleet.client.call("getRollout", { params });
    const hosts = await fleet.client.call("getRolloutHosts", { params, query: {} });
    if (!rollout.ok || !hosts.ok) return null;
    board.show({ title: on.title, rollout: rollout.value, hosts: hosts.value.items });
    return done(rollout.value, hosts.value.items) ? rollout.value : null;
  });
}

const converged = ({ rollout }: RolloutView): boolean =>
  rollout.state === "Completed" && rollout.counts.converged === rollout.hosts;

/** What a good release has to show on its way: hosts that the budget and the edge hold. */
export interface Held {
  readonly budget: boolean;
  readonly edge: boolean;
}

export async function goodRelease(stage: Stage, version: string, title: string): Promise<Held> {
  const { fleet, board } = stage;
  board.say(`\n${title}`);
  const rolloutId = await fleet.release({ version });
  const held = { budget: false, edge: false };
  await follow(stage, { rolloutId, title, what: `a fleet that runs ${version}` }, (view, hosts) => {
    for (const { explanation } of hosts) {
      if (explanation.answer.kind !== "gate") continue;
      held.budget ||= explanation.answer.block.gate === "budget";
      held.edge ||= explanation.answer.block.gate === "host-edge";
    }
    return converged(view);
  });
  board.leave();
  board.say(`All ${fleet.hosts.length} hosts run ${version} and have shown their health.`);
  return held;
}

/**
 * A release whose canary answers its health check with 503. Once it soaks, the control plane is stopped: the canary rolls
 * back all the same, and the control plane hears of it when it is back.
 */
export async function badRelease(stage: Stage, version: string, title: string): Promise<RolloutId> {
  const { fleet, board, stop } = stage;
  const canary = canaryOf(fleet);
  board.say(`\n${title}`);
  const sick = { hosts: fleet.hosts.map(({ name }) => name), reason: "database migration missing" };
  const rolloutId = await fleet.release({ version, sick });
  const on = { rolloutId, title };
  await follow(stage, { ...on, what: `${canary} on ${version}` }, (_, hosts) =>
    hosts.some(({ host, shown }) => host === canary && shown === "soaking"),
  );
  await fleet.kill(CP, "SIGTERM");
  if (fleet.serviceVersion(canary) !== version) {
    throw new NotReached(
      `${canary} was expected to run ${version} still when the control plane had stopped`,
    );
  }
  board.say(
    `${canary} runs ${version} and its probe fails. The control plane is stopped now: nobody can tell it what to do.`,
  );
  board.show({ title, rollout: null, hosts: [] });
  await fleet.until({ what: `${canary} back on its former closure`, timeoutSecs: 60 }, async () =>
    fleet.serviceVersion(canary) === version ? null : true,
  );
  board.say(`${canary} has rolled back by itself to ${fleet.serviceVersion(canary)}.`);
  await pause(AWAY_MS, stop);
  await fleet.startCp();
  board.say("The control plane is back, and hears of it.");
  await follow(
    stage,
    { ...on, what: `a halted rollout of ${version}` },
    ({ rollout }) => rollout.state === "Reverted" && rollout.halted !== null,
  );
  board.leave();
  return rolloutId;
}

/** What must be true after the bad release, read from the control plane. */
export async function assertHalted({ fleet }: Stage, rolloutId: RolloutId): Promise<void> {
  const quarantines = await fleet.client.call("getQuarantines", { query: {} });
  if (!quarantines.ok) throw new NotReached(quarantines.error.detail);
  const { items } = quarantines.value;
  if (items.length !== 1 || items[0]?.host !== canaryOf(fleet)) {
    throw new NotReached(
      `expected one quarantine, by ${canaryOf(fleet)}, and found ${items.length}`,
    );
  }
  const view = await fleet.client.call("getRollout", { params: { rolloutId } });
  if (!view.ok) throw new NotReached(view.error.detail);
  const { counts, hosts } = view.value.rollout;
  if (counts.reverted !== 1 || counts.waiting !== hosts - 1) {
    throw new NotReached(
      `expected one reverted host and ${hosts - 1} that did not move, not ${JSON.stringify(counts)}`,
    );
  }
}

/** What each host runs, as its own link has it: nobody is asked. */
export const runningOf = ({ hosts, kind }: DemoFleet): ReadonlyMap<string, ClosureHash | null> =>
  new Map(hosts.map(({ name }) => [name, kind.running(name)]));

export function assertRunning(
  fleet: DemoFleet,
  expected: ReadonlyMap<string, ClosureHash | null>,
): void {
  for (const [host, closure] of runningOf(fleet)) {
    if (closure !== null && closure === expected.get(host)) continue;
    throw new NotReached(`${host} was expected to run ${expected.get(host)}, not ${closure}`);
  }
}

/** `nixwave why CANARY`, as an operator would type it. */
export async function showWhy({ fleet, board }: Stage): Promise<void> {
  const canary = canaryOf(fleet);
  const { code, stdout, stderr } = await fleet.cli(["why", canary]);
  if (code !== 0 || !stdout.includes("http-app")) {
    throw new NotReached(
      `nixwave why ${canary} did not name the probe http-app: ${stdout}${stderr}`,
    );
  }
  const lines = stdout.trimEnd().split("\n");
  board.say(`\n$ nixwave why ${canary}\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

export const canaryOf = ({ hosts }: DemoFleet): string =>
  hosts.find(({ wave }) => wave === 1)?.name ?? "";
