import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Refusal, systemCode } from "./refusal.ts";
import { fileSecretly, secretIn } from "./secretFile.ts";
import type { Surroundings } from "./surroundings.ts";

/** How the control plane is reached, as typed: the environment stands in for what was not. */
export interface ConnectionTyped {
  readonly cp: string;
  readonly authority?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly cert?: string | undefined;
  readonly certKey?: string | undefined;
}

/** Without TLS a name is only said, on loopback; over TLS an operator has a token or a certificate, and the CP is known by its CA. */
export type Credentials =
  | { readonly kind: "plain" }
  | {
      readonly kind: "token";
      readonly authority: string;
      readonly authorityFile: string;
      readonly token: string;
    }
  | {
      readonly kind: "certificate";
      readonly authority: string;
      readonly authorityFile: string;
      readonly cert: string;
      readonly key: string;
    };

/** Reads what the connection needs. A secret is read only for a connection over TLS, and is never in a message. */
export function credentialsOf(
  surroundings: Pick<Surroundings, "cwd" | "env">,
  typed: ConnectionTyped,
): Credentials {
  const { env } = surroundings;
  const authorityFile = typed.authority ?? env["NIXWAVE_AUTHORITY"];
  const tokenFile = typed.tokenFile ?? env["NIXWAVE_TOKEN_FILE"];
  const certFile = typed.cert ?? env["NIXWAVE_CERT"];
  const certKeyFile = typed.certKey ?? env["NIXWAVE_CERT_KEY"];
  if (!typed.cp.startsWith("https:")) {
    const given = [typed.authority, typed.tokenFile, typed.cert, typed.certKey];
    if (given.every((one) => one === undefined)) return { kind: "plain" };
    throw new Refusal(
      `--cp ${typed.cp} is not encrypted, and nothing secret is sent there: name the control plane with https://, or leave the credentials out.`,
    );
  }
  if (authorityFile === undefined) {
    throw new Refusal(
      "--cp https://… needs --authority FILE (or NIXWAVE_AUTHORITY): the PEM of the authority that the control plane's certificate is from. On its machine: nixwave-cp ca --data DIR > ca.pem",
    );
  }
  const authority = textIn(surroundings, "--authority", authorityFile);
  if (certFile !== undefined && (typed.tokenFile === undefined || typed.cert !== undefined)) {
    if (certKeyFile === undefined) {
      throw new Refusal("--cert needs --cert-key FILE (or NIXWAVE_CERT_KEY): its private key.");
    }
    const cert = textIn(surroundings, "--cert", certFile);
    const key = fileSecretly(surroundings, "--cert-key", certKeyFile);
    return { kind: "certificate", authority, authorityFile, cert, key };
  }
  if (tokenFile === undefined) {
    throw new Refusal(
      "who are you? Name a token's file of mode 0600 with --token-file FILE (or NIXWAVE_TOKEN_FILE), or a certificate with --cert and --cert-key. On the control plane's machine: nixwave-cp token add, or nixwave-cp operator-certificate add",
    );
  }
  const token = secretIn(surroundings, "--token-file", tokenFile);
  return { kind: "token", authority, authorityFile, token };
}

function textIn({ cwd }: Pick<Surroundings, "cwd">, option: string, file: string): string {
  try {
    return readFileSync(resolve(cwd, file), "utf8");
  } catch (cause) {
    throw new Refusal(`${option} ${file} can't be read (${systemCode(cause)}).`);
  }
}
