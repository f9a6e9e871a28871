import { createPrivateKey, type KeyObject } from "node:crypto";
import type { Result } from "@nixwave/effects";
import { fromBase64, sameBytes, toBase64 } from "./base64.ts";
import { expects, reading } from "./malformed.ts";
import { fromPem } from "./pem.ts";
import { ed25519Key, type PublicKey, p256Key, publicHalf } from "./publicKey.ts";
import { SshReader, sshString } from "./sshWire.ts";

const ED25519 = "ssh-ed25519";
const P256 = "ecdsa-sha2-nistp256";
const CURVE = "nistp256";

export const sshTypeOf = (key: PublicKey): string => (key.kind === "ed25519" ? ED25519 : P256);

/** Reads a public key as it stands within SSH signatures and, in base64, in OpenSSH's files. */
export function keyOfSshBlob(blob: Uint8Array): PublicKey {
  const reader = new SshReader(blob, "the SSH key");
  const type = reader.text();
  expects(type === ED25519 || type === P256, `an SSH key is ${ED25519} or ${P256} here`);
  if (type === P256) expects(reader.text() === CURVE, `the SSH key is not of the curve ${CURVE}`);
  const bytes = reader.string();
  reader.ends();
  return type === ED25519 ? ed25519Key(bytes) : p256Key(bytes);
}

export function sshBlobOf(key: PublicKey): Uint8Array {
  const type = sshString(sshTypeOf(key));
  const curve = key.kind === "p256" ? sshString(CURVE) : new Uint8Array();
  return Buffer.concat([type, curve, sshString(key.bytes)]);
}

/** A key of these kinds has about 100 characters, and the comment is a person's. */
const PUBLIC_LINE_LENGTH_MAX = 1024;

/** Reads a line such as `ssh-ed25519 AAAA… root@web-1`; what comes after the key is a comment. The error is a sentence. */
export function parseSshPublicKey(line: string): Result<PublicKey, string> {
  return reading(() => {
    expects(
      line.length <= PUBLIC_LINE_LENGTH_MAX && !/[\r\n]/.test(line.trim()),
      `an SSH public key is one line of at most ${PUBLIC_LINE_LENGTH_MAX} characters`,
    );
    const [type = "", body = ""] = line.trim().split(/[ \t]+/);
    expects(
      type === ED25519 || type === P256,
      `expected a line such as "${ED25519} AAAA…" or "${P256} AAAA…"`,
    );
    const key = keyOfSshBlob(fromBase64(body, "the SSH key"));
    expects(sshTypeOf(key) === type, `the line says ${type}, and its key ${sshTypeOf(key)}`);
    return key;
  });
}

/** One line, without a comment. */
export const formatSshPublicKey = (key: PublicKey): string =>
  `${sshTypeOf(key)} ${toBase64(sshBlobOf(key))}`;

const MAGIC = "openssh-key-v1\0";
/** PKCS#8 of an Ed25519 key up to its seed. */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
/** Without a cipher the private part is padded to a multiple of this. */
const BLOCK_BYTES = 8;

/**
 * Reads an unencrypted Ed25519 private key as ssh-keygen writes it, /etc/ssh/ssh_host_ed25519_key above all.
 * The error is a sentence and holds nothing of the key.
 */
export function parseSshPrivateKey(text: string): Result<KeyObject, string> {
  return reading(() => {
    const reader = new SshReader(fromPem("OPENSSH PRIVATE KEY", text), "the SSH private key");
    const magic = Buffer.from(reader.take(MAGIC.length)).toString("latin1");
    expects(magic === MAGIC, "the SSH private key is not of the format openssh-key-v1");
    const [cipher, kdf, options] = [reader.text(), reader.text(), reader.text()];
    expects(
      cipher === "none" && kdf === "none" && options === "",
      "the SSH private key has a passphrase: expected one without, as host keys are",
    );
    expects(reader.uint32() === 1, "the SSH private key file has more than one key");
    const declared = keyOfSshBlob(reader.string());
    const seed = readPrivatePart(reader.string(), declared);
    reader.ends();
    const pkcs8 = Buffer.concat([PKCS8_HEAD, seed]);
    const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    expects(
      sameBytes(publicHalf(key).bytes, declared.bytes),
      "the SSH private key does not belong to the public key beside it",
    );
    return key;
  });
}

function readPrivatePart(bytes: Uint8Array, declared: PublicKey): Uint8Array {
  const reader = new SshReader(bytes, "the SSH private key");
  expects(
    reader.uint32() === reader.uint32(),
    "the SSH private key is damaged: its two check numbers differ",
  );
  expects(
    reader.text() === ED25519 && declared.kind === "ed25519",
    `the SSH private key is not ${ED25519}`,
  );
  const publicBytes = reader.string();
  const secret = reader.string();
  reader.string();
  const padding = reader.rest();
  expects(
    secret.length === 64 &&
      sameBytes(publicBytes, declared.bytes) &&
      sameBytes(secret.subarray(32), declared.bytes),
    "the SSH private key does not belong to the public key beside it",
  );
  expects(
    bytes.length % BLOCK_BYTES === 0 &&
      padding.length < BLOCK_BYTES &&
      padding.every((byte, index) => byte === index + 1),
    "the SSH private key is padded wrongly",
  );
  return secret.subarray(0, 32);
}
