import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { instant } from "@nixwave/effects";
import {
  certificatePem,
  type Issuer,
  issueAuthority,
  issueForOperator,
  issueForServer,
  keyIssuer,
  publicHalf,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { runCli, viewOf } from "./run.fixture.ts";

// OpenSSL reads the machine's clock and no other.
const NOW = instant(Math.floor(Date.now() / 1000) * 1000);
const TOKEN = `nwt_${createHash("sha256").update("a token").digest("base64url")}`;
const folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
const pemOf = (key: KeyObject): string => key.export({ format: "pem", type: "pkcs8" }).toString();
const newKey = () => generateKeyPairSync("ed25519").privateKey;
const fresh = () => ({ serial: randomBytes(SERIAL_BYTES), now: NOW });
const put = (name: string, text: string, mode = 0o600): void =>
  writeFileSync(join(folder, name), text, { mode });

async function newAuthority(file: string): Promise<Issuer> {
  const privateKey = newKey();
  const authority = await issueAuthority({ ...fresh(), privateKey });
  put(file, certificatePem(authority), 0o644);
  return keyIssuer(authority, privateKey);
}

/** What the control plane saw of whoever asked. */
interface Seen {
  readonly authorization: string | undefined;
  readonly certificate: string | undefined;
  readonly protocol: string | null;
  readonly claims: string | undefined;
}
const seen: Seen[] = [];
let redirects = false;
let server: Server;
let issuer: Issuer;
let cp = "";

beforeAll(async () => {
  issuer = await newAuthority("ca.pem");
  await newAuthority("other-ca.pem");
  const key = newKey();
  const own = { key: publicHalf(key), dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const certificate = await issueForServer(issuer, { ...own, ...fresh() });
  server = createServer({
    key: pemOf(key),
    cert: certificatePem(certificate),
    ca: certificatePem(issuer.authority),
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on("request", ({ headers, socket }, response) => {
    const tls = socket instanceof TLSSocket ? socket : null;
    seen.push({
      authorization: headers.authorization,
      certificate: tls?.getPeerX509Certificate()?.subject,
      protocol: tls?.getProtocol() ?? null,
      claims: Object.keys(headers).find((name) => name.startsWith("nixwave-operator")),
    });
    response.setHeader("content-type", "application/json");
    response.setHeader("connection", "close");
    if (redirects) response.writeHead(302, { location: "/elsewhere" });
    response.end(JSON.stringify(viewOf("status-empty")));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  cp = `https://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  put("token", `${TOKEN}\n`);
  const mine = newKey();
  const operator = { key: publicHalf(mine), name: "ops-2", role: "operator" as const, days: 30 };
  put(
    "ops-2.pem",
    certificatePem(await issueForOperator(issuer, { ...operator, ...fresh() })),
    0o644,
  );
  put("ops-2.key", pemOf(mine));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  seen.length = 0;
  redirects = false;
});

const status = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runCli(["status", "--cp", cp, ...args], { cwd: folder, env });

test("a token goes over TLS 1.3 to the control plane that the authority certified, and no name beside it", async () => {
  const ran = await status(["--authority", "ca.pem", "--token-file", "token"]);
  expect(ran).toMatchObject({ code: 0, talk: "" });
  expect(seen).toEqual([
    {
      authorization: `Bearer ${TOKEN}`,
      certificate: undefined,
      protocol: "TLSv1.3",
      claims: undefined,
    },
  ]);
});

test("a certificate of an operator's own, from the environment", async () => {
  const ran = await status([], {
    NIXWAVE_AUTHORITY: "ca.pem",
    NIXWAVE_CERT: "ops-2.pem",
    NIXWAVE_CERT_KEY: "ops-2.key",
  });
  expect(ran).toMatchObject({ code: 0, talk: "" });
  expect(seen).toMatchObject([
    { certificate: expect.stringContaining("ops-2"), authorization: undefined },
  ]);
});

test("a control plane with TLS that is named without is told apart from one that is away", async () => {
  const plain = cp.replace("https:", "http:");
  const ran = await runCli(["status", "--cp", plain], { cwd: folder });
  expect(ran.code).toBe(1);
  expect(ran.talk).toContain(`${plain} closed the connection`);
  expect(ran.talk).toContain("Does it serve TLS? Name it so: --cp https://…");
});

test("a server that another authority certified gets nothing", async () => {
  const ran = await status(["--authority", "other-ca.pem", "--token-file", "token"]);
  expect(ran.code).toBe(1);
  expect(ran.talk).toContain("has a certificate that other-ca.pem did not sign");
  expect(ran.talk).toContain("nothing was sent");
  expect(seen).toEqual([]);
});

test("a server under another name than its certificate's gets nothing", async () => {
  const elsewhere = cp.replace("127.0.0.1", "127.0.0.2");
  const ran = await runCli(
    ["status", "--cp", elsewhere, "--authority", "ca.pem", "--token-file", "token"],
    { cwd: folder },
  );
  expect(ran.code).toBe(1);
  expect(seen).toEqual([]);
});

test.each([
  ["no authority", ["--token-file", "token"], /needs --authority FILE \(or NIXWAVE_AUTHORITY\)/],
  ["nobody", ["--authority", "ca.pem"], /who are you\? Name a token's file of mode 0600/],
  [
    "no such token",
    ["--authority", "ca.pem", "--token-file", "gone"],
    /gone can't be read \(ENOENT\)/,
  ],
  ["an empty token", ["--authority", "ca.pem", "--token-file", "empty"], /its first line is empty/],
  [
    "an open token",
    ["--authority", "ca.pem", "--token-file", "open"],
    /mode 0644 lets others read it, expected 0600: chmod 600 open/,
  ],
  ["no key", ["--authority", "ca.pem", "--cert", "ops-2.pem"], /--cert needs --cert-key FILE/],
])("%s: one sentence, and nothing is sent", async (_, args, said) => {
  put("empty", "\n");
  put("open", TOKEN, 0o644);
  const ran = await status(args);
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(said);
  expect(ran.talk).not.toContain(TOKEN);
  expect(seen).toEqual([]);
});

test("a token is never sent where it can be read on the way", async () => {
  const plain = cp.replace("https:", "http:");
  const ran = await runCli(["status", "--cp", plain, "--token-file", "token"], { cwd: folder });
  expect(ran).toMatchObject({ code: 1, talk: expect.stringContaining("is not encrypted") });
  const quiet = await runCli(["status", "--cp", plain], {
    cwd: folder,
    env: { NIXWAVE_TOKEN_FILE: "token" },
  });
  expect(quiet.code).toBe(1);
  expect(seen).toEqual([]);
});

test("a redirect is not followed: it would carry the token elsewhere", async () => {
  redirects = true;
  const ran = await status(["--authority", "ca.pem", "--token-file", "token"]);
  expect(ran.code).toBe(1);
  expect(seen).toHaveLength(1);
});
