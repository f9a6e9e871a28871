import { readdirSync, readFileSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { host } from "../release.fixture.ts";
import { trustClient } from "./client.ts";
import { fetchFromDirectory, fetchFromUrl } from "./fetchFile.ts";
import { clientOf, edge, Forger, forgeKey, NOW, stable } from "./forger.fixture.ts";
import { mirror } from "./mirror.ts";
import { scratchFolder } from "./scratch.fixture.ts";
import { TrustedReleases } from "./trustedReleases.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each();
});
function start() {
  const forger = Forger.honest();
  const into = scratchFolder();
  open.push(
    () => forger.remove(),
    () => rmSync(into, { recursive: true, force: true }),
  );
  return { forger, into };
}
const folder = () => {
  const made = scratchFolder();
  open.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

/** Serves a directory over HTTP, and counts what was asked for. */
async function serve(directory: string, answer?: (path: string) => "endless" | "broken" | null) {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? "").slice(1);
    asked.push(path);
    const how = answer?.(path) ?? null;
    if (how === "broken") {
      response.writeHead(500).end();
      return;
    }
    if (how === "endless") {
      const more = () => {
        while (response.write(" ".repeat(65_536)));
      };
      response.on("drain", more);
      more();
      return;
    }
    readFile(join(directory, path)).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a port");
  return { url: `http://127.0.0.1:${address.port}`, asked };
}

test("over HTTP: six requests at first, two when nothing is new", async () => {
  const { forger } = start();
  const { url, asked } = await serve(forger.directory);
  const client = clientOf(forger, fetchFromUrl(url));
  open.push(client.remove);
  expect((await client.client.refresh(NOW)).ok).toBe(true);
  expect(asked.splice(0)).toEqual([
    "metadata/2.root.json",
    "metadata/timestamp.json",
    "metadata/1.snapshot.json",
    "metadata/1.targets.json",
    "metadata/1.edge.json",
    "metadata/1.stable.json",
  ]);
  expect((await client.client.refresh(NOW)).ok).toBe(true);
  expect(asked.splice(0)).toEqual(["metadata/2.root.json", "metadata/timestamp.json"]);
});

test.each([
  ["endless", "endless-data"],
  ["broken", "unreachable"],
] as const)("over HTTP: a mirror that is %s", async (how, code) => {
  const { forger } = start();
  const { url } = await serve(forger.directory, (path) =>
    path.includes("timestamp") ? how : null,
  );
  const client = clientOf(forger, fetchFromUrl(url));
  open.push(client.remove);
  expect(await client.judge()).toBe(code);
});

test("over HTTP: nobody there is unreachable, and no attack", async () => {
  const { forger } = start();
  const { url } = await serve(forger.directory);
  for (const close of open.splice(-1)) close();
  const client = clientOf(forger, fetchFromUrl(url));
  open.push(client.remove);
  expect(await client.judge()).toBe("unreachable");
});

test("a mirror is byte for byte, keeps every root, and is verified like the source", async () => {
  const { forger, into } = start();
  for (let version = 2; version <= 4; version += 1) {
    const old = forger.keys.root;
    forger.keys.root = [forgeKey()];
    forger.versions.root = version;
    forger.writeRoot(old);
  }
  const fetch = fetchFromDirectory(forger.directory);
  // The CP was given root 3; agents may begin with root 1.
  const root = forger.read("metadata/3.root.json");
  const cp = trustClient({ directory: folder(), root, fetch, channels: "all" });
  const trusted = await cp.refresh(NOW);
  if (!trusted.ok) throw new Error(trusted.error.reason);
  expect(await mirror(trusted.value, fetch, into)).toEqual({ ok: true, value: new Map() });
  for (const name of readdirSync(join(into, "metadata"))) {
    expect(
      readFileSync(join(into, "metadata", name)).equals(forger.read(`metadata/${name}`)),
      name,
    ).toBe(true);
  }
  expect(
    readdirSync(join(into, "metadata")).filter((name) => name.endsWith("root.json")),
  ).toHaveLength(4);
  const agent = clientOf(forger, fetchFromDirectory(into));
  open.push(agent.remove);
  expect(await agent.judge()).toBe("ok");
  // A second copy of a later state, over the first.
  forger.next("stable").release(stable, [host("a", 1)]);
  forger.writeAll();
  const again = await cp.refresh(NOW);
  if (!again.ok) throw new Error(again.error.reason);
  expect(await mirror(again.value, fetch, into)).toEqual({ ok: true, value: new Map() });
  expect(await agent.judge()).toBe("ok");
});

test("a mirror serves no older root that did not lead to the trusted one", async () => {
  const { forger, into } = start();
  const old = forger.keys.root;
  forger.keys.root = [forgeKey()];
  forger.versions.root = 2;
  forger.writeRoot(old);
  const root = forger.read("metadata/2.root.json");
  const other = Forger.honest();
  open.push(() => other.remove());
  forger.put("metadata/1.root.json", other.read("metadata/1.root.json"));
  const fetch = fetchFromDirectory(forger.directory);
  const cp = trustClient({ directory: folder(), root, fetch, channels: "all" });
  const trusted = await cp.refresh(NOW);
  if (!trusted.ok) throw new Error(trusted.error.reason);
  const refused = await mirror(trusted.value, fetch, into);
  expect(refused).toMatchObject({ error: { code: "threshold-not-met" } });
});

test("a mirror takes nothing that was not signed, and no other channel waits for the one that is broken", async () => {
  const { forger, into } = start();
  const fetch = fetchFromDirectory(forger.directory);
  const client = clientOf(forger, fetch);
  open.push(client.remove);
  const first = await client.client.refresh(NOW);
  if (!first.ok) throw new Error(first.error.reason);
  expect((await mirror(first.value, fetch, into)).ok).toBe(true);
  const release = forger.next("stable").release(stable, [host("a", 1)]);
  forger.writeAll();
  const second = await client.client.refresh(NOW);
  if (!second.ok) throw new Error(second.error.reason);
  const head = JSON.parse(
    Buffer.from(forger.read(`targets/stable/${String(headName(forger, release.ref))}`)).toString(),
  );
  forger.put(`targets/stable/${head.buckets[0].sha256}.json`, "{}");
  const copied = await mirror(second.value, fetch, into);
  if (!copied.ok) throw new Error(copied.error.reason);
  expect([...copied.value].map(([channel, { code }]) => [channel, code])).toEqual([
    ["stable", "wrong-length-or-hash"],
  ]);
  const agent = clientOf(forger, fetchFromDirectory(into));
  open.push(agent.remove);
  expect(await agent.judge()).toBe("missing");
  expect(await agent.judge(edge)).toBe("ok");
});

const headName = (forger: Forger, ref: string) =>
  readdirSync(join(forger.directory, "targets/stable")).find((name) =>
    name.endsWith(`.${ref}.json`),
  );

test("a damaged memory is no way in: the installed root counts again, or nothing does", async () => {
  const { forger } = start();
  const directory = folder();
  const fetch = fetchFromDirectory(forger.directory);
  const none = trustClient({ directory, root: null, fetch, channels: "all" });
  expect(await none.refresh(NOW)).toMatchObject({ error: { code: "no-root" } });
  const given = trustClient({ directory, root: Buffer.from("{}"), fetch, channels: "all" });
  expect(await given.refresh(NOW)).toMatchObject({ error: { code: "malformed" } });
  const client = trustClient({ directory, root: forger.root(), fetch, channels: [stable] });
  expect((await client.refresh(NOW)).ok).toBe(true);
  // A client without an installed root goes on from the one remembered.
  expect((await none.refresh(NOW)).ok).toBe(true);
});

test("an agent keeps fleet/hosts.json and fetches it again only when it changed", async () => {
  const { forger } = start();
  const { url, asked } = await serve(forger.directory);
  const fetch = fetchFromUrl(url);
  const client = clientOf(forger, fetch);
  open.push(client.remove);
  const kept = new Map<string, Uint8Array>();
  const keeps = {
    read: async (file: string) => kept.get(file) ?? null,
    write: async (file: string, bytes: Uint8Array) => void kept.set(file, bytes),
  };
  const hosts = async () => {
    const trusted = await client.client.refresh(NOW);
    if (!trusted.ok) throw new Error(trusted.error.reason);
    const known = await new TrustedReleases(trusted.value, fetch, keeps).hosts();
    const fetches = asked.splice(0).filter((path) => path.includes("hosts.json")).length;
    return [known.ok ? known.value.size : known.error.code, fetches];
  };
  expect(await hosts()).toEqual([3, 1]);
  expect(await hosts()).toEqual([3, 0]);
  // What is kept is verified like what is fetched.
  kept.set("hosts.json", Buffer.from('{"schemaVersion":1,"hosts":{}}'));
  expect(await hosts()).toEqual([3, 1]);
});
