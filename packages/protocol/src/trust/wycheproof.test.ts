import { ECDH } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { z } from "zod";
import { reading } from "../identity/malformed.ts";
import { keyOfSpki, type PublicKey } from "../identity/publicKey.ts";
import { isSignedBy } from "../identity/signature.ts";
import { withLowS } from "./lowS.ts";
import { readPublicPem, readTufKey, toTufKey } from "./publicKey.ts";

const readSpki = (der: Uint8Array) => reading(() => keyOfSpki(der));
const VECTORS = fileURLToPath(new URL("../../../../../shared/vectors/", import.meta.url));

const suite = z.object({
  numberOfTests: z.number(),
  testGroups: z.array(
    z.object({
      publicKeyDer: z.string(),
      publicKeyPem: z.string(),
      tests: z.array(
        z.object({
          tcId: z.number(),
          comment: z.string(),
          flags: z.array(z.string()),
          msg: z.string(),
          sig: z.string(),
          result: z.enum(["valid", "invalid", "acceptable"]),
        }),
      ),
    }),
  ),
});

function readSuite(name: string) {
  const path = `${VECTORS}${name}`;
  if (!existsSync(path)) {
    throw new Error(
      `${path}: the vectors lie in shared/vectors beside the checkout: put them there`,
    );
  }
  return suite.parse(JSON.parse(readFileSync(path, "utf8")));
}

/** Every encoding in which this code takes a key. */
function keysOf(group: { publicKeyDer: string; publicKeyPem: string }): [string, PublicKey][] {
  const der = Buffer.from(group.publicKeyDer, "hex");
  const crlf = group.publicKeyPem.replaceAll("\n", "\r\n");
  const ed25519 = der.length === 44;
  const type = ed25519 ? "ed25519" : "ecdsa-sha2-nistp256";
  const inTuf = (text: string, keytype = type) =>
    readTufKey({ keytype, scheme: type, keyval: { public: text } });
  const raw = der.subarray(ed25519 ? 12 : 26);
  const own = readSpki(der);
  const ways: [string, ReturnType<typeof readSpki>][] = [
    ["DER", own],
    ["PEM", readPublicPem(group.publicKeyPem)],
    ["PEM with CRLF", readPublicPem(crlf)],
    ["PEM in metadata", inTuf(group.publicKeyPem)],
    ["hex in metadata", inTuf(raw.toString("hex"))],
  ];
  if (own.ok) ways.push(["as we write it", readTufKey(toTufKey(own.value, "somebody"))]);
  if (!ed25519) {
    const point = ECDH.convertKey(raw, "prime256v1", undefined, "hex", "compressed");
    ways.push(["compressed hex", inTuf(String(point))]);
    ways.push(["keytype ecdsa", inTuf(group.publicKeyPem, "ecdsa")]);
  }
  return ways.map(([way, key]) => {
    if (!key.ok) throw new Error(`${way}: ${key.error}`);
    return [way, key.value];
  });
}

test.each([
  ["wycheproof-ed25519.json", 151],
  ["wycheproof-ecdsa-p256-sha256.json", 484],
])("%s: valid passes, invalid is refused, in every encoding of the key", (name, count) => {
  const { testGroups } = readSuite(name);
  const wrong: string[] = [];
  const acceptable: string[] = [];
  let seen = 0;
  for (const group of testGroups) {
    for (const [way, key] of keysOf(group)) {
      for (const { tcId, comment, msg, sig, result } of group.tests) {
        if (way === "DER") seen += 1;
        const signature = Buffer.from(sig, "hex");
        const passes = isSignedBy({ key, message: Buffer.from(msg, "hex"), signature });
        if (result === "acceptable") acceptable.push(`${tcId}: ${passes}`);
        else if (passes !== (result === "valid")) wrong.push(`${tcId} ${way}: ${comment}`);
      }
    }
  }
  expect(seen).toBe(count);
  expect(wrong).toEqual([]);
  // Nothing is left to taste in these two suites. A case that is must be listed here with our answer.
  expect(acceptable).toEqual([]);
});

test("ECDSA: both halves of s pass, and what we write is the lower", () => {
  const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  let flipped = 0;
  for (const group of readSuite("wycheproof-ecdsa-p256-sha256.json").testGroups) {
    const key = readSpki(Buffer.from(group.publicKeyDer, "hex"));
    if (!key.ok) throw new Error(key.error);
    for (const { msg, sig, result } of group.tests) {
      if (result !== "valid") continue;
      const signature = Buffer.from(sig, "hex");
      const low = withLowS(signature);
      expect(isSignedBy({ key: key.value, message: Buffer.from(msg, "hex"), signature: low })).toBe(
        true,
      );
      const s = Buffer.from(low.subarray(5 + (low[3] ?? 0) + 1));
      expect(BigInt(`0x${s.toString("hex")}`) <= N / 2n).toBe(true);
      if (!signature.equals(low)) flipped += 1;
    }
  }
  expect(flipped).toBeGreaterThan(20);
});
