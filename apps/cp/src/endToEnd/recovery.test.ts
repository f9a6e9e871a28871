import { existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import type { Release } from "@nixwave/effects";
import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { fleetOf } from "./plane.fixture.ts";
import { type Folder, makeFolder, runCp, type Served, serveCp } from "./process.fixture.ts";
import { putRelease } from "./releaseFolder.fixture.ts";
import { operatorClient, ScriptedAgent } from "./scriptedAgent.fixture.ts";

let folder: Folder;
let release: Release;
let cp: Served;
let canary: ScriptedAgent;
let web1: ScriptedAgent;
const backup = () => join(folder.root, "backup.db");

/** A canary that has converged, a backup of that, and then the loss of the machine. */
beforeEach(async () => {
  folder = makeFolder();
  await runCp("init", "--data", folder.data);
  release = await putRelease(folder.releases, fleetOf("new", [["canary"], ["web-1"]]), {
    createdAt: Date.UTC(2026, 0, 5, 12),
    note: "new",
  });
  cp = await serveCp(folder);
  canary = new ScriptedAgent(cp.url, { host: hostName("canary"), running: null });
  web1 = new ScriptedAgent(cp.url, { host: hostName("web-1"), running: null });
  await canary.heartbeat();
  const offer = await canary.poll(20);
  if (offer === null) throw new Error("expected a dispatch");
  await canary.converge(offer);
  expect(await runCp("backup", backup(), "--data", folder.data)).toMatchObject({
    code: 0,
    stderr: "",
  });
  await cp.signal("SIGKILL");
  rmSync(folder.data, { recursive: true });
}, 60_000);
afterEach(() => folder.remove());

async function serveAgain(...more: readonly string[]): Promise<void> {
  cp = await serveCp(folder, ...more);
  for (const agent of [canary, web1]) agent.moveTo(cp.url);
}

const gateOf = async (host: string): Promise<unknown> => {
  const why = await operatorClient(cp.url).call("getWhy", { params: { host: hostName(host) } });
  return why.ok ? why.value.explanation.answer : why.error;
};

it("a restored backup holds dispatches back, until an operator ends that", async () => {
  const restored = await runCp("restore", backup(), "--data", folder.data);
  expect(restored).toMatchObject({ code: 0, stderr: "" });
  await serveAgain();
  await web1.heartbeat();
  expect(await web1.poll(0)).toBeNull();
  expect(await gateOf("web-1")).toMatchObject({ kind: "gate", block: { gate: "replay" } });
  const reason = ["--reason", "canary is gone"];
  const busy = await runCp("resume-after-restore", "--data", folder.data, ...reason);
  expect(busy).toMatchObject({ code: 1, stderr: expect.stringContaining("another nixwave-cp") });
  await cp.signal("SIGTERM");
  const resumed = await runCp("resume-after-restore", "--data", folder.data, ...reason);
  expect(resumed.code).toBe(0);

  await serveAgain();
  await web1.heartbeat();
  expect(await web1.poll(20)).toMatchObject({ rolloutId: release.rolloutId, wave: 2 });
  const events = await operatorClient(cp.url).call("getEvents", { query: { kind: "FleetInput" } });
  expect(events).toMatchObject({
    ok: true,
    value: { items: [{ input: { kind: "ReplayEnded", reason: "canary is gone" } }] },
  });
  await cp.signal("SIGTERM");
  expect(await runCp("check", "--data", folder.data)).toMatchObject({ code: 0 });
}, 60_000);

it("an admin ends that wait while it serves, once, and the log has who and why", async () => {
  expect(await runCp("restore", backup(), "--data", folder.data)).toMatchObject({ code: 0 });
  await serveAgain();
  await web1.heartbeat();
  expect(await web1.poll(0)).toBeNull();
  const ops = operatorClient(cp.url, "ops-2");
  const body = { reason: "canary is in repair" };
  expect(await ops.call("endReplay", { body })).toEqual({
    ok: true,
    value: { channels: ["stable"] },
  });
  expect(await web1.poll(20)).toMatchObject({ rolloutId: release.rolloutId, wave: 2 });
  expect(await ops.call("endReplay", { body })).toMatchObject({
    ok: false,
    error: { code: "conflict" },
  });
  expect(await ops.call("getEvents", { query: { kind: "FleetInput" } })).toMatchObject({
    ok: true,
    value: { items: [{ input: { kind: "ReplayEnded", by: "ops-2", ...body } }] },
  });
  await cp.signal("SIGTERM");
  expect(await runCp("check", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
}, 60_000);

/** The signed repository as a web server has it. */
async function overHttp(): Promise<string> {
  const server = createServer((request, response) => {
    const path = join(folder.releases, new URL(request.url ?? "/", "http://x").pathname);
    response.writeHead(existsSync(path) ? 200 : 404);
    response.end(existsSync(path) ? readFileSync(path) : "");
  });
  folder.onRemove(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  return `http://127.0.0.1:${address.port}/`;
}

it.each([
  ["a directory", async (): Promise<readonly string[]> => []],
  ["an address", async (): Promise<readonly string[]> => ["--repository", await overHttp()]],
])(
  "with no backup at all, serve --recover comes back from the releases in %s and the agents' replay",
  async (_, more) => {
    await serveAgain("--recover", ...(await more()));
    await web1.heartbeat();
    expect(await web1.poll(0)).toBeNull();
    expect(await gateOf("web-1")).toMatchObject({
      kind: "gate",
      block: { gate: "replay", unheard: 1 },
    });
    await canary.replay();
    await web1.heartbeat();
    expect(await web1.poll(20)).toMatchObject({ rolloutId: release.rolloutId, wave: 2 });
    expect(await gateOf("canary")).toMatchObject({ kind: "done" });
    await cp.signal("SIGTERM");
    expect(await runCp("check", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
  },
  60_000,
);
