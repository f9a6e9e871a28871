import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { at, codeOf, DAY, given, NOW } from "./identity.fixture.ts";
import {
  checkOperatorToken,
  makeOperatorToken,
  type OperatorTokenRecord,
  operatorTokenHash,
} from "./operatorToken.ts";

const bytes = randomBytes(32);
const ann = makeOperatorToken({ bytes, name: "ann", role: "viewer", now: NOW });
const store = new Map<string, OperatorTokenRecord>([[ann.record.hash, ann.record]]);
const check = (token: string, now = NOW) =>
  checkOperatorToken(token, (hash) => store.get(hash), now);

test("a token is its holder's until it ends after 90 days, or is revoked", () => {
  expect(given(check(ann.token))).toEqual(ann.record);
  expect(codeOf(check(ann.token, at(90 * DAY - 1)))).toBe("ok");
  expect(codeOf(check(ann.token, at(90 * DAY)))).toBe("expired");
  store.delete(ann.record.hash);
  expect(codeOf(check(ann.token))).toBe("unknown-token");
  store.set(ann.record.hash, ann.record);
});

test("what is stored tells nothing of the token", () => {
  const stored = JSON.stringify(ann.record);
  for (const encoding of ["hex", "base64", "base64url"] as const) {
    expect(stored).not.toContain(bytes.toString(encoding));
  }
  expect(ann.token).toMatch(/^nwt_[A-Za-z0-9_-]{43}$/);
});

test("a text that is no token is not looked up", () => {
  const asked: string[] = [];
  const texts = [
    "",
    "nwt_",
    `${ann.token} `,
    `${ann.token}x`,
    ann.token.slice(0, -1),
    "x".repeat(1e6),
    `\n${ann.token}`,
    ann.record.hash,
  ];
  for (const text of texts) {
    const answer = checkOperatorToken(text, (hash) => void asked.push(hash), NOW);
    expect(codeOf(answer)).toBe("malformed");
    expect(operatorTokenHash(text)).toBeNull();
  }
  expect(asked).toEqual([]);
});

test("a store that finds another's record lets nobody in", () => {
  const other = makeOperatorToken({ bytes: randomBytes(32), name: "ann", role: "admin", now: NOW });
  expect(codeOf(checkOperatorToken(other.token, () => ann.record, NOW))).toBe("unknown-token");
});

test("no refusal repeats the token", () => {
  for (const answer of [check(`${ann.token}x`), check(ann.token, at(91 * DAY))]) {
    expect(JSON.stringify(answer)).not.toContain(ann.token.slice(4, 20));
  }
});
