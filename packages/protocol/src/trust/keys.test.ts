import { spawn } from "node:child_process";
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { cpuMs } from "../cpu.fixture.ts";
import { canonical } from "./canonical.ts";
import { generateKey, parseKeyText, readKeyFile, toKeyText, writeKeyFile } from "./keyFile.ts";
import { signersOf } from "./metadata.ts";
import { keyIdOf, nameOfKey, readPublicPem, readTufKey } from "./publicKey.ts";
import { scratchFolder } from "./scratch.fixture.ts";
import { commandSigner, keySigner, type RunCommand } from "./signer.ts";

const directory = scratchFolder();
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const path = (name: string) => join(directory, name);
const publicOf = (key: KeyObject) =>
  createPublicKey(key).export({ format: "der", type: "spki" }).toString("hex");
const message = Buffer.from("a message");

describe.each(["ed25519", "p256"] as const)("a key of kind %s", (kind) => {
  test.each([
    ["without a passphrase", null],
    ["with one", "correct horse"],
  ])("is written for its owner alone %s, read, and signs", async (named, passphrase) => {
    const key = generateKey(kind);
    const file = path(`ops-2-${kind}-${named.length}.key`);
    expect(await writeKeyFile(file, key, passphrase)).toEqual({ ok: true, value: null });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const signer = await readKeyFile(file, passphrase);
    if (!signer.ok) throw new Error(signer.error);
    expect(nameOfKey(signer.value.publicKey)).toMatch(/^ops-2-.* \([0-9a-f]{12}\)$/);
    const signature = await signer.value.sign(message);
    const hash = kind === "ed25519" ? null : "sha256";
    expect(verify(hash, message, createPublicKey(key), signature)).toBe(true);
    // Never over another key.
    expect((await writeKeyFile(file, generateKey(kind), null)).ok).toBe(false);
    const secret = key.export({ format: "der", type: "pkcs8" }).toString("base64");
    if (passphrase !== null) expect(readFileSync(file, "utf8")).not.toContain(secret.slice(60));
  });

  test("is read from what openssl writes, in each encoding (hazard 87)", async () => {
    const key = generateKey(kind);
    const pem = key.export({ format: "pem", type: "pkcs8" }).toString();
    const encrypted = key
      .export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "p" })
      .toString();
    for (const [text, passphrase] of [
      [pem, null],
      [pem.trimEnd(), null],
      [pem.replaceAll("\n", "\r\n"), null],
      [`${pem}\n\n`, null],
      [encrypted, "p"],
      [encrypted.replaceAll("\n", "\r\n"), "p"],
    ] as const) {
      const read = await parseKeyText(text, passphrase);
      expect(read.ok && publicOf(read.value), text).toBe(publicOf(key));
    }
  });
});

test.each([0o640, 0o604, 0o620, 0o777])("a key file of mode %o is refused", async (mode) => {
  const file = path(`open-${mode}.key`);
  await writeKeyFile(file, generateKey(), null);
  chmodSync(file, mode);
  expect(await readKeyFile(file, null)).toMatchObject({
    ok: false,
    error: expect.stringContaining(`expected 0600: chmod 600 ${file}`),
  });
});

test.each([
  ["the wrong passphrase", "other", "the passphrase is wrong, or the file is damaged"],
  ["none", null, "takes a passphrase"],
])("a sealed key with %s", async (_, passphrase, sentence) => {
  const text = await toKeyText(generateKey(), "right");
  expect(await parseKeyText(text, passphrase)).toMatchObject({
    ok: false,
    error: expect.stringContaining(sentence),
  });
});

test("a sealed key with any byte of its secret changed is not opened", async () => {
  const text = await toKeyText(generateKey(), "right");
  const changed = text.replace(
    /"sealed": "(.)/,
    (_, first) => `"sealed": "${first === "A" ? "B" : "A"}`,
  );
  expect((await parseKeyText(changed, "right")).ok).toBe(false);
});

test.each([
  ["RSA", generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey],
  ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey],
  ["X25519", generateKeyPairSync("x25519").privateKey],
])("a key of another kind is refused: %s", async (_, key) => {
  const pem = key.export({ format: "pem", type: "pkcs8" }).toString();
  expect(await parseKeyText(pem, null)).toMatchObject({
    ok: false,
    error: expect.stringContaining("expected"),
  });
});

test("a file can't set the price of opening it", async () => {
  const encrypted = generateKey().export({
    format: "der",
    type: "pkcs8",
    cipher: "aes-256-cbc",
    passphrase: "p",
  });
  const oid = Buffer.from("06092a864886f70d01050c", "hex");
  const at = encrypted.indexOf(oid) + oid.length + 2;
  const rounds = at + 2 + (encrypted[at + 1] ?? 0);
  expect(encrypted[rounds]).toBe(0x02);
  const length = encrypted[rounds + 1] ?? 0;
  encrypted.fill(0x7f, rounds + 2, rounds + 2 + length);
  // Two bytes hold at most 32 639 rounds; a longer integer shifts what is behind it, so that is done by hand.
  const longer = Buffer.concat([
    encrypted.subarray(0, rounds),
    Buffer.from("02047fffffff", "hex"),
    encrypted.subarray(rounds + 2 + length),
  ]);
  const lines = longer.toString("base64").match(/.{1,64}/g) ?? [];
  const pem = `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines.join("\n")}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
  const began = cpuMs();
  expect(await parseKeyText(pem, "p")).toMatchObject({
    error: "asks for too much work to open it",
  });
  expect(cpuMs() - began).toBeLessThan(500);
});

describe("a public key of small order, off the curve or not in canonical form is none", () => {
  test.each([
    ["identity", `01${"00".repeat(31)}`],
    ["zero", "00".repeat(32)],
    ["order 2", `ec${"ff".repeat(30)}7f`],
    ["order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
    ["order 8, negative", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"],
    ["order 8, the other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"],
    ["p for 0", `ed${"ff".repeat(30)}7f`],
    ["p + 1 for 1", `ee${"ff".repeat(30)}7f`],
    ["too short", "11".repeat(31)],
    ["upper case", "AB".repeat(32)],
    ["no hex", "zz".repeat(32)],
    ["nothing", ""],
  ])("%s", (_, hex) => {
    expect(readTufKey({ keytype: "ed25519", scheme: "ed25519", keyval: { public: hex } }).ok).toBe(
      false,
    );
  });

  test("under a key of small order one signature fits every message, and counts for none", () => {
    // OpenSSL 3.0, in Node 22, verifies this; 3.5 does not.
    const publicKey = {
      keytype: "ed25519",
      scheme: "ed25519",
      keyval: { public: `01${"00".repeat(31)}` },
    };
    const id = keyIdOf(publicKey);
    const sig = `01${"00".repeat(63)}`;
    const file = { signed: { any: "thing" }, signatures: [{ keyid: id, sig }] };
    expect(signersOf(file, { [id]: publicKey }, { keyids: [id] })).toEqual([]);
  });

  test("P-256: a point off the curve, another curve, a type that lies", () => {
    const p256 = { keytype: "ecdsa", scheme: "ecdsa-sha2-nistp256" };
    expect(readTufKey({ ...p256, keyval: { public: `04${"11".repeat(64)}` } }).ok).toBe(false);
    expect(readTufKey({ ...p256, keyval: { public: "00" } }).ok).toBe(false);
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const pem = publicKey.export({ format: "pem", type: "spki" }).toString();
    expect(readTufKey({ ...p256, keyval: { public: pem } }).ok).toBe(false);
    const other = generateKeyPairSync("ed25519").publicKey.export({ format: "pem", type: "spki" });
    expect(readTufKey({ ...p256, keyval: { public: other.toString() } })).toMatchObject({
      error: expect.stringContaining("ed25519"),
    });
    expect(
      readTufKey({ keytype: "rsa", scheme: "rsassa-pss-sha256", keyval: { public: pem } }).ok,
    ).toBe(false);
  });
});

test("a signature in metadata counts in its one spelling only (hazard 86)", () => {
  const key = generateKey();
  const signer = keySigner(key, "me");
  if (!signer.ok) throw new Error(signer.error);
  const { keyId, publicKey } = signer.value;
  const signed = { any: "thing" };
  const sig = sign(null, canonical(signed) ?? message, key).toString("hex");
  const count = (text: string) =>
    signersOf(
      { signed, signatures: [{ keyid: keyId, sig: text }] },
      { [keyId]: publicKey },
      { keyids: [keyId] },
    ).length;
  expect(count(sig)).toBe(1);
  // S + L is a second signature over the same bytes.
  const L = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(sig.slice(64), "hex").reverse().toString("hex")}`) + L;
  const malleated = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse().toString("hex");
  expect(count(sig.slice(0, 64) + malleated)).toBe(0);
  for (const text of [sig.toUpperCase(), `${sig}00`, `${sig} `, `${sig}zz`, sig.slice(2), ""]) {
    expect(count(text), text).toBe(0);
  }
});

test("one key in two spellings counts once", () => {
  const key = generateKey("p256");
  const signer = keySigner(key, "me");
  if (!signer.ok) throw new Error(signer.error);
  const hex = { ...signer.value.publicKey, keyval: { public: publicOf(key).slice(52) } };
  const pem = signer.value.publicKey;
  const signed = { any: "thing" };
  const sig = sign("sha256", canonical(signed) ?? message, key).toString("hex");
  const ids = [keyIdOf(pem), keyIdOf(hex)];
  const file = { signed, signatures: ids.map((keyid) => ({ keyid, sig })) };
  const keys = { [keyIdOf(pem)]: pem, [keyIdOf(hex)]: hex };
  expect(new Set(ids).size).toBe(2);
  expect(signersOf(file, keys, { keyids: ids })).toHaveLength(1);
});

describe("--sign-cmd", () => {
  const run: RunCommand = (argv, stdin) =>
    new Promise((done, fail) => {
      const [program = "", ...rest] = argv;
      const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
      const out: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
      child.on("error", fail);
      child.on("close", (code) =>
        code === 0 ? done(Buffer.concat(out)) : fail(new Error(`exit ${code}`)),
      );
      child.stdin.end(stdin);
    });

  const program = `
    const { sign, createPrivateKey } = require("node:crypto");
    const { readFileSync } = require("node:fs");
    const key = createPrivateKey(readFileSync(process.argv[1]));
    const hash = key.asymmetricKeyType === "ed25519" ? null : "sha256";
    process.stdout.write(sign(hash, readFileSync(0), key));`;

  test.each(["ed25519", "p256"] as const)("a command signs with a key of kind %s", async (kind) => {
    const key = generateKey(kind);
    const file = path(`hsm-${kind}.pem`);
    writeFileSync(file, await toKeyText(key, null), { mode: 0o600 });
    const own = keySigner(key, "hsm");
    if (!own.ok) throw new Error(own.error);
    const signer = commandSigner([process.execPath, "-e", program, file], own.value.publicKey, run);
    if (!signer.ok) throw new Error(signer.error);
    const hash = kind === "ed25519" ? null : "sha256";
    expect(verify(hash, message, createPublicKey(key), await signer.value.sign(message))).toBe(
      true,
    );
  });

  test.each([
    ["signs with another key", async () => sign(null, message, generateKey())],
    ["gives nothing", async () => new Uint8Array()],
    ["gives hex", async () => Buffer.from("ab".repeat(64))],
    ["gives too much", async () => new Uint8Array(1_000_000)],
  ])("a command that %s is found out before anything is written", async (_, runs) => {
    const own = keySigner(generateKey(), "hsm");
    if (!own.ok) throw new Error(own.error);
    const signer = commandSigner(["x"], own.value.publicKey, runs);
    if (!signer.ok) throw new Error(signer.error);
    await expect(signer.value.sign(message)).rejects.toThrow("no signature by this key");
  });
});

test("whatever a key file or a public key holds, the answer is a key or a sentence", async () => {
  const pem = generateKey().export({ format: "pem", type: "pkcs8" }).toString();
  const sealed = await toKeyText(generateKey(), "p");
  const near = fc
    .tuple(
      fc.constantFrom(pem, pem.replace("PRIVATE", "PUBLIC")),
      fc.nat(),
      fc.string({ maxLength: 5 }),
    )
    .map(([text, at, put]) => {
      const where = at % text.length;
      return text.slice(0, where) + put + text.slice(where + put.length);
    });
  // A changed salt or passphrase costs half a second: the sealed form is broken outside of them.
  const broken = fc.nat().map((at) => sealed.slice(0, at % (sealed.length - 3)));
  const texts = fc.oneof(near, broken, fc.string(), fc.base64String(), fc.json());
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const began = cpuMs();
      const key = await parseKeyText(text, null);
      if (!key.ok) expect(typeof key.error).toBe("string");
      for (const public_ of [
        readPublicPem(text),
        readTufKey({ keytype: "ed25519", scheme: "ed25519", keyval: { public: text } }),
      ]) {
        if (!public_.ok) expect(typeof public_.error).toBe("string");
      }
      expect(cpuMs() - began).toBeLessThan(250);
    }),
    { numRuns: 500 },
  );
});
