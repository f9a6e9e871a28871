import type { KeyObject } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Instant } from "@nixwave/effects";
import {
  type Authority,
  certificatePem,
  commandSigner,
  generateKey,
  type Issuer,
  issueAuthority,
  keyIssuer,
  publicHalf,
  readAuthorityPem,
  readPrivateKey,
  SERIAL_BYTES,
  sameKey,
  toKeyText,
  toTufKey,
} from "@nixwave/protocol";
import type { Random } from "../ports.ts";
import { createPrivate, createPublic, textOf } from "./files.ts";
import { runSignCommand } from "./signCommand.ts";

/** Where the CA comes from: made at the first start, or given with a key or with a command that signs. */
export type AuthoritySource =
  | { readonly kind: "own" }
  | { readonly kind: "key"; readonly certFile: string; readonly keyFile: string }
  | { readonly kind: "command"; readonly certFile: string; readonly argv: readonly string[] };

export const tlsDir = (dataDir: string): string => join(dataDir, "tls");
const certPath = (dataDir: string): string => join(tlsDir(dataDir), "ca.pem");
const keyPath = (dataDir: string): string => join(tlsDir(dataDir), "ca.key");

/** What a control plane's own CA consists of. */
export const ownAuthorityFiles = (dataDir: string) => ({
  cert: certPath(dataDir),
  key: keyPath(dataDir),
});

interface Making {
  readonly dataDir: string;
  readonly random: Random;
  readonly now: Instant;
}

/** What issues certificates here, made or read. It throws a sentence that names the file. */
export async function openIssuer(source: AuthoritySource, making: Making): Promise<Issuer> {
  switch (source.kind) {
    case "own": {
      await makeWhereMissing(making);
      const { dataDir } = making;
      return withKey(readAuthority(certPath(dataDir)), keyPath(dataDir));
    }
    case "key":
      return withKey(readAuthority(source.certFile), source.keyFile);
    case "command":
      return withCommand(readAuthority(source.certFile), source.argv);
  }
}

function readAuthority(path: string): Authority {
  const text = textOf(path);
  if (text === null) throw new Error(`${path}: there is no such file; it is the CA's certificate.`);
  const read = readAuthorityPem(text);
  if (read.ok) return read.value;
  throw new Error(`${path}: ${read.error}. Give the PEM of a CA with an Ed25519 or P-256 key.`);
}

async function privateKeyAt(path: string): Promise<KeyObject> {
  const key = await readPrivateKey(path, null);
  if (key.ok) return key.value;
  throw new Error(`${key.error}.`);
}

async function withKey(authority: Authority, path: string): Promise<Issuer> {
  const key = await privateKeyAt(path);
  if (sameKey(publicHalf(key), authority.key)) return keyIssuer(authority, key);
  throw new Error(
    `${path}: this is not the key of the CA's certificate. Give the two that belong together.`,
  );
}

/** Its signatures are brought to the one form that is accepted, and looked at, before any certificate is made of them. */
function withCommand(authority: Authority, argv: readonly string[]): Issuer {
  const signer = commandSigner(argv, toTufKey(authority.key, "of the CA"), runSignCommand);
  if (!signer.ok) throw new Error(`--ca-sign-cmd: ${signer.error}.`);
  return { authority, sign: (tbs) => signer.value.sign(tbs) };
}

/** The key first: a kill before the certificate leaves a key that no certificate names yet, and the next start uses it. */
async function makeWhereMissing({ dataDir, random, now }: Making): Promise<void> {
  const [cert, key] = [certPath(dataDir), keyPath(dataDir)];
  if (existsSync(cert)) return;
  mkdirSync(tlsDir(dataDir), { recursive: true, mode: 0o700 });
  const text = await toKeyText(generateKey("p256"), null);
  unlessThere(() => createPrivate(key, text));
  const privateKey = await privateKeyAt(key);
  const serial = random.bytes(SERIAL_BYTES);
  const authority = await issueAuthority({ privateKey, serial, now });
  unlessThere(() => createPublic(cert, certificatePem(authority)));
}

/** A first start and a command beside it may both make them: what one has put there first, the other takes. */
function unlessThere(create: () => void): void {
  try {
    create();
  } catch (cause) {
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    if (!isThere) throw cause;
  }
}
