import { type Instant, type Sha256 } from "@nixwave/effects";
import {
  type Certificate,
  formatInstant,
  type IdentityKey,
  type Issuer,
  isOperatorName,
  issueForOperator,
  makeOperatorToken,
  OPERATOR_TOKEN_BYTES,
  type Role,
  readCertificateRequest,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import type { Random } from "../ports.ts";
import type { Connection } from "../store/database.ts";
import {
  addOperatorCertificate,
  addToken,
  listOperatorCertificates,
  listTokens,
  revokeOperatorCertificate,
  revokeToken,
} from "../store/operators.ts";

/** A token that lives for longer is forgotten by whoever made it. */
const DAYS_MAX = 365;
/** As much of a hash as names it among a fleet's tokens. */
const ID_LENGTH = 12;

/** Who is to act, and who lets them. */
export interface Granting {
  readonly name: string;
  readonly role: Role;
  readonly days: number;
  readonly by: string;
  readonly random: Random;
  readonly now: Instant;
}

function refuseOdd({ name, days }: Granting): void {
  if (!isOperatorName(name))
    throw new Error(
      `--name ${name}: expected 1 to 64 letters, digits, dots, dashes, _ or @, such as ann.`,
    );
  if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX)
    throw new Error(`--days ${days}: expected 1 to ${DAYS_MAX}.`);
}

const idOf = (hash: Sha256): string => hash.slice(0, ID_LENGTH);

/** Makes a token, of which only the hash is kept. Beside a control plane that serves: it is in force with the next request. */
export function grantToken(
  db: Connection,
  granting: Granting,
): { readonly token: string; readonly id: string; readonly expiresAt: Instant } {
  refuseOdd(granting);
  const { random, by } = granting;
  const { token, record } = makeOperatorToken({
    ...granting,
    bytes: random.bytes(OPERATOR_TOKEN_BYTES),
  });
  addToken(db, record, by);
  return { token, id: idOf(record.hash), expiresAt: record.expiresAt };
}

/** Takes a token away, by the beginning of its hash as `token list` shows it. */
export function takeToken(db: Connection, id: string, now: Instant): string {
  const found = listTokens(db).filter(({ hash }) => id.length >= ID_LENGTH && hash.startsWith(id));
  const [token] = found;
  if (token === undefined || found.length > 1)
    throw new Error(`There is no token ${id}: nixwave-cp token list shows them.`);
  revokeToken(db, token.hash, now);
  return `revoked the token ${idOf(token.hash)} of ${token.name}: it is refused from now on`;
}

/** Issues an operator's certificate for a key, and remembers it, so that it can be revoked. */
export async function grantCertificate(
  db: Connection,
  { issuer, key, ...granting }: Granting & { readonly issuer: Issuer; readonly key: IdentityKey },
): Promise<Certificate> {
  refuseOdd(granting);
  const { name, role, days, by, random, now } = granting;
  const serial = random.bytes(SERIAL_BYTES);
  const certificate = await issueForOperator(issuer, { name, role, days, key, serial, now });
  const { notAfter } = certificate;
  addOperatorCertificate(db, {
    serial: certificate.serial,
    name,
    role,
    issuedAt: now,
    issuedBy: by,
    notAfter,
    revokedAt: null,
  });
  return certificate;
}

export function takeCertificate(db: Connection, serial: string, now: Instant): string {
  const known = listOperatorCertificates(db).find((each) => each.serial === serial);
  if (known === undefined)
    throw new Error(
      `There is no operator's certificate ${serial}: nixwave-cp operator-certificate list shows them.`,
    );
  revokeOperatorCertificate(db, serial, now);
  return `revoked the certificate ${serial} of ${known.name}: it is refused from now on`;
}

/** The key that a request in PEM or DER is for. Whose it is says the command, never the request. */
export function keyOfRequest(bytes: Uint8Array, file: string): IdentityKey {
  const text = Buffer.from(bytes).toString("latin1");
  const body =
    /^-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]{1,8192})-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/.exec(
      text,
    )?.[1];
  const read = readCertificateRequest(body === undefined ? bytes : Buffer.from(body, "base64"));
  if (read.ok) return read.value.key;
  throw new Error(
    `--csr ${file}: ${read.error}. Make one with openssl req -new -key KEY -subj /CN=operator.`,
  );
}

const ended = (revokedAt: Instant | null, endsAt: Instant, now: Instant): string => {
  if (revokedAt !== null) return `revoked ${formatInstant(revokedAt)}`;
  return now < endsAt ? `until ${formatInstant(endsAt)}` : `ended ${formatInstant(endsAt)}`;
};

/** One line each, the oldest first. */
export function sayTokens(db: Connection, now: Instant): readonly string[] {
  const lines = listTokens(db).map(
    ({ hash, name, role, createdBy, lastUsedAt, revokedAt, expiresAt }) =>
      `${idOf(hash)}  ${name}  ${role}  ${ended(revokedAt, expiresAt, now)}  ${
        lastUsedAt === null ? "never used" : `last used ${formatInstant(lastUsedAt)}`
      }  made by ${createdBy}`,
  );
  return lines.length === 0 ? ["no tokens: nixwave-cp token add makes one"] : lines;
}

export function sayCertificates(db: Connection, now: Instant): readonly string[] {
  const lines = listOperatorCertificates(db).map(
    ({ serial, name, role, revokedAt, notAfter, issuedBy }) =>
      `${serial}  ${name}  ${role}  ${ended(revokedAt, notAfter, now)}  made by ${issuedBy}`,
  );
  return lines.length === 0
    ? ["no operators' certificates: nixwave-cp operator-certificate add makes one"]
    : lines;
}
