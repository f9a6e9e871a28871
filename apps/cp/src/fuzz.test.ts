import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { instant } from "@nixwave/effects";
import { offset, ROUTE_NAMES, ROUTES, sha256Text } from "@nixwave/protocol";
import { near, timed } from "@nixwave/protocol/fuzz.fixture";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseConfigFile, parseListen, resolveServe } from "./config.ts";
import { openPlane, type TestPlane } from "./endToEnd/plane.fixture.ts";
import { unitLogShelf } from "./inbound/unitLogShelf.ts";
import { UnitLogs } from "./inbound/unitLogs.ts";
import { checkArchives } from "./maintenance/archive.ts";
import { backup, restore } from "./maintenance/backup.ts";
import { keptFleet } from "./repository/keptFleet.ts";
import { parsePlace } from "./repository/place.ts";
import { DatabaseUnusable } from "./store/database.ts";

// Whatever a request, a file or a setting says, the control plane answers with a value or a refusal in one sentence. Enrolment, tokens and TLS
// settings are in inbound/identityFuzz.test.ts; what is signed or sent, in packages/protocol.

let dir: string;
let plane: TestPlane;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-fuzz-"));
  plane = await openPlane();
}, 60_000);
afterAll(async () => {
  await plane.close();
  rmSync(dir, { recursive: true, force: true });
});

const RUNS = { numRuns: 200 };
test("the configuration file, and what serve makes of it", async () => {
  const good = {
    data: "/var/lib/nixwave-cp",
    repository: "https://releases.example/fleet/",
    root: "root.json",
    listen: "0.0.0.0:8460",
    name: "cp.example.com",
    logDays: 7,
  };
  await fc.assert(
    fc.asyncProperty(near(good), (text) =>
      timed(() => {
        const file = parseConfigFile(text, "/etc/nixwave/cp.json");
        if (!file.ok) expect(file.error).toMatch(/^\/etc\/nixwave\/cp\.json/);
        else expect(typeof resolveServe({}, file.value).ok).toBe("boolean");
      }),
    ),
    RUNS,
  );
});

test("addresses and places of the command line", async () => {
  const text = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.ipV6().map((ip) => `[${ip}]:8460`),
    fc
      .tuple(
        fc.constantFrom("file:///", "git+ssh://", "git@x:", "https://a@", "ssh://-o"),
        fc.string(),
      )
      .map(([scheme, rest]) => `${scheme}${rest}`),
    fc.constantFrom("file:///%ff", "file://%2e%00", "git+ext::sh -c x://"),
  );
  await fc.assert(
    fc.asyncProperty(text, (typed) =>
      timed(() => {
        const listen = parseListen(typed, { insecure: true });
        if (!listen.ok) expect(listen.error).toMatch(/^--listen /);
        const place = parsePlace(typed, "/srv");
        if (place.ok && place.value.kind === "git") expect(place.value.url).not.toMatch(/^-|\s/);
      }),
    ),
    { numRuns: 500 },
  );
});

test("a request to any route: never a 500, and a problem document for each refusal", async () => {
  const { server } = plane.plane;
  const part = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom("%ff", "..", "%00", "x"));
  const name = fc.constantFrom(...ROUTE_NAMES.filter((each) => each !== "getStream"));
  const body = fc.oneof(fc.json(), fc.string({ unit: "binary", maxLength: 300 }));
  const who = fc.constantFrom({ "nixwave-host": "web-1" }, { "nixwave-operator": "ann" }, {});
  const media = fc.constantFrom("application/json", "application/x-ndjson", "text/plain", "x");
  const encoding = fc.constantFrom({}, { "content-encoding": "gzip" });
  await fc.assert(
    fc.asyncProperty(
      fc.record({ name, part, query: fc.string({ maxLength: 60 }), body, who, media, encoding }),
      async (asked) => {
        const { method, path } = ROUTES[asked.name];
        const url = path.replace(/:\w+/g, () => encodeUnlessEncoded(asked.part));
        const answer = await timed(() =>
          server.inject({
            method,
            url: `${url}?wait=0&${encodeURI(asked.query).replaceAll("#", "")}`,
            headers: {
              "nixwave-protocol": "1",
              "nixwave-journal": "0".repeat(32),
              host: "127.0.0.1",
              ...(method === "GET" ? {} : { "content-type": asked.media, ...asked.encoding }),
              ...asked.who,
            },
            ...(method === "GET" ? {} : { payload: Buffer.from(asked.body) }),
          }),
        );
        expect([asked.name, answer.statusCode === 500]).toEqual([asked.name, false]);
        if (answer.statusCode < 400) return;
        const said: { code?: string; detail?: string } = answer.json();
        expect(said.code).toMatch(/^[a-z-]+$/);
        expect(answer.body.length).toBeLessThan(8192);
      },
    ),
    { numRuns: 600 },
  );
  expect(plane.logged.filter(({ message }) => message.endsWith(" failed"))).toEqual([]);
}, 120_000);

const encodeUnlessEncoded = (text: string): string =>
  /^%[0-9a-f]{2}$/.test(text) ? text : encodeURIComponent(text.toWellFormed()) || "x";

test("a backup that is none is refused, and nothing is left where the database goes", async () => {
  const good = join(dir, "good.db");
  backup(plane.folder.data, good);
  const bytes = readFileSync(good);
  const broken = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    fc.nat(bytes.length - 1).map((at) => bytes.subarray(0, at)),
    fc.tuple(fc.nat(99), fc.nat(255)).map(([at, value]) => {
      const copy = Uint8Array.from(bytes);
      copy[at] = value;
      return copy;
    }),
  );
  await fc.assert(
    fc.asyncProperty(broken, (content) => {
      const [file, data] = [join(dir, "bad.db"), join(dir, "restored")];
      rmSync(data, { recursive: true, force: true });
      writeFileSync(file, content);
      return timed(() => {
        try {
          restore(data, file, instant(Date.now()));
        } catch (cause) {
          expect(cause).toBeInstanceOf(DatabaseUnusable);
          expect(readdirOf(data)).not.toContain("cp.db");
        }
      });
    }),
    { numRuns: 60 },
  );
});
const readdirOf = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

test("archives: what is not as it was written is a fault that names the file", async () => {
  const archives = join(dir, "archive");
  mkdirSync(archives);
  const name = join(archives, "log-000000000001.ndjson.zst");
  const log = { offset: offset.parse(1000), hash: sha256Text.parse("2".repeat(64)) };
  const written = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ maxLength: 300 }).map((text) => zstdCompressSync(Buffer.from(text))),
    near({
      segment: { firstOffset: 1, count: 1, prevHash: "0".repeat(64), hash: "1".repeat(64) },
    }).map((text) => zstdCompressSync(Buffer.from(`${text}\nline\n`))),
  );
  const content = fc
    .tuple(written, fc.uint8Array({ maxLength: 20 }))
    .map((parts) => Buffer.concat(parts));
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      writeFileSync(name, bytes);
      const { faults, missing, lines } = await timed(() => checkArchives(archives, log));
      expect(lines).toBe(0);
      expect(faults.length + missing.length).toBeGreaterThan(0);
    }),
    { numRuns: 100 },
  );
  // What is wrong behind the first fault is read by nobody, and must not end the process: vitest fails by an error that nobody takes.
  const wrongTwice = Buffer.concat([
    zstdCompressSync(Buffer.from("no head\n")),
    Buffer.alloc(100_000),
  ]);
  for (const bytes of ["no archive", wrongTwice]) {
    writeFileSync(name, bytes);
    const { faults } = await checkArchives(archives, log);
    expect(faults).toEqual([expect.stringContaining(name)]);
  }
});

test("files that it keeps beside the database: what can't be read counts as not there", async () => {
  const shelf = join(dir, "unit-logs");
  mkdirSync(shelf);
  const file = join(dir, "fleet.json");
  const good = { "hosts.json": "{}", "enrolment.json": null, "revocations.json": null };
  await fc.assert(
    fc.asyncProperty(near(good), async (text) => {
      writeFileSync(file, text);
      const kept = await timed(() => keptFleet(file));
      if (kept !== null) expect(Object.keys(kept).sort()).toEqual(Object.keys(good).sort());
      writeFileSync(join(shelf, "x.json"), `[${text}]`);
      const logged: string[] = [];
      const log = { log: (_: string, message: string) => void logged.push(message) };
      void new UnitLogs(unitLogShelf(shelf, log));
      expect(logged.length).toBe(readdirSync(shelf).length === 0 ? 1 : 0);
    }),
    RUNS,
  );
});
