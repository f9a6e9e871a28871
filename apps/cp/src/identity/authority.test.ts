import { randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addSecs, instant } from "@nixwave/effects";
import { hostName, issueForAgent, principalOf, publicHalf, SERIAL_BYTES } from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type AuthoritySource, openIssuer, tlsDir } from "./authority.ts";
import { newKey } from "./identity.fixture.ts";
import { openServerCertificate, type ServerSource } from "./serverCertificate.ts";

const NOW = instant(Date.UTC(2026, 10, 24));
const DAY_SECS = 86_400;
const OWN: AuthoritySource = { kind: "own" };
const random = { bytes: (count: number) => randomBytes(count) };

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "nixwave-ca-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const open = (source: AuthoritySource = OWN, dir = dataDir) =>
  openIssuer(source, { dataDir: dir, random, now: NOW });
const certFile = (): string => join(tlsDir(dataDir), "ca.pem");
const keyFile = (): string => join(tlsDir(dataDir), "ca.key");

test("the first start makes a CA of ten years, every later one takes it", async () => {
  const first = await open();
  const years = (first.authority.notAfter - NOW) / (365 * DAY_SECS * 1000);
  expect(years).toBeCloseTo(10, 1);
  expect([statSync(keyFile()).mode & 0o777, statSync(tlsDir(dataDir)).mode & 0o777]).toEqual([
    0o600, 0o700,
  ]);
  expect((await open()).authority.serial).toBe(first.authority.serial);
});

test("two that start at once, a start and a command, have one CA", async () => {
  const both = await Promise.all([open(), open(), open()]);
  expect(new Set(both.map(({ authority }) => authority.serial)).size).toBe(1);
});

test("killed between the key and the certificate: the next start makes the certificate of that key", async () => {
  const first = await open();
  rmSync(certFile());
  expect((await open()).authority.key).toEqual(first.authority.key);
});

test("a key that others can read, or of another CA, is refused with what to do", async () => {
  await open();
  chmodSync(keyFile(), 0o644);
  await expect(open()).rejects.toThrow(/mode 0644 lets others read .* chmod 600/);
  chmodSync(keyFile(), 0o600);
  const other = mkdtempSync(join(tmpdir(), "nixwave-ca-"));
  await open(OWN, other);
  const mixed: AuthoritySource = {
    kind: "key",
    certFile: certFile(),
    keyFile: join(tlsDir(other), "ca.key"),
  };
  await expect(open(mixed)).rejects.toThrow(/not the key of the CA's certificate/);
  writeFileSync(certFile(), "nothing");
  await expect(open()).rejects.toThrow(/ca\.pem: .*Give the PEM of a CA/);
  rmSync(other, { recursive: true });
});

test("a command signs, and whoever answers with another signature is refused by name", async () => {
  const { authority } = await open();
  const script = join(dataDir, "sign.mjs");
  writeFileSync(
    script,
    `import { createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
const key = createPrivateKey(readFileSync(process.argv[2]));
process.stdout.write(sign("sha256", readFileSync(0), key));
`,
  );
  const issued = async (argv: readonly string[]) => {
    const issuer = await open({ kind: "command", certFile: certFile(), argv });
    const key = publicHalf(newKey());
    const serial = randomBytes(SERIAL_BYTES);
    return issueForAgent(issuer, { name: hostName.parse("web-1"), key, serial, now: NOW });
  };
  // Half of what OpenSSL signs has a high s: all of it is brought to the one form that is accepted.
  for (let count = 0; count < 4; count += 1) {
    const certificate = await issued([process.execPath, script, keyFile()]);
    expect(principalOf(certificate.der, [authority], NOW).ok).toBe(true);
  }
  const failing = [process.execPath, "-e", "process.exit(7)"];
  await expect(issued(failing)).rejects.toThrow(/--ca-sign-cmd .* ended with 7/);
  const silent = [process.execPath, "-e", ""];
  await expect(issued(silent)).rejects.toThrow(/no signature by this key/);
  await expect(issued(["/nowhere/sign"])).rejects.toThrow(/could not be run/);
});

const serve = async (source: ServerSource, now = NOW) =>
  openServerCertificate({ source, issuer: await open(), dataDir, random, now });
const names = (...list: string[]): ServerSource => ({ kind: "own", names: list });

test("the server's pair is kept, and made anew at half of its life, for other names, of another CA, or damaged", async () => {
  const first = await serve(names("cp.example.com", "127.0.0.1"));
  expect((first.notAfter - NOW) / 1000).toBe(90 * DAY_SECS);
  const again = await serve(names("cp.example.com", "127.0.0.1"));
  expect(again.cert).toBe(first.cert);
  const halfLife = await serve(names("cp.example.com", "127.0.0.1"), addSecs(NOW, 46 * DAY_SECS));
  expect(halfLife.cert).not.toBe(first.cert);
  const named = await serve(names("other.example.com"));
  expect(new X509Certificate(named.cert).checkHost("other.example.com")).toBe("other.example.com");
  rmSync(tlsDir(dataDir), { recursive: true });
  const pair = join(tlsDir(dataDir), "server.pem");
  await open();
  writeFileSync(pair, named.cert + named.key, { mode: 0o600 });
  const remade = await serve(names("other.example.com"));
  expect(remade.cert).not.toBe(named.cert);
  writeFileSync(pair, "damaged", { mode: 0o600 });
  expect((await serve(names("other.example.com"))).cert).not.toBe(remade.cert);
});

test("a given pair is read again within the hour, and two that do not belong together are refused", async () => {
  const made = await serve(names("cp.example.com"));
  const [cert, key] = [join(dataDir, "given.pem"), join(dataDir, "given.key")];
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.key, { mode: 0o600 });
  const given = await serve({ kind: "files", certFile: cert, keyFile: key });
  expect(given).toMatchObject({ cert: made.cert, renewAt: addSecs(NOW, 3600) });
  writeFileSync(key, readFileSync(keyFile()));
  await expect(serve({ kind: "files", certFile: cert, keyFile: key })).rejects.toThrow(
    /expected a certificate and its private key/,
  );
  await expect(serve({ kind: "files", certFile: "/nowhere", keyFile: key })).rejects.toThrow(
    /--server-cert \/nowhere: there is no such file/,
  );
});
