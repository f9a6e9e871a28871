import { createPublicKey, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toBase64Url } from "./base64.ts";
import { derItems, derValue, oneDer, TAG } from "./der.ts";
import { partsOfToken } from "./joinToken.ts";
import { reading } from "./malformed.ts";
import { isSignedDerBy, readSigned, writeSigned } from "./profile.ts";
import { keyOfSpki } from "./publicKey.ts";
import { isSignedBy } from "./signature.ts";
import { keyOfSshBlob, sshBlobOf, sshTypeOf } from "./sshKey.ts";
import { signatureOfSshBlob } from "./sshSignature.ts";
import { sshString } from "./sshWire.ts";
import { ed25519Vectors, p256Vectors, type Vector } from "./vectors.fixture.ts";

/**
 * Each case goes through each format's own readers of key and signature, and to its check. Only the frame around the signed bytes
 * is left out: no certificate says "Test". What frames do to bad signatures is in flaws.test.ts.
 */
type Path = (vector: Vector) => boolean;

const raw: Path = ({ spki, message, signature }) =>
  isSignedBy({ key: keyOfSpki(spki), message, signature });

const ssh: Path = ({ spki, message, signature }) => {
  const key = keyOfSshBlob(sshBlobOf(keyOfSpki(spki)));
  const blob = key.kind === "ed25519" ? signature : asMpints(signature);
  const read = signatureOfSshBlob(key, Buffer.concat([sshString(sshTypeOf(key)), sshString(blob)]));
  return isSignedBy({ key, message, signature: read });
};

const jwt: Path = ({ spki, message, signature }) => {
  const empty = toBase64Url(Buffer.from("{}"));
  const { signature: read } = partsOfToken(`${empty}.${empty}.${toBase64Url(signature)}`);
  return isSignedBy({ key: keyOfSpki(spki), message, signature: read });
};

/** Certificates and requests share one frame, and isSignedDerBy. */
const der: Path = ({ spki, message, signature }) => {
  const key = keyOfSpki(spki);
  const tbs = derValue(TAG.sequence, spki);
  const signed = readSigned(writeSigned({ tbs, key, signature }));
  return isSignedDerBy(key, { ...signed, tbs: { ...signed.tbs, bytes: message } });
};

/**
 * SSH has the two numbers as mpints. The contents of DER's numbers are carried over as they are, so that a negative or padded one stays so.
 * A signature whose DER is not even of numbers has no counterpart, and is put in their place whole.
 */
function asMpints(signature: Uint8Array): Uint8Array {
  const contents = reading(() => {
    const numbers = derItems(oneDer(signature, TAG.sequence), TAG.sequence);
    return numbers.every(({ tag }) => tag === TAG.integer) ? numbers : null;
  });
  if (!contents.ok || contents.value === null) return signature;
  return Buffer.concat(contents.value.map(({ content }) => sshString(content)));
}

const PATHS = { raw, "SSH signature": ssh, "join token": jwt, "certificate and request": der };
const P256_PATHS = { raw, "SSH signature": ssh, "certificate and request": der };

/** Whatever a reader refuses is refused. */
const accepts = (path: Path, vector: Vector): boolean => {
  const read = reading(() => path(vector));
  return read.ok && read.value;
};

function wrongAnswers(path: Path, vectors: readonly Vector[]): readonly string[] {
  return vectors
    .filter((vector) => accepts(path, vector) !== (vector.result === "valid"))
    .map(({ id, comment, result }) => `${id} is ${result}: ${comment}`);
}

describe("the 151 cases of Ed25519", () => {
  const vectors = ed25519Vectors();
  test("are all there, none of them a matter of opinion", () => {
    expect(vectors).toHaveLength(151);
    expect(vectors.filter(({ result }) => result === "acceptable")).toEqual([]);
    expect(vectors.filter(({ result }) => result === "valid")).toHaveLength(88);
  });
  test.each(Object.entries(PATHS))("valid passes, invalid is refused: %s", (_, path) => {
    expect(wrongAnswers(path, vectors)).toEqual([]);
  });
});

describe("the 484 cases of ECDSA P-256", () => {
  const vectors = p256Vectors();
  test("are all there, none of them a matter of opinion", () => {
    expect(vectors).toHaveLength(484);
    expect(vectors.filter(({ result }) => result === "acceptable")).toEqual([]);
    expect(vectors.filter(({ result }) => result === "valid")).toHaveLength(174);
  });
  test.each(Object.entries(P256_PATHS))("valid passes, invalid is refused: %s", (_, path) => {
    expect(wrongAnswers(path, vectors)).toEqual([]);
  });
});

test("Node's own check answers each case as listed; what it is lenient about is in flaws.test.ts", () => {
  const lenient = [...ed25519Vectors(), ...p256Vectors()].filter(
    ({ spki, message, signature, result }) => {
      const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
      const hash = key.asymmetricKeyType === "ed25519" ? null : "sha256";
      return verify(hash, message, key, signature) !== (result === "valid");
    },
  );
  // Should another Node differ, this list says where; the tests above hold all the same.
  expect(lenient.map(({ comment }) => comment)).toEqual([]);
});
