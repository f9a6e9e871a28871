import type { KeyObject } from "node:crypto";
import { err, ok, type Result } from "@nixwave/effects";
import { type Authority, parseSshPrivateKey, readAuthorityPem } from "@nixwave/protocol";
import type { Disk } from "../ports.ts";

/** What the first certificate is asked for with: the path of a secret that came with the host. */
export interface EnrolBy {
  readonly kind: "ssh" | "token";
  readonly path: string;
}

type Reads = Pick<Disk, "readText">;

/** The SSH host key, or a sentence with its path and nothing of the key. */
export function readHostKey(path: string, disk: Reads): Result<KeyObject, string> {
  const text = readFile(path, disk);
  if (!text.ok)
    return err(`The SSH host key ${text.error}: name the right file in enrolment.sshHostKey.`);
  const key = parseSshPrivateKey(text.value);
  return key.ok ? key : err(`${path} can't be used: ${key.error}.`);
}

/** The join token, or a sentence with its path. */
export function readToken(path: string, disk: Reads): Result<string, string> {
  const text = readFile(path, disk);
  if (!text.ok) {
    return err(
      `The join token ${text.error}: make one with \`nixwave join-token\` and put it there.`,
    );
  }
  const token = text.value.trim();
  return token === "" ? err(`${path} is empty: expected a join token.`) : ok(token);
}

/** While a CA is being replaced the old one and the new one are both there. */
const AUTHORITIES_MAX = 8;
const END = "-----END CERTIFICATE-----";

export interface Authorities {
  /** As it was read, for TLS. */
  readonly pem: string;
  readonly all: readonly Authority[];
}

/** The CA that this host pins, or several. A leaf is refused: it would end with the server's next certificate. */
export function readAuthorities(path: string, disk: Reads): Result<Authorities, string> {
  const text = readFile(path, disk);
  if (!text.ok) return err(`The CA's certificate ${text.error}: \`nixwave-cp ca\` prints it.`);
  const blocks = text.value.split(END).map((block) => block.trim());
  const pems = blocks.filter((block) => block !== "").map((block) => `${block}\n${END}\n`);
  if (pems.length === 0 || pems.length > AUTHORITIES_MAX)
    return err(
      `${path} has ${pems.length} certificates: expected 1 to ${AUTHORITIES_MAX} of a CA.`,
    );
  const all: Authority[] = [];
  for (const pem of pems) {
    const authority = readAuthorityPem(pem);
    if (!authority.ok)
      return err(`${path} can't be used: ${authority.error}. \`nixwave-cp ca\` prints the CA's.`);
    all.push(authority.value);
  }
  return ok({ pem: pems.join(""), all });
}

function readFile(path: string, disk: Reads): Result<string, string> {
  try {
    const text = disk.readText(path);
    return text === null ? err(`${path} is not there`) : ok(text);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.cause ?? cause) : cause;
    return err(
      `${path} can't be read (${reason instanceof Error ? reason.message : String(reason)})`,
    );
  }
}
