import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { parseSshPrivateKey } from "@nixwave/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DemoHost } from "../demo/declaration.ts";
import { CP, DemoFleet } from "../demo/fleet.ts";
import { hasState, QUICK_RULES, reached } from "./story.ts";

// Every secret of a fleet that has worked for a while is in its own file of mode 0600, and nowhere else: not in another file, database or
// log, not in a process title, not in anything that a command has printed.

const HOSTS: readonly DemoHost[] = [
  { name: "canary-1", wave: 1, tags: [] },
  { name: "web-1", wave: 1, tags: [] },
];

let fleet: DemoFleet;

beforeAll(async () => {
  fleet = new DemoFleet({ hosts: HOSTS, rules: QUICK_RULES });
  await fleet.start();
});
afterAll(async () => {
  await fleet.stop();
});

interface Place {
  readonly name: string;
  readonly bytes: Buffer;
}
/** A secret, the one file that holds it, and the forms in which it could be anywhere. */
interface Secret {
  readonly file: string;
  readonly forms: readonly Buffer[];
}

function filesOf(folder: string): readonly Place[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ name: relative(fleet.folder, path), bytes: readFileSync(path) }));
}

const PEM = /-----BEGIN ((?:OPENSSH )?PRIVATE KEY)-----[^-]*-----END \1-----\n?/g;

/** The private keys in a file, also where their lines are escaped within JSON. */
const keysIn = ({ bytes }: Place): readonly KeyObject[] =>
  [...bytes.toString("latin1").replaceAll("\\n", "\n").matchAll(PEM)].map(([pem, kind]) => {
    if (kind === "PRIVATE KEY") return createPrivateKey(pem);
    const read = parseSshPrivateKey(pem);
    if (!read.ok) throw new Error(read.error);
    return read.value;
  });

/** The key itself without its wrapping: whatever holds a PEM body, a DER or a JWK of it holds one of these. */
function formsOf(key: KeyObject): readonly Buffer[] {
  const secret = Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
  expect(secret.length).toBe(32);
  return [secret, ...textForms(secret)];
}

function textForms(secret: Buffer): readonly Buffer[] {
  const hex = secret.toString("hex");
  // Three bytes are four characters: within a longer text the key begins at any of three places.
  const inBase64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), secret])
      .toString("base64")
      .slice(shift + 1, -4),
  );
  const inBase64Url = inBase64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  return [hex, hex.toUpperCase(), ...inBase64, ...inBase64Url].map((text) => Buffer.from(text));
}

const holds = (bytes: Buffer, { forms }: Secret): boolean =>
  forms.some((form) => bytes.includes(form)) || withoutLineEnds(bytes, forms);
/** A body of PEM is broken into lines, and a key may lie across two of them. */
const withoutLineEnds = (bytes: Buffer, forms: readonly Buffer[]): boolean => {
  const text = bytes.toString("latin1").replace(/\\n|\r?\n/g, "");
  return forms.some((form) => text.includes(form.toString("latin1")));
};

/** The titles of the processes that were started in the fleet's folder. */
function titles(): readonly Place[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .flatMap((pid) =>
      ["cmdline", "comm"].flatMap((name) => {
        try {
          return [{ name: `${name} of ${pid}`, bytes: readFileSync(`/proc/${pid}/${name}`) }];
        } catch {
          return [];
        }
      }),
    );
}

type Ended = Awaited<ReturnType<DemoFleet["cli"]>>;
const succeeded = ({ code, stderr }: Ended): void => expect(code, stderr).toBe(0);

/** A token of an operator, which only its file and its owner know. */
async function viewerToken(): Promise<Secret> {
  const file = join(fleet.folder, "viewer.token");
  const args = ["--data", fleet.data, "--name", "viewer-1", "--role", "viewer", "--out", file];
  succeeded(await fleet.cpCommand(["token", "add", ...args]));
  return tokenIn(file);
}

/** With which a host without an SSH host key may enrol; the key that signs it is made on the way. */
async function joinToken(): Promise<Secret> {
  const file = join(fleet.folder, "web-9.token");
  const [releases, key] = [join(fleet.home, "releases"), join(fleet.home, "keys/demo.key")];
  const of = ["--repository", releases, "--key", key];
  succeeded(await fleet.cli(["host", "add", "web-9", "--channel", fleet.channel, "--yes", ...of]));
  const enrolmentKey = join(fleet.home, "keys/enrolment.key");
  const made = ["--for", "cp.example.org", "--out", file, "--enrolment-key", enrolmentKey];
  succeeded(await fleet.cli(["join-token", "web-9", ...made, ...of]));
  return tokenIn(file);
}

function tokenIn(file: string): Secret {
  const token = readFileSync(file, "utf8").trim();
  expect(token.length).toBeGreaterThan(30);
  const bytes = Buffer.from(token);
  return { file: relative(fleet.folder, file), forms: [bytes, ...textForms(bytes)] };
}

test("the search finds a key in whatever form it is written down", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const secret = { file: "", forms: formsOf(privateKey) };
  const der = privateKey.export({ format: "der", type: "pkcs8" });
  const sec1 = privateKey.export({ format: "der", type: "sec1" });
  for (const shift of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(shift, 1), der]).toString("base64");
    const lines = (text.match(/.{1,64}/g) ?? []).join("\n");
    for (const written of [text, lines, JSON.stringify({ lines })])
      expect(holds(Buffer.from(`log ${written}`), secret)).toBe(true);
  }
  for (const written of [
    der,
    sec1,
    der.toString("hex"),
    JSON.stringify(privateKey.export({ format: "jwk" })),
  ])
    expect(holds(Buffer.from(written), secret)).toBe(true);
  expect(holds(Buffer.from("no key".repeat(100)), secret)).toBe(false);
});

test("no private key and no token is anywhere but in its own file of mode 0600", async () => {
  const tokens = [await viewerToken(), await joinToken()];
  const id = await fleet.release({ version: "app-1" });
  await reached(fleet, id, "app-1 Completed", hasState("Completed"));
  for (const args of [["status"], ["why", "canary-1"], ["events", "--json"], ["hosts", "--json"]])
    succeeded(await fleet.cli(args));
  const running = titles();
  await fleet.kill(CP, "SIGTERM");
  for (const { name } of HOSTS) await fleet.kill(name, "SIGTERM");

  const files = filesOf(fleet.folder);
  const keys: readonly Secret[] = files.flatMap((place) =>
    keysIn(place).map((key) => ({ file: place.name, forms: formsOf(key) })),
  );
  const keyFiles = [...new Set([...tokens, ...keys].map(({ file }) => file))].sort();
  expect(keyFiles).toEqual([
    "cp/tls/ca.key",
    "cp/tls/server.pem",
    "demo.key",
    "fleet/keys/demo.key",
    "fleet/keys/enrolment.key",
    "hosts/canary-1/ssh_host_ed25519_key",
    "hosts/canary-1/state/identity.json",
    "hosts/web-1/ssh_host_ed25519_key",
    "hosts/web-1/state/identity.json",
    "viewer.token",
    "web-9.token",
  ]);
  for (const file of keyFiles)
    expect([file, statSync(join(fleet.folder, file)).mode & 0o777]).toEqual([file, 0o600]);

  // From init, the certificates and the releases to what was read at last.
  const output = fleet.printed.map((text, at) => ({
    name: `output ${at}`,
    bytes: Buffer.from(text),
  }));
  expect(fleet.printed.join("")).toContain("canary-1");
  const places = [...files, ...running, ...output];
  // Databases, logs, metadata and closures are among what was looked through.
  expect(files.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["cp/cp.db", "logs/cp.log", "logs/web-1.log", "fleet/nixwave.json"]),
  );
  for (const secret of [...tokens, ...keys]) {
    const found = places.filter(({ bytes }) => holds(bytes, secret)).map(({ name }) => name);
    expect(found, `where the secret of ${secret.file} is`).toEqual([secret.file]);
  }
}, 120_000);
