import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { addSecs } from "@nixwave/effects";
import { fetchFromUrl, trustClient } from "@nixwave/protocol";
import {
  edge,
  Forger,
  forgeKey,
  NOW,
  releaseLater,
  stable,
} from "@nixwave/protocol/attacks.fixture";
import { hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestPlane } from "../endToEnd/plane.fixture.ts";
import { makeFolder } from "../endToEnd/process.fixture.ts";
import { operatorClient } from "../endToEnd/scriptedAgent.fixture.ts";
import { parsePlace } from "./place.ts";
import { planeOn, rootFileOf } from "./plane.fixture.ts";

const open: (() => void | Promise<void>)[] = [];
let forger: Forger;
beforeEach(() => {
  forger = Forger.honest();
  open.push(() => forger.remove());
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function planeHere(options: Parameters<typeof planeOn>[1] = {}): Promise<TestPlane> {
  const plane = await planeOn(forger, options);
  open.push(() => plane.close());
  return plane;
}

const look = async ({ plane, time }: TestPlane, secs = 1): Promise<void> => {
  time.pass(secs);
  await plane.watch.look();
};
const unverified = ({ plane }: TestPlane) =>
  plane.writer.fleet().unverified(stable)?.reason ?? null;
const newest = ({ plane }: TestPlane) => plane.writer.fleet().newestRollout(stable)?.rolloutId;
const HEADERS = {
  "nixwave-protocol": "1",
  "nixwave-host": "a",
  "nixwave-journal": "1".repeat(32),
};
const status = async ({ plane }: TestPlane) => {
  const answer = await operatorClient(plane.url).call("getStatus", {});
  if (!answer.ok) throw new Error(answer.error.detail);
  return answer.value.repository;
};
const scraped = async ({ plane }: TestPlane, name: string): Promise<readonly string[]> => {
  const headers = { "nixwave-operator": "ops" };
  const text = await (await fetch(`${plane.url}/metrics`, { headers })).text();
  return text.split("\n").filter((line) => line.startsWith(name));
};

/** The repository behind HTTP, until it is closed. */
async function serveRepository(): Promise<{ readonly url: string; readonly close: () => void }> {
  const server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(forger.directory, request.url ?? "")));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a port");
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  open.push(close);
  return { url: `http://127.0.0.1:${address.port}`, close };
}

test("agents get it byte for byte with ETags, and verify it alone from the root that came with them", async () => {
  const test = await planeHere();
  const release = releaseLater(forger, 10);
  await look(test);
  expect(newest(test)).toBe(release.rolloutId);
  const { url } = test.plane;
  for (const folder of ["metadata", "targets/stable", "targets/edge", "targets/fleet"]) {
    for (const file of readdirSync(join(forger.directory, folder))) {
      const answer = await fetch(`${url}/v1/tuf/${folder}/${file}`, { headers: HEADERS });
      expect(answer.status, `${folder}/${file}`).toBe(200);
      const bytes = Buffer.from(await answer.arrayBuffer());
      expect(bytes.equals(forger.read(`${folder}/${file}`)), file).toBe(true);
      const immutable = answer.headers.get("cache-control")?.includes("immutable");
      expect(immutable, file).toBe(file !== "timestamp.json");
      const headers = { ...HEADERS, "if-none-match": answer.headers.get("etag") ?? "" };
      expect((await fetch(`${url}/v1/tuf/${folder}/${file}`, { headers })).status).toBe(304);
    }
  }
  const directory = makeFolder();
  open.push(() => directory.remove());
  const agent = trustClient({
    directory: directory.root,
    root: forger.root(),
    fetch: fetchFromUrl(`${url}/v1/tuf`, (at, init) => fetch(at, { ...init, headers: HEADERS })),
    channels: [stable],
  });
  expect(await agent.refresh(test.time.now)).toMatchObject({ ok: true });
});

test("a channel that can't be verified is left out: status says why, its agents are told where to look, others go on", async () => {
  const release = releaseLater(forger, 10);
  forger.put("metadata/1.edge.json", "{}");
  const test = await planeHere({ at: addSecs(NOW, 11) });
  expect(newest(test)).toBe(release.rolloutId);
  const seen = await operatorClient(test.plane.url).call("getStatus", {});
  if (!seen.ok) throw new Error(seen.error.detail);
  const unverifiedOf = seen.value.channels.map((each) => [each.channel, each.unverified]);
  expect(JSON.stringify([unverifiedOf, seen.value.repository])).toMatch(/edge\.json/);
  const ofChannel = (channel: typeof stable) => {
    const directory = makeFolder();
    open.push(() => directory.remove());
    const fetchFile = fetchFromUrl(`${test.plane.url}/v1/tuf`, (at, init) =>
      fetch(at, { ...init, headers: HEADERS }),
    );
    const own = { directory: directory.root, root: forger.root(), fetch: fetchFile };
    return trustClient({ ...own, channels: [channel] });
  };
  const asAgent = async (channel: typeof stable) => {
    const refreshed = await ofChannel(channel).refresh(test.time.now);
    if (!refreshed.ok) throw new Error(refreshed.error.reason);
    return refreshed.value.channels.get(channel);
  };
  expect(await asAgent(stable)).toMatchObject({ ok: true });
  expect(await asAgent(edge)).toMatchObject({
    ok: false,
    error: {
      code: "missing",
      reason: expect.stringMatching(/edge\.json: .*nixwave status says why/),
    },
  });
});

test("operators, strangers and paths that lead elsewhere get nothing of it", async () => {
  const { plane } = await planeHere();
  const asked = async (path: string, headers: Record<string, string> = HEADERS) =>
    (await fetch(`${plane.url}/v1/tuf/${path}`, { headers })).status;
  expect(await asked("metadata/timestamp.json")).toBe(200);
  const operator = { "nixwave-protocol": "1", "nixwave-operator": "ops" };
  expect([401, 403]).toContain(await asked("metadata/timestamp.json", operator));
  expect([401, 403]).toContain(await asked("metadata/timestamp.json", { "nixwave-protocol": "1" }));
  expect(await asked("metadata/9.root.json")).toBe(404);
  expect(await asked("targets/stable/current.json")).toBe(400);
  expect(await asked("metadata/..%2F..%2Fcp.db")).toBe(400);
  expect(await asked("targets/..%2F..%2Ftrust/root.json")).toBe(400);
});

test("every root is kept and served, also when the source has thrown the old ones away", async () => {
  const test = await planeHere();
  for (let version = 2; version <= 4; version += 1) {
    const old = forger.keys.root;
    forger.keys.root = [forgeKey()];
    forger.versions.root = version;
    forger.writeRoot(old);
  }
  await look(test);
  for (const version of [1, 2, 3]) rmSync(join(forger.directory, `metadata/${version}.root.json`));
  releaseLater(forger, 10);
  await look(test);
  expect(unverified(test)).toBeNull();
  for (const version of [1, 2, 3, 4]) {
    const url = `${test.plane.url}/v1/tuf/metadata/${version}.root.json`;
    expect((await fetch(url, { headers: HEADERS })).status, String(version)).toBe(200);
  }
});

test("a source that is away is stood on until it expires, and no longer (hazard 83)", async () => {
  const source = await serveRepository();
  const test = await planeHere({ place: { kind: "url", url: source.url } });
  const before = newest(test);
  expect([before === undefined, unverified(test)]).toEqual([false, null]);
  source.close();
  await look(test, 31);
  expect([newest(test), unverified(test)]).toEqual([before, null]);
  expect((await status(test))?.problem?.code).toBe("unreachable");
  expect(await scraped(test, "nixwave_repository_problem{")).toEqual([
    'nixwave_repository_problem{code="unreachable"} 1',
  ]);
  await look(test, 7 * 86_400);
  expect(unverified(test)).toContain("freeze-expired");
  expect(newest(test)).toBe(before);
});

test("a start while the source is away stands on what was mirrored, fleet files and all", async () => {
  const source = await serveRepository();
  const folder = makeFolder();
  open.push(() => folder.remove());
  const place = { kind: "url", url: source.url } as const;
  const first = await planeOn(forger, { place, folder });
  expect(unverified(first)).toBeNull();
  await first.plane.stop();
  source.close();
  const again = await planeHere({ place, folder, at: addSecs(NOW, 60) });
  expect(unverified(again)).toBeNull();
  expect(again.plane.repository?.facts()?.hosts.size).toBe(3);
  expect((await status(again))?.problem?.code).toBe("unreachable");
  await again.plane.stop();
  // When all of it has expired, who is who is still known.
  const late = await planeHere({ place, folder, at: addSecs(NOW, 8 * 86_400) });
  expect(unverified(late)).toContain("freeze-expired");
  expect(late.plane.repository?.facts()?.hosts.get(hostName("c"))?.channel).toBe("edge");
});

test("the highest versions outlive the process: an older repository is a rollback after a restart", async () => {
  const old = forger.read("metadata/timestamp.json");
  const release = releaseLater(forger, 10);
  const folder = makeFolder();
  open.push(() => folder.remove());
  const first = await planeOn(forger, { folder, at: addSecs(NOW, 20) });
  expect(newest(first)).toBe(release.rolloutId);
  await first.plane.stop();
  forger.put("metadata/timestamp.json", old);
  const again = await planeHere({ folder, at: addSecs(NOW, 60) });
  expect(newest(again)).toBe(release.rolloutId);
  expect(unverified(again)).toMatch(/rollback/);
});

test("a repository that is mended opens the gate again, within a second where it is a directory", async () => {
  const test = await planeHere();
  const honest = forger.read("metadata/timestamp.json");
  forger.put("metadata/timestamp.json", "{}");
  await look(test);
  expect(unverified(test)).toContain("malformed");
  forger.put("metadata/timestamp.json", honest);
  await look(test);
  expect(unverified(test)).toBeNull();
  expect((await status(test))?.problem).toBeNull();
});

test("who is who is told at each change, and a file that can't be read leaves what was known", async () => {
  const test = await planeHere();
  const { repository } = test.plane;
  const told: number[] = [];
  const end = repository?.onChange(({ hosts }) => void told.push(hosts.size));
  expect(repository?.facts()?.hosts.get(hostName("a"))).toEqual({
    channel: "stable",
    sshHostKey: "ssh-ed25519 AAAA a",
  });
  forger.hosts["d"] = { channel: "edge", sshHostKey: null };
  forger.writeHosts();
  forger.next("targets").writeAll();
  await look(test);
  expect(told).toEqual([4]);
  forger.target("targets", "fleet/revocations.json", Buffer.from('{"schemaVersion":2}'));
  forger.next("targets").writeAll();
  await look(test);
  expect(unverified(test)).toContain("fleet/revocations.json");
  expect(repository?.facts()?.hosts.size).toBe(4);
  const revoked = { schemaVersion: 1, hosts: { a: { before: null, reason: "stolen" } } };
  forger.target("targets", "fleet/revocations.json", Buffer.from(JSON.stringify(revoked)));
  forger.next("targets").writeAll();
  await look(test);
  expect(unverified(test)).toBeNull();
  expect(repository?.facts()?.revocations.get(hostName("a"))?.reason).toBe("stolen");
  end?.();
  delete forger.targets.targets["fleet/revocations.json"];
  forger.next("targets").writeAll();
  await look(test);
  expect(repository?.facts()?.revocations.size).toBe(0);
  expect(told).toEqual([4, 4]);
});

test("the time to expiry of each role is in the metrics and in the status", async () => {
  const test = await planeHere();
  expect(await scraped(test, "nixwave_metadata_expires_seconds{")).toEqual([
    'nixwave_metadata_expires_seconds{role="snapshot"} 604799',
    'nixwave_metadata_expires_seconds{role="timestamp"} 604799',
    'nixwave_metadata_expires_seconds{role="targets"} 7775999',
    'nixwave_metadata_expires_seconds{role="edge"} 7775999',
    'nixwave_metadata_expires_seconds{role="stable"} 7775999',
    'nixwave_metadata_expires_seconds{role="root"} 31535999',
  ]);
  const expiries = (await status(test))?.expiries ?? [];
  expect(expiries[0]).toEqual({
    role: "snapshot",
    expiresAt: addSecs(NOW, 7 * 86_400),
    due: false,
  });
  expect(await scraped(test, "nixwave_database_bytes ")).toEqual([
    expect.stringMatching(/^nixwave_database_bytes [1-9]\d+$/),
  ]);
});

test("a git repository over ssh: through GIT_SSH_COMMAND, in both spellings of an address, asking nobody", async () => {
  const git = (...args: string[]): void => {
    const who = ["-c", "user.name=ci", "-c", "user.email=ci@releases.invalid"];
    execFileSync("git", ["-C", forger.directory, ...who, ...args], { stdio: "ignore" });
  };
  git("init", "-qb", "main");
  git("add", "-A");
  git("commit", "-qm", "signed");
  // What ssh does with its last argument on the other machine; here there is only this one.
  const folder = makeFolder();
  open.push(() => folder.remove());
  const [ssh, calls] = [join(folder.root, "ssh"), join(folder.root, "calls")];
  const script = `#!/bin/sh\necho "$*" >> '${calls}'\nfor last; do :; done\nexec sh -c "$last"\n`;
  writeFileSync(ssh, script, { mode: 0o755 });
  const before = process.env["GIT_SSH_COMMAND"];
  process.env["GIT_SSH_COMMAND"] = ssh;
  open.push(() => {
    if (before === undefined) delete process.env["GIT_SSH_COMMAND"];
    else process.env["GIT_SSH_COMMAND"] = before;
  });
  for (const address of [
    `git+ssh://git@git.example${forger.directory}#main`,
    `git@git.example:${forger.directory}#main`,
  ]) {
    const place = parsePlace(address, "/");
    if (!place.ok) throw new Error(place.error);
    const test = await planeHere({ place: place.value });
    expect(unverified(test)).toBeNull();
    const called = readFileSync(calls, "utf8");
    expect(called).toMatch(/git@git\.example git-upload-pack/);
    rmSync(calls);
  }
  // A machine that does not answer is said, and what was verified is stood on.
  const test = await planeHere({
    place: { kind: "git", url: `ssh://git@git.example${forger.directory}`, branch: "main" },
  });
  const release = newest(test);
  writeFileSync(ssh, "#!/bin/sh\necho 'ssh: connect to host git.example: refused' >&2\nexit 255\n");
  await look(test, 31);
  expect((await status(test))?.problem).toMatchObject({ code: "unreachable" });
  expect(newest(test)).toBe(release);
  expect(unverified(test)).toBeNull();
});

test("a git repository is fetched with git; its links lead nowhere", async () => {
  const git = (...args: string[]): void => {
    const who = ["-c", "user.name=ci", "-c", "user.email=ci@releases.invalid"];
    execFileSync("git", ["-C", forger.directory, ...who, ...args], { stdio: "ignore" });
  };
  const commit = (): void => {
    git("add", "-A");
    git("commit", "-qm", "signed");
  };
  git("init", "-qb", "main");
  commit();
  const place = { kind: "git", url: `file://${forger.directory}`, branch: "main" } as const;
  const test = await planeHere({ place });
  expect(unverified(test)).toBeNull();
  const release = releaseLater(forger, 20);
  commit();
  await look(test, 31);
  expect(newest(test)).toBe(release.rolloutId);
  const timestamp = join(forger.directory, "metadata/timestamp.json");
  rmSync(timestamp);
  symlinkSync(rootFileOf(forger), timestamp);
  commit();
  await look(test, 31);
  expect(unverified(test)).toContain("malformed");
  expect(newest(test)).toBe(release.rolloutId);
  rmSync(join(forger.directory, ".git"), { recursive: true });
  await look(test, 31);
  expect((await status(test))?.problem?.code).toBe("unreachable");
});
