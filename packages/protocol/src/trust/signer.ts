import type { KeyObject } from "node:crypto";
import { err, ok, type Result, type Sha256 } from "@nixwave/effects";
import { reading } from "../identity/malformed.ts";
import { type PublicKey, publicHalf } from "../identity/publicKey.ts";
import { isSignedBy, signWith } from "../identity/signature.ts";
import { withLowS } from "./lowS.ts";
import { keyIdOf, nameOfKey, readTufKey, type TufKey, toTufKey } from "./publicKey.ts";

/** Something that signs: a key in memory, or a command. `sign` may throw: a token was pulled, a command failed. */
export interface Signer {
  readonly keyId: Sha256;
  readonly publicKey: TufKey;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Runs a program with bytes on stdin, no shell between; resolves with its stdout. It rejects if the program fails. */
export type RunCommand = (argv: readonly string[], stdin: Uint8Array) => Promise<Uint8Array>;

/** Signs with a private key. The error is a sentence. */
export function keySigner(key: KeyObject, name: string): Result<Signer, string> {
  const known = reading(() => publicHalf(key));
  if (!known.ok) return known;
  return ok(
    signer(known.value, toTufKey(known.value, name), async (bytes) => signWith(key, bytes)),
  );
}

/**
 * Signs with `--sign-cmd`: for an HSM, a TPM, a cloud's key service. The command gets the bytes on stdin and gives the
 * signature on stdout: 64 raw bytes for Ed25519, DER for ECDSA. The error is a sentence.
 */
export function commandSigner(
  argv: readonly string[],
  publicKey: TufKey,
  run: RunCommand,
): Result<Signer, string> {
  const known = readTufKey(publicKey);
  if (!known.ok) return known;
  if (argv.length === 0) return err("--sign-cmd: expected a program to run");
  return ok(signer(known.value, publicKey, (bytes) => run(argv, bytes)));
}

/** What no one's verification would take never leaves: it is checked here, where the cause is still known. */
function signer(
  key: PublicKey,
  publicKey: TufKey,
  make: (bytes: Uint8Array) => Promise<Uint8Array>,
): Signer {
  const keyId = keyIdOf(publicKey);
  return {
    keyId,
    publicKey,
    sign: async (message) => {
      const made = await make(message);
      const signature = key.kind === "ed25519" ? made : withLowS(made);
      if (isSignedBy({ key, message, signature })) return signature;
      throw new Error(
        `key ${nameOfKey(publicKey)}: what was made is no signature by this key (${made.length} bytes); expected 64 raw bytes for Ed25519, DER for ECDSA P-256`,
      );
    },
  };
}
