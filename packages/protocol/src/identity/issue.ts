import type { KeyObject } from "node:crypto";
import { addSecs, type HostName, type Instant, instant, invariant } from "@nixwave/effects";
import type { Extension as X509Extension } from "@peculiar/x509";
import { sha256 } from "../hash.ts";
import type { Role } from "../route.ts";
import { toHex } from "./base64.ts";
import {
  type Authority,
  BACKDATE_SECS,
  type Certificate,
  certificatePem,
  readAuthorityPem,
  readCertificate,
} from "./certificate.ts";
import { isOperatorName, operatorUri } from "./principal.ts";
import { isSignedDerBy, readSigned, writeSigned } from "./profile.ts";
import { type PublicKey, publicHalf, spkiOf } from "./publicKey.ts";
import { signWith } from "./signature.ts";
import { openX509, type X509 } from "./x509.ts";

const DAY_SECS = 24 * 3600;
export const AUTHORITY_DAYS = 3650;
export const SERVER_DAYS = 90;
/** Of agents; operators' too unless told otherwise. */
export const CLIENT_DAYS = 30;
/** Random enough that no two are alike, and short enough for every reader once a sign byte is added. */
export const SERIAL_BYTES = 16;

/** Signs certificates: with a key from a file, or by asking a command (HSM, TPM, cloud KMS). */
export interface Issuer {
  readonly authority: Authority;
  /** Ed25519: 64 bytes. P-256: DER over SHA-256 of `tbs`. */
  sign(tbs: Uint8Array): Promise<Uint8Array>;
}

export const keyIssuer = (authority: Authority, privateKey: KeyObject): Issuer => ({
  authority,
  sign: async (tbs) => signWith(privateKey, tbs),
});

/** What does not depend on who signs. */
interface Ask {
  /** SERIAL_BYTES random bytes. */
  readonly serial: Uint8Array;
  readonly now: Instant;
}

/** Makes a CA of ten years that signs itself. Its name carries a hash of its key, so that no two are called alike. */
export async function issueAuthority(
  ask: Ask & { readonly privateKey: KeyObject },
): Promise<Authority> {
  const x509 = await openX509();
  const key = publicHalf(ask.privateKey);
  const name = new x509.Name([{ CN: [`Nixwave CA ${sha256(spkiOf(key)).slice(0, 16)}`] }]);
  const der = await sealed(x509, {
    ...ask,
    key,
    days: AUTHORITY_DAYS,
    issuerKey: key,
    subject: name,
    issuer: name,
    sign: async (tbs) => signWith(ask.privateKey, tbs),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
    ],
  });
  const read = readAuthorityPem(certificatePem({ der }));
  invariant(read.ok, `our own CA is read again: ${read.ok || read.error}`);
  return read.value;
}

/** An agent's certificate: the host's name as common name and DNS name, for clients only. */
export const issueForAgent = (
  issuer: Issuer,
  agent: Ask & { readonly name: HostName; readonly key: PublicKey },
): Promise<Certificate> =>
  issueForClient(issuer, {
    ...agent,
    altName: { type: "dns", value: agent.name },
    days: CLIENT_DAYS,
  });

/** An operator's certificate: the name and, in its URI, the role. */
export function issueForOperator(
  issuer: Issuer,
  operator: Ask & {
    readonly name: string;
    readonly role: Role;
    readonly key: PublicKey;
    readonly days?: number;
  },
): Promise<Certificate> {
  invariant(isOperatorName(operator.name), `no operator's name: ${operator.name}`);
  const altName = { type: "url", value: operatorUri(operator) } as const;
  return issueForClient(issuer, { days: CLIENT_DAYS, ...operator, altName });
}

/** The CP's own certificate, for servers only, under DNS names and IP addresses. */
export async function issueForServer(
  issuer: Issuer,
  server: Ask & {
    readonly dnsNames: readonly string[];
    readonly ipAddresses: readonly string[];
    readonly key: PublicKey;
  },
): Promise<Certificate> {
  const x509 = await openX509();
  const [name = "nixwave-cp"] = [...server.dnsNames, ...server.ipAddresses];
  const altNames = [
    ...server.dnsNames.map((value) => ({ type: "dns", value }) as const),
    ...server.ipAddresses.map((value) => ({ type: "ip", value }) as const),
  ];
  return issueLeaf(x509, issuer, {
    ...server,
    // A common name has 64 characters by X.520, and servers are known by their alternative names.
    name: name.slice(0, 64),
    days: SERVER_DAYS,
    purpose: x509.ExtendedKeyUsage.serverAuth,
    altNames,
  });
}

async function issueForClient(
  issuer: Issuer,
  client: Ask & {
    readonly name: string;
    readonly key: PublicKey;
    readonly days: number;
    readonly altName: { readonly type: "dns" | "url"; readonly value: string };
  },
): Promise<Certificate> {
  const x509 = await openX509();
  return issueLeaf(x509, issuer, {
    ...client,
    purpose: x509.ExtendedKeyUsage.clientAuth,
    altNames: [client.altName],
  });
}

async function issueLeaf(
  x509: X509,
  issuer: Issuer,
  leaf: Ask & {
    readonly name: string;
    readonly key: PublicKey;
    readonly days: number;
    readonly purpose: string;
    readonly altNames: readonly { readonly type: "dns" | "ip" | "url"; readonly value: string }[];
  },
): Promise<Certificate> {
  const { authority } = issuer;
  const der = await sealed(x509, {
    ...leaf,
    issuerKey: authority.key,
    subject: new x509.Name([{ CN: [leaf.name] }]),
    issuer: new x509.Name(Uint8Array.from(authority.subject)),
    sign: (tbs) => issuer.sign(tbs),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([leaf.purpose], true),
      new x509.SubjectAlternativeNameExtension([...leaf.altNames]),
      await x509.AuthorityKeyIdentifierExtension.create(Uint8Array.from(spkiOf(authority.key))),
    ],
  });
  const read = readCertificate(der);
  invariant(read.ok, `our own certificate is read again: ${read.ok || read.error}`);
  return read.value;
}

/** Any signature: it is replaced by the issuer's once what is signed has its final bytes. */
const PLACEHOLDER = new Uint8Array(64).fill(1);

async function sealed(
  x509: X509,
  form: Ask & {
    readonly key: PublicKey;
    readonly issuerKey: PublicKey;
    readonly days: number;
    readonly subject: X509["Name"]["prototype"];
    readonly issuer: X509["Name"]["prototype"];
    readonly extensions: readonly X509Extension[];
    readonly sign: (tbs: Uint8Array) => Promise<Uint8Array>;
  },
): Promise<Uint8Array> {
  invariant(form.serial.length === SERIAL_BYTES, `a serial number has ${SERIAL_BYTES} bytes`);
  const spki = Uint8Array.from(spkiOf(form.key));
  const draft = await x509.X509CertificateGenerator.create({
    serialNumber: toHex(positive(form.serial)),
    subject: form.subject,
    issuer: form.issuer,
    notBefore: new Date(wholeSecond(addSecs(form.now, -BACKDATE_SECS))),
    notAfter: new Date(wholeSecond(addSecs(form.now, form.days * DAY_SECS))),
    publicKey: spki,
    signature: PLACEHOLDER,
    signingAlgorithm:
      form.issuerKey.kind === "ed25519" ? { name: "Ed25519" } : { name: "ECDSA", hash: "SHA-256" },
    extensions: [...form.extensions, await x509.SubjectKeyIdentifierExtension.create(spki)],
  });
  const { tbs } = readSigned(new Uint8Array(draft.rawData));
  const signature = await form.sign(tbs.bytes);
  const der = writeSigned({ tbs: tbs.bytes, key: form.issuerKey, signature });
  if (isSignedDerBy(form.issuerKey, readSigned(der))) return der;
  // Nothing that does not hold leaves this file, whatever a signing command answers (hazard 93).
  throw new Error(
    "The CA's signature does not hold: its key or signing command is not the one of the CA's certificate. Check both.",
  );
}

/** X.509 has no milliseconds. */
const wholeSecond = (at: Instant): Instant => instant(Math.floor(at / 1000) * 1000);

/** Serial numbers are above zero, and this one always takes the same number of bytes. */
function positive(serial: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(serial);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}
