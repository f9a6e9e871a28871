import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { type Instant, instant } from "@nixwave/effects";
import {
  certificatePem,
  generateKey,
  type Issuer,
  issueForServer,
  publicHalf,
  readPrivately,
  renewAt,
  SERIAL_BYTES,
  toKeyText,
} from "@nixwave/protocol";
import type { Random } from "../ports.ts";
import { tlsDir } from "./authority.ts";
import { replacePrivate, textOf } from "./files.ts";

/** The server's own pair: of our CA, made and renewed here; or given, and read again where it has changed. */
export type ServerSource =
  | { readonly kind: "own"; readonly names: readonly string[] }
  | { readonly kind: "files"; readonly certFile: string; readonly keyFile: string };

/** What TLS is given, and how long it holds. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
  readonly notBefore: Instant;
  readonly notAfter: Instant;
  /** When to ask for the next one. */
  readonly renewAt: Instant;
}

/** A given pair is somebody else's to renew; that it was is noticed within the hour. */
const READ_AGAIN_MS = 3600_000;

export interface ServerMaking {
  readonly source: ServerSource;
  readonly issuer: Issuer;
  readonly dataDir: string;
  readonly random: Random;
  readonly now: Instant;
}

/** The certificate to serve with from now on. It throws a sentence that names the file. */
export async function openServerCertificate(making: ServerMaking): Promise<ServerCertificate> {
  const { source } = making;
  switch (source.kind) {
    case "own":
      return (await kept(making, source.names)) ?? (await made(making, source.names));
    case "files":
      return await given(source, making.now);
  }
}

/** One file for both halves: a kill can't leave a certificate with another's key. */
const pairPath = (dataDir: string): string => join(tlsDir(dataDir), "server.pem");

async function kept(
  { dataDir, issuer, now }: ServerMaking,
  names: readonly string[],
): Promise<ServerCertificate | null> {
  const path = pairPath(dataDir);
  if (!existsSync(path)) return null;
  const text = await readPrivately(path);
  if (!text.ok) throw new Error(`${text.error}.`);
  const end = Math.max(0, text.value.indexOf("-----BEGIN PRIVATE KEY-----"));
  const pair = pairOf({ cert: text.value.slice(0, end), key: text.value.slice(end) });
  // What is not as it would be made now is made anew: damaged, of another CA, for other names, or half of its life over.
  if (pair === null || now >= pair.renewAt || now < pair.notBefore) return null;
  const leaf = new X509Certificate(pair.cert);
  const isOurs = leaf.verify(new X509Certificate(issuer.authority.der).publicKey);
  return isOurs && names.every((name) => holdsFor(leaf, name)) ? pair : null;
}

const holdsFor = (leaf: X509Certificate, name: string): boolean =>
  (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined;

/** Null where the two are none, or do not belong together. */
function pairOf({ cert, key }: { readonly cert: string; readonly key: string }) {
  try {
    const leaf = new X509Certificate(cert);
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return null;
    const [notBefore, notAfter] = [
      instant(Date.parse(leaf.validFrom)),
      instant(Date.parse(leaf.validTo)),
    ];
    return { cert, key, notBefore, notAfter, renewAt: renewAt({ notBefore, notAfter }) };
  } catch {
    return null;
  }
}

async function made(
  { dataDir, issuer, random, now }: ServerMaking,
  names: readonly string[],
): Promise<ServerCertificate> {
  const privateKey = generateKey("p256");
  const certificate = await issueForServer(issuer, {
    serial: random.bytes(SERIAL_BYTES),
    now,
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
    key: publicHalf(privateKey),
  });
  const [cert, key] = [certificatePem(certificate), await toKeyText(privateKey, null)];
  replacePrivate(pairPath(dataDir), cert + key);
  const { notBefore, notAfter } = certificate;
  return { cert, key, notBefore, notAfter, renewAt: renewAt(certificate) };
}

async function given(
  { certFile, keyFile }: Extract<ServerSource, { kind: "files" }>,
  now: Instant,
): Promise<ServerCertificate> {
  const cert = textOf(certFile);
  if (cert === null) throw new Error(`--server-cert ${certFile}: there is no such file.`);
  const key = await readPrivately(keyFile);
  if (!key.ok) throw new Error(`--server-key: ${key.error}.`);
  const pair = pairOf({ cert, key: key.value });
  if (pair !== null) return { ...pair, renewAt: instant(now + READ_AGAIN_MS) };
  throw new Error(
    `--server-cert ${certFile} and --server-key ${keyFile}: expected a certificate and its private key, both in PEM.`,
  );
}
