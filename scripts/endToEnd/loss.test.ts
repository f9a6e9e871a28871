import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { RolloutId } from "@nixwave/effects";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DemoHost } from "../demo/declaration.ts";
import { CP, DemoFleet } from "../demo/fleet.ts";
import { endOf } from "./ends.ts";
import { judge } from "./judge.ts";
import { hasState, QUICK_RULES, reached, sickOn } from "./story.ts";

// What is lost comes back from who still has it: an agent's journal from nobody, so that it begins anew; the control plane's
// database from the releases and the agents' replay; an old backup from the same.

const TWO_HOSTS: readonly DemoHost[] = [
  { name: "canary-1", wave: 1, tags: [] },
  { name: "web-1", wave: 2, tags: [] },
];

let fleet: DemoFleet;
let releases: Map<string, RolloutId>;

beforeEach(async () => {
  fleet = new DemoFleet({
    hosts: TWO_HOSTS,
    rules: { ...QUICK_RULES, soakSecs: 3 },
    switchSecs: 0.3,
  });
  releases = new Map();
  await fleet.start();
});

afterEach(async () => {
  await fleet.stop();
});

async function release(version: string, sick: readonly string[] = []): Promise<RolloutId> {
  const id = await fleet.release({ version, ...sickOn(sick) });
  releases.set(version, id);
  return id;
}

const completed = async (version: string): Promise<void> => {
  await reached(fleet, await release(version), `${version} Completed`, hasState("Completed"));
};
const reverted = async (version: string): Promise<RolloutId> => {
  const id = await release(version, ["canary-1"]);
  await reached(fleet, id, `${version} Reverted`, hasState("Reverted"));
  return id;
};

/** The database and what SQLite keeps beside it. */
function removeDatabase(folder: string, name: string): void {
  for (const file of readdirSync(folder).filter((one) => one.startsWith(name)))
    rmSync(join(folder, file));
}

const quarantined = async (): Promise<readonly string[]> => {
  const page = await fleet.client.call("getQuarantines", { query: {} });
  return page.ok ? page.value.items.map(({ closure }) => closure.slice(33)) : [];
};

describe("loss and restore", { timeout: 900_000 }, () => {
  test("an agent that loses its journal in its soak begins anew, and converges at the next attempt", async () => {
    const id = await release("app-1");
    await reached(fleet, id, "canary-1 soaking", ({ rollout }) => rollout.counts.soaking === 1);
    await fleet.kill("canary-1");
    removeDatabase(fleet.stateDir("canary-1"), "agent.db");
    fleet.startAgent("canary-1");
    await reached(fleet, id, "app-1 Completed", hasState("Completed"));
    const end = await judge(fleet, releases);
    expect(end.mirror["canary-1 app-1"]).toBe("Converged target canary-1-app-1 on canary-1-app-1");
    const { stdout } = await fleet.cli([
      "events",
      "--host",
      "canary-1",
      "--kind",
      "AgentEvent",
      "--json",
    ]);
    expect(stdout).toContain(String.raw`DispatchAck\",\"attempt\":2`);
  });

  test("a control plane that lost its database comes back from the releases and the agents: states, quarantine, halt", async () => {
    await completed("app-1");
    const bad = await reverted("app-2");
    const before = endOf(fleet, releases);
    expect(await quarantined()).toEqual(["canary-1-app-2"]);
    await fleet.kill(CP);
    fleet.loseData();
    await fleet.startCp(["--recover"]);
    await reached(fleet, bad, "app-2 halted again", hasState("Reverted"));
    await fleet.until({ what: "the quarantine again", timeoutSecs: 240 }, async () =>
      (await quarantined()).length > 0 ? true : null,
    );
    const after = await judge(fleet, releases);
    expect(after.mirror["canary-1 app-2"]).toBe(before.mirror["canary-1 app-2"]);
    expect(after.running).toEqual(before.running);
    expect(await quarantined()).toEqual(["canary-1-app-2"]);
    await completed("app-3");
    await judge(fleet, releases);
  });

  test("a control plane restored from an old backup hears what it missed before it hands anything out", async () => {
    await completed("app-1");
    const backup = join(fleet.folder, "old.db");
    expect(await fleet.cpCommand(["backup", backup, "--data", fleet.data])).toMatchObject({
      code: 0,
    });
    const bad = await reverted("app-2");
    const before = endOf(fleet, releases);
    await fleet.kill(CP, "SIGTERM");
    fleet.loseData();
    expect(await fleet.cpCommand(["restore", backup, "--data", fleet.data])).toMatchObject({
      code: 0,
    });
    await fleet.startCp();
    await reached(fleet, bad, "app-2 halted again", hasState("Reverted"));
    const after = await judge(fleet, releases);
    expect(after).toEqual(before);
    expect(await quarantined()).toEqual(["canary-1-app-2"]);
    await completed("app-3");
    await judge(fleet, releases);
  });
});
