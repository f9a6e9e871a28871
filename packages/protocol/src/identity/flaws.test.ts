import { createHash, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toBase64, toBase64Url } from "./base64.ts";
import { makeCertificateRequest, readCertificateRequest } from "./csr.ts";
import { derInteger, derItems, derUnsigned, derValue, oneDer, TAG } from "./der.ts";
import {
  codeOf,
  given,
  KINDS,
  NOW,
  newAuthority,
  newKey,
  serial,
  web1,
} from "./identity.fixture.ts";
import { issueForAgent } from "./issue.ts";
import { checkJoinToken, makeJoinToken } from "./joinToken.ts";
import { reading } from "./malformed.ts";
import { principalOf } from "./principal.ts";
import { readSigned, writeSigned } from "./profile.ts";
import { ed25519Key, keyOfSpki, type PublicKey, publicHalf } from "./publicKey.ts";
import { isSignedBy, isSoundSignature, signWith } from "./signature.ts";
import { parseSshPublicKey, sshBlobOf } from "./sshKey.ts";
import { checkSshSignature, makeSshSignature, parseSshSignature } from "./sshSignature.ts";
import { sshString } from "./sshWire.ts";

/** A true statement of each format, whose signature can be replaced by a flawed one. */
interface Frame {
  readonly key: PublicKey;
  readonly signature: Uint8Array;
  readonly accepts: (signature: Uint8Array) => boolean;
}

const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytesOf = (value: bigint, length: number) =>
  Buffer.from(value.toString(16).padStart(length * 2, "0"), "hex");

async function rawFrame(kind: PublicKey["kind"]): Promise<Frame> {
  const privateKey = newKey(kind);
  const key = publicHalf(privateKey);
  const message = Buffer.from("a statement");
  const signature = signWith(privateKey, message);
  return { key, signature, accepts: (other) => isSignedBy({ key, message, signature: other }) };
}

async function requestFrame(kind: PublicKey["kind"]): Promise<Frame> {
  const privateKey = newKey(kind);
  const key = publicHalf(privateKey);
  const { tbs, signature } = readSigned(await makeCertificateRequest({ name: web1, privateKey }));
  const accepts = (other: Uint8Array) =>
    readCertificateRequest(writeSigned({ tbs: tbs.bytes, key, signature: other })).ok;
  return { key, signature, accepts };
}

async function certificateFrame(kind: PublicKey["kind"]): Promise<Frame> {
  const { issuer, authority } = await newAuthority(kind);
  const agent = { name: web1, key: publicHalf(newKey()), serial: serial(), now: NOW };
  const { tbs, signature } = (await issueForAgent(issuer, agent)).signed;
  const key = authority.key;
  const accepts = (other: Uint8Array) => {
    const der = writeSigned({ tbs: tbs.bytes, key, signature: other });
    return principalOf(der, [authority], NOW).ok;
  };
  return { key, signature, accepts };
}

async function sshFrame(kind: PublicKey["kind"]): Promise<Frame> {
  const privateKey = newKey(kind);
  const key = publicHalf(privateKey);
  const message = Buffer.from("a statement");
  const made = makeSshSignature({ privateKey, namespace: "test", message });
  const { signature } = given(parseSshSignature(made));
  const blobOf = (value: Uint8Array) =>
    kind === "ed25519" ? sshString(value) : sshString(asMpints(value));
  const tail = blobOf(signature);
  // The signature is the last field, itself of two: its kind and this tail.
  const type = sshString(kind === "ed25519" ? "ssh-ed25519" : "ecdsa-sha2-nistp256");
  const head = made.subarray(0, made.length - tail.length - type.length - 4);
  expect(Buffer.concat([head, sshString(Buffer.concat([type, tail]))])).toEqual(Buffer.from(made));
  const accepts = (other: Uint8Array) => {
    const read = parseSshSignature(
      Buffer.concat([head, sshString(Buffer.concat([type, blobOf(other)]))]),
    );
    return read.ok && checkSshSignature(read.value, { key, namespace: "test", message }).ok;
  };
  return { key, signature, accepts };
}

/** As in vectors.test.ts: contents as they are, or the bytes whole where there are no numbers. */
function asMpints(signature: Uint8Array): Uint8Array {
  const read = reading(() => derItems(oneDer(signature, TAG.sequence), TAG.sequence));
  return read.ok ? Buffer.concat(read.value.map(({ content }) => sshString(content))) : signature;
}

async function tokenFrame(): Promise<Frame> {
  const privateKey = newKey();
  const key = publicHalf(privateKey);
  const token = await makeJoinToken({
    privateKey,
    host: web1,
    controlPlane: "cp",
    keyThumbprint: null,
    nonce: new Uint8Array(16),
    now: NOW,
    validSecs: 60,
  });
  const [header = "", claims = "", signature = ""] = token.split(".");
  const accepts = (other: Uint8Array) =>
    checkJoinToken(`${header}.${claims}.${toBase64Url(other)}`, {
      keys: [key],
      controlPlane: "cp",
      now: NOW,
    }).ok;
  return { key, signature: Buffer.from(signature, "base64url"), accepts };
}

const ED25519_FRAMES = {
  raw: () => rawFrame("ed25519"),
  "SSH signature": () => sshFrame("ed25519"),
  "join token": tokenFrame,
  "certificate request": () => requestFrame("ed25519"),
  certificate: () => certificateFrame("ed25519"),
};

const P256_FRAMES = {
  raw: () => rawFrame("p256"),
  "SSH signature": () => sshFrame("p256"),
  "certificate request": () => requestFrame("p256"),
  certificate: () => certificateFrame("p256"),
};

const IDENTITY = Buffer.from(`01${"00".repeat(31)}`, "hex");

const ED25519_FLAWS: Readonly<Record<string, (signature: Buffer) => Uint8Array>> = {
  "S above the order": (signature) => {
    const s = numberOf(Buffer.from(signature.subarray(32)).reverse());
    return Buffer.concat([signature.subarray(0, 32), bytesOf(s + L, 32).reverse()]);
  },
  "one byte more": (signature) => Buffer.concat([signature, Buffer.from([0])]),
  "one byte less": (signature) => signature.subarray(0, 63),
  empty: () => new Uint8Array(),
  "one bit of R": (signature) => flipped(signature, 3),
  "one bit of S": (signature) => flipped(signature, 40),
  "R of small order and S of zero": () => Buffer.concat([IDENTITY, Buffer.alloc(32)]),
};

const scalars = (signature: Uint8Array): readonly [bigint, bigint] => {
  const [r, s] = derItems(oneDer(signature, TAG.sequence), TAG.sequence);
  return [numberOf(derUnsigned(r)), numberOf(derUnsigned(s))];
};
const ecdsa = (r: bigint, s: bigint) =>
  derValue(TAG.sequence, derInteger(bytesOf(r, 40)), derInteger(bytesOf(s, 40)));
const changed =
  (change: (r: bigint, s: bigint) => readonly [bigint, bigint]) => (signature: Uint8Array) =>
    ecdsa(...change(...scalars(signature)));

const P256_FLAWS: Readonly<Record<string, (signature: Buffer) => Uint8Array>> = {
  "r above the order": changed((r, s) => [r + N, s]),
  "s above the order": changed((r, s) => [r, s + N]),
  "r of zero": changed((_, s) => [0n, s]),
  "s of zero": changed((r) => [r, 0n]),
  "r and s of the order": changed(() => [N, N]),
  "r and s exchanged": changed((r, s) => [s, r]),
  "a third number": (signature) =>
    derValue(TAG.sequence, oneDer(signature, TAG.sequence).content, derInteger(Buffer.from([1]))),
  "a needless zero": (signature) => {
    const [r, s] = derItems(oneDer(signature, TAG.sequence), TAG.sequence);
    const padded = Buffer.concat([Buffer.from([0, 0]), derUnsigned(r)]);
    return derValue(TAG.sequence, derValue(TAG.integer, padded), s?.bytes ?? new Uint8Array());
  },
  "one byte less": (signature) => signature.subarray(0, -1),
  empty: () => new Uint8Array(),
};

/** Flaws of DER alone: SSH writes the numbers otherwise. */
const DER_FLAWS: Readonly<Record<string, (signature: Buffer) => Uint8Array>> = {
  "one byte more": (signature) => Buffer.concat([signature, Buffer.from([0])]),
  "a length of two bytes": (signature) =>
    Buffer.concat([Buffer.from([0x30, 0x81, signature.length - 2]), signature.subarray(2)]),
  "an indefinite length": (signature) =>
    Buffer.concat([Buffer.from([0x30, 0x80]), signature.subarray(2), Buffer.alloc(2)]),
};

function flipped(signature: Buffer, index: number): Uint8Array {
  const other = Buffer.from(signature);
  other[index] = (other[index] ?? 0) ^ 1;
  return other;
}

describe.each(Object.entries(ED25519_FRAMES))("Ed25519 within: %s", (_, frame) => {
  test("holds as it was made, and with no flaw (hazard 86)", async () => {
    const { signature, accepts } = await frame();
    expect(accepts(signature)).toBe(true);
    for (const [name, flaw] of Object.entries(ED25519_FLAWS)) {
      expect(accepts(flaw(Buffer.from(signature))), name).toBe(false);
    }
  });
});

describe.each(Object.entries(P256_FRAMES))("P-256 within: %s", (path, frame) => {
  test("holds as it was made, and with no flaw", async () => {
    const { signature, accepts } = await frame();
    expect(accepts(signature)).toBe(true);
    const flaws = path === "SSH signature" ? P256_FLAWS : { ...P256_FLAWS, ...DER_FLAWS };
    for (const [name, flaw] of Object.entries(flaws)) {
      expect(accepts(flaw(Buffer.from(signature))), name).toBe(false);
    }
  });

  test("holds with the low and with the high s (hazard 86)", async () => {
    const { signature, accepts } = await frame();
    const [r, s] = scalars(signature);
    expect([accepts(ecdsa(r, s)), accepts(ecdsa(r, N - s))]).toEqual([true, true]);
  });
});

describe("by form alone, before any library is asked", () => {
  /** These are well written, and sign something else. */
  const OF_MEANING = new Set(["one bit of R", "one bit of S", "r and s exchanged"]);
  const flaws = { ed25519: ED25519_FLAWS, p256: { ...P256_FLAWS, ...DER_FLAWS } };
  test.each(KINDS)("%s", async (kind) => {
    const { key, signature } = await rawFrame(kind);
    expect(isSoundSignature(key, signature)).toBe(true);
    const sound = Object.entries(flaws[kind])
      .filter(([name]) => !OF_MEANING.has(name))
      .filter(([, flaw]) => isSoundSignature(key, flaw(Buffer.from(signature))));
    expect(sound.map(([name]) => name)).toEqual([]);
    const weak = { kind: "ed25519", bytes: IDENTITY } as const;
    expect(isSoundSignature(weak, Buffer.from((await rawFrame("ed25519")).signature))).toBe(false);
  });

  test("S is taken up to the order, and not from it on", () => {
    const key = publicHalf(newKey());
    const withS = (s: bigint) => Buffer.concat([key.bytes, bytesOf(s, 32).reverse()]);
    expect([L - 1n, L].map((s) => isSoundSignature(key, withS(s)))).toEqual([true, false]);
  });

  test("of two numbers, no more and no fewer", () => {
    const key = publicHalf(newKey("p256"));
    const one = derInteger(Buffer.from([1]));
    const sound = [1, 2, 3].map((count) =>
      isSoundSignature(key, derValue(TAG.sequence, ...Array.from({ length: count }, () => one))),
    );
    expect(sound).toEqual([false, true, false]);
  });

  test("r and s are taken up to the order, and not from it on", () => {
    const key = publicHalf(newKey("p256"));
    const sound = [1n, N - 1n, N].map((r) => isSoundSignature(key, ecdsa(r, 1n)));
    expect(sound).toEqual([true, true, false]);
  });
});

describe("weak Ed25519 keys", () => {
  /** The points whose order divides 8, in every spelling: both signs, and y above the field's prime. */
  const WEAK = [
    "00".repeat(32),
    `01${"00".repeat(31)}`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(30)}7f`,
    `ee${"ff".repeat(30)}7f`,
  ].flatMap((text) => {
    const bytes = Buffer.from(text, "hex");
    const negative = Buffer.from(bytes);
    negative[31] = (negative[31] ?? 0) | 0x80;
    return [bytes, negative];
  });

  test("are refused in every spelling", () => {
    expect(WEAK.filter((bytes) => reading(() => ed25519Key(bytes)).ok)).toEqual([]);
  });

  /** The number that a private key stands for (RFC 8032, 5.1.5). */
  function scalarOf(privateKey: KeyObject): bigint {
    const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
    const scalar = createHash("sha512").update(seed).digest().subarray(0, 32);
    scalar[0] = (scalar[0] ?? 0) & 248;
    scalar[31] = ((scalar[31] ?? 0) & 127) | 64;
    return numberOf(scalar.reverse());
  }

  /** R and S of r·B and r: under a key of small order such a pair holds for every eighth message, or for all. */
  function forged(): Uint8Array {
    const privateKey = newKey();
    const s = bytesOf(scalarOf(privateKey) % L, 32).reverse();
    return Buffer.concat([publicHalf(privateKey).bytes, s]);
  }

  // OpenSSL 3.0, which Node 22 has, accepts these; 3.5, which Node 24 has, no longer does.
  test("are refused with each Node, though everybody can sign with them", () => {
    const signature = forged();
    const messages = Array.from({ length: 64 }, (_, index) => Buffer.from(`message ${index}`));
    for (const bytes of WEAK) {
      const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes]);
      const weak = { kind: "ed25519", bytes } as const;
      expect(messages.filter((message) => isSignedBy({ key: weak, message, signature }))).toEqual(
        [],
      );
      expect(reading(() => keyOfSpki(spki)).ok).toBe(false);
      const line = `ssh-ed25519 ${toBase64(sshBlobOf(weak))}`;
      expect(parseSshPublicKey(line).ok).toBe(false);
    }
  });

  test("an R of small order is refused with each Node, though the key's own holder made it", () => {
    const privateKey = newKey();
    const key = publicHalf(privateKey);
    const message = Buffer.from("a statement");
    const hash = createHash("sha512").update(IDENTITY).update(key.bytes).update(message).digest();
    const s = (numberOf(hash.reverse()) * scalarOf(privateKey)) % L;
    const signature = Buffer.concat([IDENTITY, bytesOf(s, 32).reverse()]);
    expect(isSignedBy({ key, message, signature })).toBe(false);
  });

  test("the list is whole: eight times each of its points is the neutral one", () => {
    const P = 2n ** 255n - 19n;
    const mod = (value: bigint) => ((value % P) + P) % P;
    const power = (base: bigint, exponent: bigint): bigint => {
      let [result, square] = [1n, mod(base)];
      for (let rest = exponent; rest > 0n; rest >>= 1n) {
        if (rest & 1n) result = mod(result * square);
        square = mod(square * square);
      }
      return result;
    };
    const inverse = (value: bigint) => power(value, P - 2n);
    const D = mod(-121665n * inverse(121666n));
    // Doubling by y alone: x² follows from the curve, -x² + y² = 1 + d·x²·y².
    const doubled = (y: bigint): bigint => {
      const y2 = mod(y * y);
      const x2 = mod((y2 - 1n) * inverse(mod(D * y2 + 1n)));
      return mod((y2 + x2) * inverse(mod(1n - D * mod(x2 * y2))));
    };
    const small = WEAK.map((bytes) => {
      const y = Buffer.from(bytes);
      y[31] = (y[31] ?? 0) & 0x7f;
      return mod(numberOf(y.reverse()));
    });
    expect(small.map((y) => doubled(doubled(doubled(y))))).toEqual(small.map(() => 1n));
    // One point each of order 1 and 2, two of order 4 and four of order 8 have five different y.
    expect(new Set(small).size).toBe(5);
  });
});

test.each(KINDS)(
  "a certificate that names another algorithm than its CA's key has is refused: %s",
  async (kind) => {
    const { issuer, authority } = await newAuthority(kind);
    const agent = { name: web1, key: publicHalf(newKey()), serial: serial(), now: NOW };
    const { tbs, signature } = (await issueForAgent(issuer, agent)).signed;
    const other = publicHalf(newKey(kind === "ed25519" ? "p256" : "ed25519"));
    const der = writeSigned({ tbs: tbs.bytes, key: other, signature });
    expect(codeOf(principalOf(der, [authority], NOW))).toBe("malformed");
  },
);

test.each(KINDS)(
  "a request that names another algorithm than its key has is refused: %s",
  async (kind) => {
    const privateKey = newKey(kind);
    const { tbs, signature } = readSigned(await makeCertificateRequest({ name: web1, privateKey }));
    const other = publicHalf(newKey(kind === "ed25519" ? "p256" : "ed25519"));
    expect(readCertificateRequest(writeSigned({ tbs: tbs.bytes, key: other, signature })).ok).toBe(
      false,
    );
  },
);
