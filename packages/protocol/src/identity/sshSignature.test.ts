import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { toBase64 } from "./base64.ts";
import { codeOf, given, KINDS, newKey, sshPrivateKeyText } from "./identity.fixture.ts";
import { fromPem, toPem } from "./pem.ts";
import { publicHalf, sameKey } from "./publicKey.ts";
import { formatSshPublicKey, parseSshPrivateKey, parseSshPublicKey, sshBlobOf } from "./sshKey.ts";
import {
  armouredSshSignature,
  checkSshSignature,
  ENROL_NAMESPACE,
  makeSshSignature,
  parseArmouredSshSignature,
  parseSshSignature,
} from "./sshSignature.ts";
import { sshString, sshUint32 } from "./sshWire.ts";

const message = Buffer.from("host web-1\n");
const namespace = ENROL_NAMESPACE;

const hasSshKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined;

test("ssh-keygen is there where all tests must run", () => {
  const mayLack = process.env["CI"] === undefined;
  expect(hasSshKeygen || mayLack, "install ssh-keygen: Debian's package openssh-client").toBe(true);
});

describe.skipIf(!hasSshKeygen)("with the real ssh-keygen", () => {
  const folder = mkdtempSync(join(tmpdir(), "nixwave-ssh-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const keygen = (args: readonly string[], input: Uint8Array = new Uint8Array()) =>
    execFileSync("ssh-keygen", args, { input, stdio: ["pipe", "pipe", "pipe"] });
  const makeKey = (name: string, ...args: readonly string[]) => {
    const path = join(folder, name);
    keygen(["-q", "-N", "", "-C", "root@web-1", "-f", path, ...args]);
    return path;
  };
  const publicOf = (path: string) => given(parseSshPublicKey(readFileSync(`${path}.pub`, "utf8")));

  test.each([
    ["ed25519", "sha512"],
    ["ed25519", "sha256"],
    ["ecdsa", "sha512"],
    ["ecdsa", "sha256"],
  ])("what it signs with %s and %s, we accept", (type, hash) => {
    const path = makeKey(
      `sign-${type}-${hash}`,
      "-t",
      type,
      ...(type === "ecdsa" ? ["-b", "256"] : []),
    );
    // Half of all ECDSA signatures have the higher s, and each 128th a shorter number.
    for (let index = 0; index < (type === "ecdsa" ? 12 : 2); index += 1) {
      const text = Buffer.from(`message ${index}`);
      const armoured = keygen(
        ["-q", "-Y", "sign", "-f", path, "-n", namespace, "-O", `hashalg=${hash}`],
        text,
      );
      const signature = given(parseArmouredSshSignature(armoured.toString()));
      const key = publicOf(path);
      expect(codeOf(checkSshSignature(signature, { key, namespace, message: text }))).toBe("ok");
      expect(codeOf(checkSshSignature(signature, { key, namespace, message }))).toBe(
        "bad-signature",
      );
    }
  });

  test("what we sign with its key, it accepts, and armours alike", () => {
    const path = makeKey("made", "-t", "ed25519");
    const privateKey = given(parseSshPrivateKey(readFileSync(path, "utf8")));
    expect(sameKey(publicHalf(privateKey), publicOf(path))).toBe(true);
    const ours = armouredSshSignature(makeSshSignature({ privateKey, namespace, message }));
    // Ed25519 has one signature per key and message, so that the two files are equal to the byte.
    expect(keygen(["-q", "-Y", "sign", "-f", path, "-n", namespace], message).toString()).toBe(
      ours,
    );
    expect(verified(privateKey, ours)).toContain("Good");
  });

  test.each(KINDS)("what we sign with a key of our own of %s, it accepts", (kind) => {
    for (let index = 0; index < 8; index += 1) {
      const privateKey = newKey(kind);
      const ours = armouredSshSignature(makeSshSignature({ privateKey, namespace, message }));
      expect(verified(privateKey, ours)).toContain("Good");
    }
  });

  function verified(privateKey: ReturnType<typeof newKey>, signature: string): string {
    const [allowed, file] = [join(folder, "allowed"), join(folder, "signature")];
    writeFileSync(allowed, `web-1 ${formatSshPublicKey(publicHalf(privateKey))}\n`);
    writeFileSync(file, signature);
    const args = ["-Y", "verify", "-f", allowed, "-I", "web-1", "-n", namespace, "-s", file];
    return keygen(args, message).toString();
  }

  test("keys that are not for this are refused: a passphrase, RSA, other curves", () => {
    const sealed = join(folder, "sealed");
    keygen(["-q", "-N", "a passphrase", "-t", "ed25519", "-f", sealed]);
    const sentences = [
      parseSshPrivateKey(readFileSync(sealed, "utf8")),
      parseSshPrivateKey(readFileSync(makeKey("rsa", "-t", "rsa", "-b", "2048"), "utf8")),
      parseSshPrivateKey(readFileSync(makeKey("p256", "-t", "ecdsa", "-b", "256"), "utf8")),
      parseSshPublicKey(readFileSync(join(folder, "rsa.pub"), "utf8")),
      parseSshPublicKey(readFileSync(`${makeKey("p384", "-t", "ecdsa", "-b", "384")}.pub`, "utf8")),
    ].map((result) => (result.ok ? "" : result.error));
    expect(sentences).toEqual([
      "the SSH private key has a passphrase: expected one without, as host keys are",
      "an SSH key is ssh-ed25519 or ecdsa-sha2-nistp256 here",
      "the SSH private key is not ssh-ed25519",
      'expected a line such as "ssh-ed25519 AAAA…" or "ecdsa-sha2-nistp256 AAAA…"',
      'expected a line such as "ssh-ed25519 AAAA…" or "ecdsa-sha2-nistp256 AAAA…"',
    ]);
  });
});

describe("a signature is refused", () => {
  const privateKey = newKey();
  const key = publicHalf(privateKey);
  const signed = makeSshSignature({ privateKey, namespace, message });
  const signature = signed.subarray(-64);

  const parts = {
    magic: Buffer.from("SSHSIG"),
    version: sshUint32(1),
    key: sshString(sshBlobOf(key)),
    namespace: sshString(namespace),
    reserved: sshString(""),
    hash: sshString("sha512"),
    signature: sshString(Buffer.concat([sshString("ssh-ed25519"), sshString(signature)])),
    end: new Uint8Array(),
  };
  const answer = (changed: Partial<Record<keyof typeof parts, Uint8Array>>) => {
    const read = parseSshSignature(Buffer.concat(Object.values({ ...parts, ...changed })));
    return read.ok
      ? codeOf(checkSshSignature(read.value, { key, namespace, message }))
      : read.error;
  };
  const other = publicHalf(newKey());
  const blob = (type: string, value: Uint8Array) =>
    sshString(Buffer.concat([sshString(type), sshString(value)]));

  test.each([
    ["unless it is whole", {}, "ok"],
    [
      "of another format",
      { magic: Buffer.from("SSHSIX") },
      "the SSH signature does not begin with SSHSIG",
    ],
    ["of another version", { version: sshUint32(2) }, "the SSH signature is not of version 1"],
    ["by another key", { key: sshString(sshBlobOf(other)) }, "key-mismatch"],
    ["in another namespace", { namespace: sshString("git") }, "wrong-namespace"],
    [
      "with something in the reserved field",
      { reserved: sshString("x") },
      "the SSH signature has something in its reserved field",
    ],
    [
      "with SHA-1",
      { hash: sshString("sha1") },
      "the SSH signature's hash is neither sha256 nor sha512",
    ],
    ["with the other hash than was signed", { hash: sshString("sha256") }, "bad-signature"],
    [
      "of another kind than its key",
      { signature: blob("ecdsa-sha2-nistp256", signature) },
      "the SSH signature is of another kind than its key",
    ],
    [
      "that is cut short",
      { signature: blob("ssh-ed25519", signature.subarray(1)) },
      "bad-signature",
    ],
    [
      "that is followed by something",
      { end: Buffer.from([0]) },
      "the SSH signature is followed by other bytes",
    ],
    ["that ends too early", { signature: new Uint8Array() }, "the SSH signature ends too early"],
    [
      "that says it is longer than it is",
      { signature: sshUint32(0xffffffff) },
      "the SSH signature ends too early",
    ],
    ["that is too long", { end: Buffer.alloc(4096) }, "the SSH signature has at most 4096 bytes"],
  ])("%s", (_, changed, expected) => {
    expect(answer(changed)).toBe(expected);
  });

  test("for another message", () => {
    const read = given(parseSshSignature(signed));
    const expected = { key, namespace, message: Buffer.from("host web-2\n") };
    expect(codeOf(checkSshSignature(read, expected))).toBe("bad-signature");
  });

  test("whose armour is not one block of one spelling", () => {
    const armoured = armouredSshSignature(signed);
    const altered = [
      `${armoured}x`,
      armoured.replace("SSH", "SSI"),
      armoured.replace("\n", "\n \n"),
      armoured + armoured,
    ];
    expect(altered.map((text) => parseArmouredSshSignature(text).ok)).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(parseArmouredSshSignature(armoured.replaceAll("\n", "\r\n")).ok).toBe(true);
  });
});

describe("a private key is refused", () => {
  const privateKey = newKey();
  const text = sshPrivateKeyText(privateKey);
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
  const bytes = Buffer.from(fromPem("OPENSSH PRIVATE KEY", text));
  const label = "OPENSSH PRIVATE KEY";
  const answer = (change: (altered: Buffer) => Uint8Array) => {
    const read = parseSshPrivateKey(toPem(label, change(Buffer.from(bytes)), 70));
    return read.ok ? "ok" : read.error;
  };
  const xor = (altered: Buffer, at: number) => {
    altered[at] = (altered[at] ?? 0) ^ 1;
    return altered;
  };
  const another = "the SSH private key does not belong to the public key beside it";

  test.each<[string, (altered: Buffer) => Uint8Array, string]>([
    ["unless it is whole", (altered) => altered, "ok"],
    ["with another seed", (altered) => xor(altered, altered.indexOf(seed)), another],
    [
      "with another public key behind the seed",
      (altered) => xor(altered, altered.indexOf(seed) + 40),
      another,
    ],
    [
      "with check numbers that differ",
      (altered) => xor(altered, altered.indexOf(sshUint32(7)) + 3),
      "the SSH private key is damaged: its two check numbers differ",
    ],
    [
      "with other padding",
      (altered) => xor(altered, altered.length - 1),
      "the SSH private key is padded wrongly",
    ],
    [
      "followed by something",
      (altered) => Buffer.concat([altered, Buffer.from([0])]),
      "the SSH private key is followed by other bytes",
    ],
  ])("%s", (_, change, expected) => {
    expect(answer(change)).toBe(expected);
  });

  test("and the sentence holds nothing of it", () => {
    const sentence = answer((altered) => xor(altered, altered.indexOf(seed)));
    for (const encoding of ["hex", "base64"] as const) {
      expect(sentence).not.toContain(seed.toString(encoding).slice(0, 12));
    }
  });
});

test("a public key line is read with and without a comment, and must say what it holds", () => {
  const key = publicHalf(newKey("p256"));
  const line = formatSshPublicKey(key);
  for (const text of [line, `${line} root@web-1`, `${line}\n`, `${line}\tan old machine\r\n`]) {
    expect(sameKey(given(parseSshPublicKey(text)), key)).toBe(true);
  }
  const lying = `ssh-ed25519 ${toBase64(sshBlobOf(key))}`;
  expect(parseSshPublicKey(lying)).toEqual({
    ok: false,
    error: "the line says ssh-ed25519, and its key ecdsa-sha2-nistp256",
  });
  expect(parseSshPublicKey(`${line}\n${line}`).ok).toBe(false);
});

test("a point that is on no curve is no key", () => {
  const { kind, bytes } = publicHalf(newKey("p256"));
  const off = Uint8Array.from(bytes);
  off[64] = (off[64] ?? 0) ^ 1;
  const line = `ecdsa-sha2-nistp256 ${toBase64(sshBlobOf({ kind, bytes: off }))}`;
  expect(parseSshPublicKey(line)).toEqual({
    ok: false,
    error: "no point of its curve is the p256 key",
  });
});

test("PEM is the same after reading, at any width", () => {
  const bytes = Buffer.from(
    "some bytes that take more than one line of base64, whatever its width may be",
  );
  for (const width of [64, 70])
    expect(Buffer.from(fromPem("X", toPem("X", bytes, width)))).toEqual(bytes);
});
