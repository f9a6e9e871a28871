import { expect, test } from "vitest";
import { readRefusal, readSigners } from "./nixRefusal.ts";

const HASH = "lhq7lllg9ps4y9ilzj2pmnykc000lipq";
const SYSTEM = `/nix/store/${HASH}-nixos-system-web`;
const LIB = "/nix/store/j07sx30g2lgqyscmlk04sxwz36kcwlah-lib";

// The words of Nix 2.8 (Debian 12) and of 2.26 (Debian 13).
test.each([
  [
    "2.8: unsigned",
    `cannot add path '${SYSTEM}' because it is not signed by any of the keys in 'trusted-public-keys'\nerror: build of '${SYSTEM}' failed`,
    true,
    `unsigned: no trusted key has signed ${SYSTEM}`,
  ],
  [
    "2.26: unsigned",
    `warning: ignoring substitute for '${SYSTEM}' from 'https://cache', as it's not signed by any of the keys in 'trusted-public-keys'\nerror: don't know how to build these paths:\n  ${SYSTEM}`,
    true,
    `unsigned: no trusted key has signed ${SYSTEM}`,
  ],
  [
    "a dependency unsigned",
    `error: cannot add path '${LIB}' because it lacks a signature by a trusted key`,
    true,
    `unsigned: no trusted key has signed ${LIB}`,
  ],
  [
    "tampered",
    `error: hash mismatch importing path '${SYSTEM}';\n         specified: sha256:0\n         got:       sha256:1`,
    true,
    `tampered: what the cache holds of ${SYSTEM}`,
  ],
  [
    "not pushed",
    `error: don't know how to build these paths:\n         ${SYSTEM}`,
    false,
    `no cache has all of ${SYSTEM}`,
  ],
  [
    "down",
    `warning: error: unable to download 'https://cache/nix-cache-info': Couldn't connect to server (7); retrying\nerror: don't know how to build these paths:\n  ${SYSTEM}`,
    false,
    `no cache answers for ${SYSTEM}`,
  ],
  [
    "full",
    `error: writing to file: No space left on device\nerror: build of '${SYSTEM}' failed`,
    false,
    `there is no room left for ${SYSTEM}: error: writing to file: No space left on device`,
  ],
  [
    "one cache refused, another down",
    `warning: unable to download 'https://a/x.narinfo'\nerror: cannot add path '${SYSTEM}' because it is not signed by any of the keys in 'trusted-public-keys'`,
    false,
    `unsigned: no trusted key`,
  ],
  ["something else", "error: who knows", false, `${SYSTEM} can't be realised: error: who knows`],
])("%s", (_, stderr, final, message) => {
  expect(readRefusal(SYSTEM, stderr, null)).toEqual({
    final,
    message: expect.stringContaining(message),
  });
});

const UNSIGNED = `error: cannot add path '${LIB}' because it lacks a signature by a trusted key`;

test.each([
  [[], `unsigned: nobody has signed ${LIB}. Sign it`],
  [["ci-1", "laptop"], `foreign signature: ${LIB} is signed by ci-1, laptop, which this host`],
])("what is not signed by a trusted key, and is signed by %j", (signers, message) => {
  expect(readRefusal(SYSTEM, UNSIGNED, signers)).toEqual({
    final: true,
    message: expect.stringContaining(message),
  });
});

// As 2.8 and 2.26 print it, and what no key is called.
test.each([
  ['[{"narHash":"sha256:0","signatures":["ci-1:mKx/8+w==","laptop:AAAA"]}]', ["ci-1", "laptop"]],
  ['{"/nix/store/x": {"narHash": "0", "signatures": ["ci-1:AAAA", "ci-1:BBBB"]}}', ["ci-1"]],
  ['[{"narHash":"sha256:0","narSize":1}]', []],
  ['{"/nix/store/x": {"narHash": "0", "signatures": []}}', []],
  ['[{"narHash":"sha256:0","signatures":["\\u001b[31mred:AAAA"]}]', []],
  ['[{"path":"/nix/store/x","valid":false}]', null],
  ['{"/nix/store/x": null}', null],
  ["error: no such path", null],
])("%s is signed by %j", (json, names) => {
  expect(readSigners(json)).toEqual(names);
});
