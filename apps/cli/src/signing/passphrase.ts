import type { Passphrase } from "@nixwave/protocol";
import { Refusal } from "../refusal.ts";
import { secretIn } from "../secretFile.ts";
import type { Surroundings } from "../surroundings.ts";

const fileOf = ({ env }: Surroundings, typed: string | undefined): string | undefined =>
  typed ?? env["NIXWAVE_PASSPHRASE_FILE"];

/** For reading a key: from the file, else asked of the person for a key that takes one. */
export function passphraseFrom(surroundings: Surroundings, typed: string | undefined): Passphrase {
  const file = fileOf(surroundings, typed);
  const { terminal } = surroundings;
  return async (path) => {
    if (file !== undefined) return secretIn(surroundings, "--passphrase-file", file);
    if (terminal.interactive) return await terminal.askSecret(`Passphrase of ${path}: `);
    throw new Refusal(
      `--key ${path} takes a passphrase: name a file of mode 0600 that holds it with --passphrase-file FILE (or NIXWAVE_PASSPHRASE_FILE).`,
    );
  };
}

/** For sealing a new key: from the file, else asked twice. */
export async function newPassphrase(
  surroundings: Surroundings,
  { passphrase = false, passphraseFile }: PassphraseTyped,
): Promise<string | null> {
  const file = passphrase ? fileOf(surroundings, passphraseFile) : passphraseFile;
  if (file !== undefined) return secretIn(surroundings, "--passphrase-file", file);
  if (!passphrase) return null;
  const { terminal } = surroundings;
  if (!terminal.interactive) {
    throw new Refusal(
      "--passphrase: nobody is there to ask. Name a file of mode 0600 that holds it with --passphrase-file FILE.",
    );
  }
  const first = await terminal.askSecret("Passphrase of the new key: ");
  if (first === "")
    throw new Refusal("An empty passphrase protects nothing: leave --passphrase out.");
  if ((await terminal.askSecret("Once more: ")) === first) return first;
  throw new Refusal("The two passphrases differ: nothing was written.");
}

export interface PassphraseTyped {
  readonly passphrase?: boolean | undefined;
  readonly passphraseFile?: string | undefined;
}
