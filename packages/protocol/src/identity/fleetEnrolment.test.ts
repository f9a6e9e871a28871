import type { HostName } from "@nixwave/effects";
import { expect, test } from "vitest";
import { hostName } from "../ids.ts";
import {
  decodeEnrolmentKeys,
  decodeRevocations,
  encodeEnrolmentKeys,
  encodeRevocations,
  type RevokedHost,
} from "./fleetEnrolment.ts";
import { given, NOW, newKey, web1, web2 } from "./identity.fixture.ts";
import { publicHalf } from "./publicKey.ts";
import { formatSshPublicKey } from "./sshKey.ts";

const bytesOf = (content: unknown) => Buffer.from(JSON.stringify(content));
const errorOf = (result: { ok: true } | { ok: false; error: string }) =>
  result.ok ? "" : result.error;

test("enrolment keys are the same after the file", () => {
  const keys = [{ name: "ann", key: publicHalf(newKey()) }];
  expect(given(decodeEnrolmentKeys(encodeEnrolmentKeys(keys)))).toEqual(keys);
});

test("an enrolment key of another kind is refused by its name", () => {
  const key = formatSshPublicKey(publicHalf(newKey("p256")));
  const file = (line: string) => bytesOf({ schemaVersion: 1, keys: [{ name: "ann", key: line }] });
  expect(errorOf(decodeEnrolmentKeys(file(key)))).toBe(
    'key "ann": expected ssh-ed25519, because join tokens are EdDSA',
  );
  expect(errorOf(decodeEnrolmentKeys(file("ssh-rsa AAAA")))).toMatch(/^key "ann": expected a line/);
});

test("revocations are the same after the file, in any order of adding", () => {
  const [whole, before] = [
    { before: null, reason: "stolen" },
    { before: NOW, reason: "installed anew" },
  ];
  const revoked = new Map<HostName, RevokedHost>([
    [web2, before],
    [web1, whole],
    // A host may be called as every object's property is.
    [hostName.parse("constructor"), whole],
  ]);
  const bytes = encodeRevocations(revoked);
  expect(given(decodeRevocations(bytes))).toEqual(revoked);
  expect(encodeRevocations(new Map([...revoked].reverse()))).toEqual(bytes);
});

test("a file that can't be read says why: nobody is un-revoked by a broken one", () => {
  const errors = [
    decodeRevocations(Buffer.from("{")),
    decodeRevocations(bytesOf({ schemaVersion: 2, hosts: {} })),
    decodeRevocations(
      bytesOf({ schemaVersion: 1, hosts: { "Web 1": { before: null, reason: "" } } }),
    ),
    decodeRevocations(bytesOf({ schemaVersion: 1, hosts: { "web-1": { reason: "" } } })),
    decodeEnrolmentKeys(bytesOf({ schemaVersion: 1 })),
  ].map(errorOf);
  expect(errors.filter((error) => error === "")).toEqual([]);
});
