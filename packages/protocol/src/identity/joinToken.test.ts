import { createPublicKey, type KeyObject } from "node:crypto";
import {
  calculateJwkThumbprint,
  compactVerify,
  exportJWK,
  importJWK,
  jwtVerify,
  SignJWT,
} from "jose";
import { describe, expect, test } from "vitest";
import { toBase64Url } from "./base64.ts";
import { at, codeOf, DAY, given, KINDS, MINUTE, NOW, newKey, web1 } from "./identity.fixture.ts";
import { checkJoinToken, makeJoinToken, TOKEN_VALID_SECS_MAX } from "./joinToken.ts";
import { jwkOf, publicHalf, thumbprint } from "./publicKey.ts";
import { signWith } from "./signature.ts";

const privateKey = newKey();
const key = publicHalf(privateKey);
const kid = thumbprint(key);
const form = {
  privateKey,
  host: web1,
  controlPlane: "cp-1",
  keyThumbprint: null,
  nonce: Buffer.alloc(16, 1),
  now: NOW,
  validSecs: 3600,
};
const check = (text: string, now = NOW) =>
  checkJoinToken(text, { keys: [key], controlPlane: "cp-1", now });

const NOW_SECS = NOW / 1000;
const HEADER = { alg: "EdDSA", typ: "nixwave-join+jwt", kid };
const CLAIMS = {
  sub: "web-1",
  aud: "cp-1",
  jti: toBase64Url(form.nonce),
  iat: NOW_SECS,
  exp: NOW_SECS + 60,
};

/** A well-signed token of any header and claims. */
function signed(header: unknown, claims: unknown, signer: KeyObject = privateKey): string {
  const part = (value: unknown) =>
    toBase64Url(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${toBase64Url(signWith(signer, Buffer.from(text)))}`;
}

test("a token says what it was made for", async () => {
  const jkt = thumbprint(publicHalf(newKey("p256")));
  expect(given(check(await makeJoinToken({ ...form, keyThumbprint: jkt })))).toEqual({
    host: "web-1",
    controlPlane: "cp-1",
    keyThumbprint: jkt,
    nonce: toBase64Url(form.nonce),
    issuedAt: NOW,
    expiresAt: at(60 * MINUTE),
  });
});

describe("in time, on both sides (hazards 81 and 82)", () => {
  test.each([
    ["dated ten minutes ahead", { iat: NOW_SECS + 600, exp: NOW_SECS + 700 }, "ok"],
    ["dated further ahead", { iat: NOW_SECS + 601, exp: NOW_SECS + 700 }, "future-dated"],
    ["in its last second", { iat: NOW_SECS - 60, exp: NOW_SECS + 1 }, "ok"],
    ["at its end", { iat: NOW_SECS - 60, exp: NOW_SECS }, "expired"],
    ["as long as is allowed", { exp: NOW_SECS + TOKEN_VALID_SECS_MAX }, "ok"],
    ["longer", { exp: NOW_SECS + TOKEN_VALID_SECS_MAX + 1 }, "malformed-proof"],
    ["in milliseconds", { iat: NOW, exp: NOW + 60_000 }, "malformed-proof"],
    ["ended before it began", { iat: NOW_SECS + 100, exp: NOW_SECS + 50 }, "malformed-proof"],
  ])("%s", (_, times, expected) => {
    expect(codeOf(check(signed(HEADER, { ...CLAIMS, ...times })))).toBe(expected);
  });
});

describe("refused although well signed", () => {
  const { sub: _, ...nobody } = CLAIMS;
  test.each<[string, unknown, unknown, string]>([
    ["not at all", HEADER, { ...CLAIMS, later: 1 }, "ok"],
    ["another type", { ...HEADER, typ: "JWT" }, CLAIMS, "malformed-proof"],
    ["no algorithm", { ...HEADER, alg: "none" }, CLAIMS, "malformed-proof"],
    ["a symmetric algorithm", { ...HEADER, alg: "HS256" }, CLAIMS, "malformed-proof"],
    ["a critical header", { ...HEADER, crit: ["b64"], b64: false }, CLAIMS, "malformed-proof"],
    ["a key of its own", { ...HEADER, jwk: jwkOf(key) }, CLAIMS, "malformed-proof"],
    ["an unknown key", { ...HEADER, kid: "x" }, CLAIMS, "unknown-token-key"],
    ["nobody's name", HEADER, nobody, "malformed-proof"],
    ["a name that is none", HEADER, { ...CLAIMS, sub: "Web 1" }, "malformed-proof"],
    ["two audiences", HEADER, { ...CLAIMS, aud: ["cp-1", "cp-2"] }, "malformed-proof"],
    ["another CP", HEADER, { ...CLAIMS, aud: "cp-2" }, "wrong-cp"],
    ["a short nonce", HEADER, { ...CLAIMS, jti: "x" }, "malformed-proof"],
    ["half a second", HEADER, { ...CLAIMS, iat: NOW_SECS + 0.5 }, "malformed-proof"],
    ["bound to something else", HEADER, { ...CLAIMS, cnf: { kid: "x" } }, "malformed-proof"],
    ["no claims", HEADER, "[]", "malformed-proof"],
    ["no JSON", HEADER, "{", "malformed-proof"],
  ])("%s", (_, header, claims, expected) => {
    expect(codeOf(check(signed(header, claims)))).toBe(expected);
  });

  test("by another key under a listed key's name", () => {
    expect(codeOf(check(signed(HEADER, CLAIMS, newKey())))).toBe("bad-signature");
  });

  test("by a listed key of P-256: tokens are EdDSA", () => {
    const other = newKey("p256");
    const keys = [publicHalf(other)];
    const text = signed({ ...HEADER, kid: thumbprint(publicHalf(other)) }, CLAIMS, other);
    expect(codeOf(checkJoinToken(text, { keys, controlPlane: "cp-1", now: NOW }))).toBe(
      "unknown-token-key",
    );
  });
});

test("a token with another spelling of base64, a fourth part or too much text is refused", () => {
  const text = signed(HEADER, CLAIMS);
  const [header = "", claims = "", signature = ""] = text.split(".");
  const altered = [
    `${text}=`,
    `${text}.`,
    ` ${text}`,
    `${header}.${claims}.${signature.slice(0, -1)}${signature.endsWith("A") ? "B" : "A"}`,
    `${header}.${claims}.${signature.replaceAll("-", "+").replaceAll("_", "/")}=`,
    `${header}..${signature}`,
    "x".repeat(1_000_000),
  ];
  expect(altered.map((each) => check(each).ok)).toEqual(altered.map(() => false));
});

test("jose gives the same answer: to ours, to an altered one, to one that ended", async () => {
  const jwk = await importJWK({ ...jwkOf(key) }, "EdDSA");
  const joses = (text: string, now = NOW) =>
    jwtVerify(text, jwk, {
      audience: "cp-1",
      typ: "nixwave-join+jwt",
      algorithms: ["EdDSA"],
      currentDate: new Date(now),
    }).then(
      () => true,
      () => false,
    );
  const ours = await makeJoinToken(form);
  const altered = ours.replace(/\.(.)/, (_, first) => `.${first === "e" ? "f" : "e"}`);
  for (const [text, now] of [
    [ours, NOW],
    [altered, NOW],
    [ours, at(DAY)],
  ] as const) {
    expect(check(text, now).ok).toBe(await joses(text, now));
  }
  const joseMade = await new SignJWT(CLAIMS).setProtectedHeader(HEADER).sign(privateKey);
  expect(codeOf(check(joseMade))).toBe("ok");
  expect((await compactVerify(signed(HEADER, CLAIMS), jwk)).protectedHeader.kid).toBe(kid);
});

test.each(KINDS)("thumbprints are jose's: %s", async (kind) => {
  const ours = newKey(kind);
  const jwk = await exportJWK(createPublicKey(ours));
  expect(thumbprint(publicHalf(ours))).toBe(await calculateJwkThumbprint(jwk));
});

test("what can't be checked is not made: a weak nonce, too long a life, another kind of key", async () => {
  const bad = [
    { ...form, nonce: Buffer.alloc(15) },
    { ...form, validSecs: TOKEN_VALID_SECS_MAX + 1 },
    { ...form, validSecs: 0 },
    { ...form, privateKey: newKey("p256") },
  ];
  for (const each of bad) await expect(makeJoinToken(each)).rejects.toThrow();
});
