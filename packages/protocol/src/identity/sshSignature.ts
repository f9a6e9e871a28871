import { createHash, type KeyObject } from "node:crypto";
import type { Result } from "@nixwave/effects";
import {
  derInteger,
  derItems,
  derUnsigned,
  derValue,
  oneDer,
  shortestUnsigned,
  TAG,
} from "./der.ts";
import { expects, type Refusal, reading, refuse } from "./malformed.ts";
import { fromPem, toPem } from "./pem.ts";
import { type PublicKey, publicHalf, sameKey, shownKey } from "./publicKey.ts";
import { isSignedBy, signWith } from "./signature.ts";
import { keyOfSshBlob, sshBlobOf, sshTypeOf } from "./sshKey.ts";
import { SshReader, sshString, sshUint32 } from "./sshWire.ts";

/**
 * SSH signatures as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig). The namespace keeps a signature that was made for
 * another purpose, such as a git commit, from counting as one for ours.
 */
export const ENROL_NAMESPACE = "nixwave-enroll";

const MAGIC = "SSHSIG";
const VERSION = 1;
const LABEL = "SSH SIGNATURE";
/** ssh-keygen wraps here. */
const ARMOUR_WIDTH = 70;

export interface SshSignature {
  readonly key: PublicKey;
  readonly namespace: string;
  readonly hash: "sha256" | "sha512";
  /** As isSignedBy takes it. */
  readonly signature: Uint8Array;
}

export type SshSignatureRefusal = Refusal<"bad-signature" | "key-mismatch" | "wrong-namespace">;

/** Reads an armoured signature. The error is a sentence. */
export const parseArmouredSshSignature = (text: string): Result<SshSignature, string> =>
  reading(() => readSshSignature(fromPem(LABEL, text)));

/** Reads a signature without its armour. The error is a sentence. */
export const parseSshSignature = (bytes: Uint8Array): Result<SshSignature, string> =>
  reading(() => readSshSignature(bytes));

/** Throws Malformed. */
function readSshSignature(bytes: Uint8Array): SshSignature {
  const reader = new SshReader(bytes, "the SSH signature");
  const magic = Buffer.from(reader.take(MAGIC.length)).toString("latin1");
  expects(magic === MAGIC, "the SSH signature does not begin with SSHSIG");
  expects(reader.uint32() === VERSION, `the SSH signature is not of version ${VERSION}`);
  const key = keyOfSshBlob(reader.string());
  const namespace = reader.text();
  expects(reader.text() === "", "the SSH signature has something in its reserved field");
  const hash = reader.text();
  expects(
    hash === "sha256" || hash === "sha512",
    "the SSH signature's hash is neither sha256 nor sha512",
  );
  const signature = signatureOfSshBlob(key, reader.string());
  reader.ends();
  return { key, namespace, hash, signature };
}

/** The signature within an SSH signature blob, in the form that isSignedBy takes. Throws Malformed. */
export function signatureOfSshBlob(key: PublicKey, blob: Uint8Array): Uint8Array {
  const reader = new SshReader(blob, "the SSH signature");
  expects(reader.text() === sshTypeOf(key), "the SSH signature is of another kind than its key");
  const bytes = reader.string();
  reader.ends();
  if (key.kind === "ed25519") return bytes;
  const numbers = new SshReader(bytes, "the SSH signature");
  const [r, s] = [numbers.unsigned(), numbers.unsigned()];
  numbers.ends();
  return derValue(TAG.sequence, derInteger(r), derInteger(s));
}

/** Whether `message` is signed for `namespace` with `key`, and no other key. */
export function checkSshSignature(
  signature: SshSignature,
  expected: {
    readonly key: PublicKey;
    readonly namespace: string;
    readonly message: Uint8Array;
  },
): Result<null, SshSignatureRefusal> {
  if (signature.namespace !== expected.namespace) {
    return refuse(
      "wrong-namespace",
      `The SSH signature was made for the namespace ${JSON.stringify(signature.namespace.slice(0, 64))}: expected ${expected.namespace}.`,
    );
  }
  if (!sameKey(signature.key, expected.key)) {
    return refuse(
      "key-mismatch",
      `The SSH signature was made with ${shownKey(signature.key)}, and ${shownKey(expected.key)} is the declared host key.`,
    );
  }
  const signed = isSignedBy({
    key: expected.key,
    signature: signature.signature,
    message: signedBytes({ ...signature, message: expected.message }),
  });
  if (signed) return { ok: true, value: null };
  return refuse("bad-signature", "The SSH signature does not hold for this request.");
}

/** Signs for a namespace; SHA-512 is ssh-keygen's own choice. */
export function makeSshSignature(statement: {
  readonly privateKey: KeyObject;
  readonly namespace: string;
  readonly message: Uint8Array;
}): Uint8Array {
  const { privateKey, namespace, message } = statement;
  const key = publicHalf(privateKey);
  const hash = "sha512";
  const signature = signWith(privateKey, signedBytes({ namespace, hash, message }));
  return Buffer.concat([
    Buffer.from(MAGIC),
    sshUint32(VERSION),
    sshString(sshBlobOf(key)),
    sshString(namespace),
    sshString(""),
    sshString(hash),
    sshString(sshBlobOfSignature(key, signature)),
  ]);
}

/** With the armour that ssh-keygen reads. */
export const armouredSshSignature = (signature: Uint8Array): string =>
  toPem(LABEL, signature, ARMOUR_WIDTH);

function sshBlobOfSignature(key: PublicKey, signature: Uint8Array): Uint8Array {
  const numbers = key.kind === "ed25519" ? signature : mpints(signature);
  return Buffer.concat([sshString(sshTypeOf(key)), sshString(numbers)]);
}

function mpints(der: Uint8Array): Uint8Array {
  const numbers = derItems(oneDer(der, TAG.sequence), TAG.sequence);
  return Buffer.concat(numbers.map((number) => sshString(shortestUnsigned(derUnsigned(number)))));
}

function signedBytes(statement: {
  readonly namespace: string;
  readonly hash: SshSignature["hash"];
  readonly message: Uint8Array;
}): Uint8Array {
  const digest = createHash(statement.hash).update(statement.message).digest();
  return Buffer.concat([
    Buffer.from(MAGIC),
    sshString(statement.namespace),
    sshString(""),
    sshString(statement.hash),
    sshString(digest),
  ]);
}
