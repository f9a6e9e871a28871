import type { HostName, RolloutId } from "@nixwave/effects";
import { closure, hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { databasePath } from "../store/database.ts";
import { openReader } from "../store/reader.ts";
import { fleetOf, openPlane, type TestPlane } from "./plane.fixture.ts";
import { ScriptedAgent } from "./scriptedAgent.fixture.ts";

let test: TestPlane;
beforeEach(async () => {
  test = await openPlane();
});
afterEach(() => test.close());

const kindOf = (rolloutId: RolloutId, host: HostName) =>
  test.plane.writer.fleet().record(rolloutId, host)?.kind;

/** Resolves in the middle of the first commit that finds it so: the disk is asked whether it is full in there. */
const insideCommit = (isSo: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    Object.defineProperty(test.disk, "full", {
      get: () => {
        if (isSo()) resolve();
        return false;
      },
    });
  });

it("hazard 79: what was taken when the stop came is answered, and what was answered is on the disk", async () => {
  const names = Array.from({ length: 8 }, (_, at) => `web-${at + 1}`);
  const agents = names.map(
    (name) => new ScriptedAgent(test.plane.url, { host: hostName(name), running: closure("old") }),
  );
  for (const agent of agents) await agent.heartbeat();
  const { rolloutId } = await test.release(fleetOf("new", [names]), "new");
  const offers = await Promise.all(agents.map((agent) => agent.poll(0)));
  test.time.pass(10);
  const committing = insideCommit(() =>
    agents.some(({ host }) => kindOf(rolloutId, host) === "Activating"),
  );
  const answers = agents.map(async (agent, at) => {
    const offer = offers[at];
    if (offer === null || offer === undefined) throw new Error(`${agent.host} has no dispatch`);
    return agent.send(rolloutId, [agent.ack(offer)]).then(
      () => agent.host,
      () => null,
    );
  });
  await committing;
  await test.plane.stop();
  const taken = (await Promise.all(answers)).filter((host) => host !== null);
  expect(taken.length).toBeGreaterThan(0);
  const reader = openReader(databasePath(test.folder.data));
  const committed = agents.filter(
    ({ host }) => reader.recordsOfHost(host)[0]?.kind === "Activating",
  );
  expect(committed.map(({ host }) => host)).toEqual(taken);
  for (const host of taken) expect(reader.host(host)?.lastHeardAt).toBe(test.time.now);
  reader.close();
});
