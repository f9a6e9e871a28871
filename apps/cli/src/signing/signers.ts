import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import {
  commandSigner,
  readKeyFile,
  readPublicPem,
  type Signer,
  toTufKey,
} from "@nixwave/protocol";
import { Refusal, systemCode } from "../refusal.ts";
import type { Surroundings } from "../surroundings.ts";
import { passphraseFrom } from "./passphrase.ts";
import { settingsIn } from "./settings.ts";
import { runSignCommand } from "./signCommand.ts";

/** Who signs, as typed. */
export interface SignersTyped {
  readonly key: readonly string[];
  readonly passphraseFile?: string | undefined;
  readonly signCmd?: string | undefined;
  readonly publicKey?: string | undefined;
}

/** The key files that are meant: typed, else NIXWAVE_KEY, else those of nixwave.json. */
export function keyFilesOf(
  surroundings: Surroundings,
  typed: readonly string[],
): readonly string[] {
  if (typed.length > 0) return typed;
  const known = surroundings.env["NIXWAVE_KEY"];
  return known === undefined ? (settingsIn(surroundings).keys ?? []) : [known];
}

/** Opens everything that may sign in this run. At least one: a command that signs is never run without. */
export async function signersOf(
  surroundings: Surroundings,
  typed: SignersTyped,
): Promise<readonly Signer[]> {
  const command = commandOf(surroundings, typed);
  const files =
    command !== null && typed.key.length === 0 ? [] : keyFilesOf(surroundings, typed.key);
  const signers: Signer[] = command === null ? [] : [command];
  const passphrase = passphraseFrom(surroundings, typed.passphraseFile);
  for (const file of files) {
    const signer = await readKeyFile(resolve(surroundings.cwd, file), passphrase);
    if (!signer.ok) throw new Refusal(`--key ${signer.error}.`);
    signers.push(signer.value);
  }
  if (signers.length > 0) return signers;
  throw new Refusal(
    "there is no key to sign with: name one with --key FILE (or NIXWAVE_KEY), or a command with --sign-cmd and --public-key. Make a key with: nixwave key generate keys/me.key",
  );
}

/** `--sign-cmd`, for a key that no file holds: the command gets bytes on stdin and gives the signature on stdout. */
export function commandOf(
  surroundings: Surroundings,
  typed: Pick<SignersTyped, "signCmd" | "publicKey">,
): Signer | null {
  const { env, cwd } = surroundings;
  const line = typed.signCmd ?? env["NIXWAVE_SIGN_CMD"];
  if (line === undefined) return null;
  const file = typed.publicKey ?? env["NIXWAVE_PUBLIC_KEY"];
  if (file === undefined) {
    throw new Refusal(
      "--sign-cmd needs --public-key FILE: the PEM of the public key that its signatures are by.",
    );
  }
  const argv = line.split(/\s+/).filter((part) => part !== "");
  const signer = commandSigner(argv, publicKeyIn(cwd, file), (command, bytes) =>
    runSignCommand(command, bytes, { cwd, stop: surroundings.stop }),
  );
  if (!signer.ok) throw new Refusal(`${signer.error}.`);
  return signer.value;
}

/** A public key's file, PEM; its name is the file's, without the ending. */
export function publicKeyIn(cwd: string, file: string) {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), "utf8");
  } catch (cause) {
    throw new Refusal(
      `${file} can't be read (${systemCode(cause)}): expected the PEM of a public key.`,
    );
  }
  const key = readPublicPem(text);
  if (!key.ok) {
    throw new Refusal(
      `${file}: ${key.error}. Expected the PEM of an Ed25519 or P-256 public key, as nixwave key generate writes it beside the key.`,
    );
  }
  return toTufKey(key.value, basename(file).replace(/\.[a-z]+$/, ""));
}
