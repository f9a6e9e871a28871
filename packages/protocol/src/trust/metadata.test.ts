import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Metadata, MetadataKind } from "@tufjs/models";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { cpuMs } from "../cpu.fixture.ts";
import { decodeEnrolmentKeys, decodeRevocations } from "../identity/fleetEnrolment.ts";
import { isAttack } from "./attack.ts";
import { canonical } from "./canonical.ts";
import { openRepository } from "./draft.ts";
import { fetchFromDirectory } from "./fetchFile.ts";
import { decodeFleetHosts } from "./fleetHosts.ts";
import { clientOf, Forger } from "./forger.fixture.ts";
import { decodeMetadata, METADATA_BYTES_MAX, TOP_ROLES } from "./metadata.ts";
import { scratchFolder } from "./scratch.fixture.ts";

const forger = Forger.honest();
const scratch = scratchFolder();
afterAll(() => {
  forger.remove();
  rmSync(scratch, { recursive: true, force: true });
});
const honest = {
  root: forger.read("metadata/1.root.json"),
  timestamp: forger.read("metadata/timestamp.json"),
  snapshot: forger.read("metadata/1.snapshot.json"),
  targets: forger.read("metadata/1.targets.json"),
};
const utf8 = new TextEncoder();

/** Bytes, JSON, and honest files with a few bytes or a value changed. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.jsonValue().map((value) => utf8.encode(JSON.stringify(value))),
  fc.jsonValue().map((signed) => utf8.encode(JSON.stringify({ signed, signatures: [] }))),
  fc
    .tuple(fc.constantFrom(...TOP_ROLES), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }))
    .map(([role, at, put]) => {
      const copy = Uint8Array.from(honest[role]);
      copy.set(put, at % (copy.length - put.length));
      return copy;
    }),
  fc
    .tuple(fc.constantFrom(...TOP_ROLES), fc.nat(), fc.jsonValue())
    .map(([role, at, value]) => changed(honest[role], at, value)),
);

/** The JSON with its n-th value replaced: well-formed, and of another type than was expected. */
function changed(file: Uint8Array, at: number, value: unknown): Uint8Array {
  const json: unknown = JSON.parse(Buffer.from(file).toString());
  const places: [object, string][] = [];
  const walk = (node: unknown) => {
    if (typeof node !== "object" || node === null) return;
    for (const [key, child] of Object.entries(node)) {
      places.push([node, key]);
      walk(child);
    }
  };
  walk(json);
  const place = places[at % places.length];
  if (place !== undefined) Reflect.set(place[0], place[1], value);
  return utf8.encode(JSON.stringify(json));
}

test("whatever metadata or a fleet file holds, the answer is a value or a sentence, soon", () => {
  fc.assert(
    fc.property(bytes, (file) => {
      const began = cpuMs();
      for (const kind of TOP_ROLES) {
        const decoded = decodeMetadata(kind, file);
        if (!decoded.ok) expect(decoded.error).not.toBe("");
      }
      const hosts = decodeFleetHosts(file);
      if (!hosts.ok) expect(hosts.error).not.toBe("");
      for (const decoded of [decodeEnrolmentKeys(file), decodeRevocations(file)])
        if (!decoded.ok) expect(decoded.error).not.toBe("");
      expect(cpuMs() - began).toBeLessThan(250);
    }),
    { numRuns: 2000 },
  );
});

test("whatever a mirror serves as any file, a client refuses it with a code, and trusts nothing of it", async () => {
  const paths = ["timestamp", "1.snapshot", "1.targets", "1.stable", "2.root"];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), bytes, async (name, file) => {
      const real = fetchFromDirectory(forger.directory);
      const path = `metadata/${name}.json`;
      const client = clientOf(forger, async (asked) =>
        asked === path
          ? (async function* () {
              yield file;
            })()
          : await real(asked),
      );
      try {
        const code = await client.judge();
        const same = name !== "2.root" && Buffer.from(file).equals(forger.read(path));
        const known = isAttack(code) || code === "malformed";
        expect(same ? code === "ok" : known, `${name}: ${code}`).toBe(true);
      } finally {
        client.remove();
      }
    }),
    { numRuns: 100 },
  );
});

test("a repository that was edited by hand is refused with a sentence, never thrown over", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("metadata/timestamp", "metadata/1.root", "pending/stable", "pending/root"),
      bytes,
      async (name, file) => {
        const directory = mkdtempSync(join(scratch, "r-"));
        mkdirSync(join(directory, "metadata"));
        mkdirSync(join(directory, "pending"));
        for (const each of [
          "1.root",
          "timestamp",
          "1.snapshot",
          "1.targets",
          "1.stable",
          "1.edge",
        ]) {
          writeFileSync(
            join(directory, `metadata/${each}.json`),
            forger.read(`metadata/${each}.json`),
          );
        }
        writeFileSync(join(directory, `${name}.json`), file);
        const opened = await openRepository(directory);
        if (!opened.ok) expect(opened.error.code).toBe("damaged");
      },
    ),
    { numRuns: 200 },
  );
});

test.each([
  ["too many keys", "root", (of: number) => ({ ...body("root"), keys: many(of), roles: {} })],
  ["too many targets", "targets", (of: number) => ({ ...body("targets"), targets: many(of) })],
  ["too many files", "snapshot", (of: number) => ({ ...body("snapshot"), meta: many(of) })],
] as const)("%s are refused before tuf-js would take quadratic time over them", (_, kind, make) => {
  const file = utf8.encode(JSON.stringify({ signed: make(2000), signatures: [] }));
  expect(file.length).toBeLessThan(METADATA_BYTES_MAX[kind]);
  const began = cpuMs();
  expect(decodeMetadata(kind, file).ok).toBe(false);
  expect(cpuMs() - began).toBeLessThan(500);
});
const body = (kind: string) => ({
  _type: kind,
  spec_version: "1.0.31",
  version: 1,
  expires: "2026-11-24T12:00:00Z",
});
const many = (of: number) =>
  Object.fromEntries(
    Array.from({ length: of }, (_, at) => [
      at.toString(16).padStart(64, "0"),
      { version: 1, length: 1, hashes: { sha256: "0".repeat(64) } },
    ]),
  );

test("deep nesting is refused, not a stack that ends", () => {
  const deep = utf8.encode(
    `{"signed":{"_type":"root","x":${"[".repeat(200_000)}${"]".repeat(200_000)}},"signatures":[]}`,
  );
  expect(decodeMetadata("root", deep).ok).toBe(false);
});

test.each([
  "2026-11-24T12:00:00.000Z",
  "2026-11-24",
  "2026-02-31T12:00:00Z",
  "2026-11-24T12:00:00+01:00",
  "24 Nov 2026",
  "",
])("an expiry that is not spelled in the one way is none: %s", (expires) => {
  const file = changedField(honest.timestamp, "expires", expires);
  expect(decodeMetadata("timestamp", file)).toMatchObject({ ok: false });
});

test.each([0, -1, 1.5, "1", 2 ** 53, null])(
  "a version that is no whole number from 1: %s",
  (version) => {
    expect(decodeMetadata("timestamp", changedField(honest.timestamp, "version", version)).ok).toBe(
      false,
    );
  },
);

function changedField(file: Uint8Array, name: string, value: unknown): Uint8Array {
  const json = JSON.parse(Buffer.from(file).toString());
  return utf8.encode(JSON.stringify({ ...json, signed: { ...json.signed, [name]: value } }));
}

test("our canonical JSON is that of @tufjs/models, byte for byte", () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const own = canonical({ x: value });
      if (own === null) return;
      let theirs: Uint8Array | null = null;
      const json = {
        _type: "timestamp",
        spec_version: "1.0.31",
        version: 1,
        expires: "2026-11-24T12:00:00Z",
      };
      const meta = { "snapshot.json": { version: 1 } };
      const signed = { ...json, meta, x: JSON.parse(JSON.stringify(value)) };
      const metadata = Metadata.fromJSON(MetadataKind.Timestamp, { signed, signatures: [] });
      try {
        metadata.sign((message) => {
          theirs = message;
          throw new Error("seen");
        });
      } catch {
        // The bytes are all that is asked for.
      }
      expect(Buffer.from(canonical(signed) ?? []).toString("hex")).toBe(
        Buffer.from(theirs ?? []).toString("hex"),
      );
    }),
  );
});
