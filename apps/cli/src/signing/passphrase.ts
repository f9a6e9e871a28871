import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Passphrase } from "@nixwave/protocol";
import { Refusal, systemCode } from "../refusal.ts";
import type { Surroundings } from "../surroundings.ts";

const OPEN_TO_OTHERS = 0o077;

/** The first line of a file that nobody else may read. Secrets come from files and terminals only: argv is everybody's to see. */
export function secretIn(surroundings: Pick<Surroundings, "cwd">, option: string, file: string) {
  const path = resolve(surroundings.cwd, file);
  try {
    const { mode } = statSync(path);
    if ((mode & OPEN_TO_OTHERS) !== 0) {
      const octal = (mode & 0o777).toString(8).padStart(4, "0");
      throw new Refusal(
        `${option} ${file}: mode ${octal} lets others read it, expected 0600: chmod 600 ${file}`,
      );
    }
    const line = readFileSync(path, "utf8").split(/\r?\n/)[0] ?? "";
    if (line === "") throw new Refusal(`${option} ${file}: its first line is empty.`);
    return line;
  } catch (cause) {
    if (cause instanceof Refusal) throw cause;
    throw new Refusal(`${option} ${file} can't be read (${systemCode(cause)}).`);
  }
}

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
