import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fleetOf } from "./plane.fixture.ts";
import { type Folder, makeFolder, runCp, serveCp } from "./process.fixture.ts";
import { putRelease } from "./releaseFolder.fixture.ts";
import { operatorClient, ScriptedAgent } from "./scriptedAgent.fixture.ts";

let folder: Folder;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => folder.remove());

const DAY = Date.UTC(2026, 0, 5, 12);

it("kill -9 loses nothing that was acknowledged, and a restart goes on", async () => {
  await runCp("init", "--data", folder.data);
  const release = await putRelease(folder.releases, fleetOf("new", [["canary"], ["web-1"]]), {
    createdAt: DAY,
    note: "new",
  });
  const killed = await serveCp(folder);
  const canary = new ScriptedAgent(killed.url, { host: hostName("canary"), running: null });
  await canary.heartbeat();
  const offer = await canary.poll(20);
  if (offer === null) throw new Error("expected a dispatch");
  expect((await canary.converge(offer)).streams[release.rolloutId]?.ackedThrough).toBe(6);
  await killed.signal("SIGKILL");

  const cp = await serveCp(folder);
  const ops = operatorClient(cp.url);
  const why = await ops.call("getWhy", { params: { host: hostName("canary") } });
  expect(why).toMatchObject({ ok: true, value: { row: { shown: "converged" }, events: 6 } });
  const web1 = new ScriptedAgent(cp.url, { host: hostName("web-1"), running: null });
  await web1.heartbeat();
  expect(await web1.poll(20)).toMatchObject({ wave: 2 });
  expect(await cp.signal("SIGTERM")).toBe(0);
  expect(await runCp("check", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
}, 60_000);

it("stops within seconds while polls are parked, each answered with nothing", async () => {
  await runCp("init", "--data", folder.data);
  const ready = join(folder.root, "ready");
  const cp = await serveCp(folder, "--ready-file", ready);
  while (!existsSync(ready)) await new Promise((resolve) => setImmediate(resolve));
  expect(readFileSync(ready, "utf8")).toBe(`${cp.url}\n`);
  const agent = new ScriptedAgent(cp.url, { host: hostName("web-1"), running: null });
  await agent.heartbeat();
  const poll = agent.poll(120);
  const metrics = async () =>
    (await fetch(`${cp.url}/metrics`, { headers: { "nixwave-operator": "ops" } })).text();
  while (!(await metrics()).includes("nixwave_polls_parked 1")) await Promise.resolve();
  expect(await cp.signal("SIGTERM")).toBe(0);
  expect(await poll).toBeNull();
  expect(cp.log.at(-1)).toContain("stopped");
  expect(existsSync(ready)).toBe(false);
}, 30_000);
