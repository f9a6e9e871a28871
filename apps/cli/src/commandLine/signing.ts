import type { Command } from "@commander-js/extra-typings";

export const collect = (value: string, before: readonly string[]): string[] => [...before, value];

export const REPOSITORY =
  "the repository's folder (or NIXWAVE_REPOSITORY); else nixwave.json's, else releases";

/** What every command that signs takes. No secret is an argument: those are everybody's to see. */
export function signing<A extends unknown[], O extends Record<string, unknown>>(
  command: Command<A, O>,
) {
  return command
    .option(
      "--key <FILE>",
      "sign with this key (or NIXWAVE_KEY); else nixwave.json's; may be repeated",
      collect,
      [],
    )
    .option(
      "--passphrase-file <FILE>",
      "the key's passphrase, in a file of mode 0600 (or NIXWAVE_PASSPHRASE_FILE); else it is asked for",
    )
    .option(
      "--sign-cmd <COMMAND>",
      "sign with a command: bytes on stdin, the signature on stdout, no shell (or NIXWAVE_SIGN_CMD)",
    )
    .option("--public-key <FILE>", "the PEM of --sign-cmd's public key (or NIXWAVE_PUBLIC_KEY)");
}
