import { expect, test } from "vitest";
import { readRefusal } from "./nixRefusal.ts";

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
  expect(readRefusal(SYSTEM, stderr)).toEqual({
    final,
    message: expect.stringContaining(message),
  });
});
