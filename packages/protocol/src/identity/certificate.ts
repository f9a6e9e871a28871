import { type Instant, instant, type Result } from "@nixwave/effects";
import { sameBytes, toHex } from "./base64.ts";
import { derInstant, derItems, derUnsigned, TAG, tagged } from "./der.ts";
import { expects, reading } from "./malformed.ts";
import { fromPem, toPem } from "./pem.ts";
import {
  type AltName,
  CERTIFICATE_SIGNATURE,
  type Extension,
  type NameAttribute,
  OID,
  readAltNames,
  readExtensions,
  readIsAuthority,
  readKey,
  readKeyUsage,
  readName,
  readPurposes,
  readSigned,
  type SignedDer,
} from "./profile.ts";
import type { PublicKey } from "./publicKey.ts";

/** A certificate that was read, and of which nothing was checked but its form. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly signed: SignedDer;
  /** Hex. */
  readonly serial: string;
  /** The issuer's and the subject's names as bytes: names are compared, never rendered. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly attributes: readonly NameAttribute[];
  readonly notBefore: Instant;
  /** The last instant at which it holds. */
  readonly notAfter: Instant;
  readonly key: PublicKey;
  readonly altNames: readonly AltName[];
  /** Identifiers of the extended key usage. */
  readonly purposes: readonly string[];
  /** The first byte of the key usage, 0 where it is absent. */
  readonly keyUsage: number;
  readonly isAuthority: boolean;
}

const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  OID.subjectKeyIdentifier,
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.authorityKeyIdentifier,
  OID.extendedKeyUsage,
]);

const VERSION_TAG = 0xa0;
const EXTENSIONS_TAG = 0xa3;
/** RFC 5280 allows serial numbers of 20 bytes. */
const SERIAL_BYTES_MAX = 20;

/** A certificate holds from a little before it was made, for clocks that are behind. As wide as enrolment's own window. */
export const BACKDATE_SECS = 10 * 60;

/** Reads a certificate in DER. The error is a sentence. */
export const readCertificate = (der: Uint8Array): Result<Certificate, string> =>
  reading(() => certificateOf(der));

/** Reads one certificate in PEM. The error is a sentence. */
export const readCertificatePem = (text: string): Result<Certificate, string> =>
  reading(() => certificateOf(fromPem("CERTIFICATE", text)));

export const certificatePem = ({ der }: Pick<Certificate, "der">): string =>
  toPem("CERTIFICATE", der);

/** The subject's common name, for people; null where it has none. */
export const commonNameOf = ({ attributes }: Pick<Certificate, "attributes">): string | null =>
  attributes.find(({ type }) => type === OID.commonName)?.text ?? null;

/** When to ask for the next one: at half of its life. */
export const renewAt = ({ notBefore, notAfter }: Pick<Certificate, "notBefore" | "notAfter">) =>
  instant(notBefore + Math.floor((notAfter - notBefore) / 2));

function certificateOf(der: Uint8Array): Certificate {
  const signed = readSigned(der);
  const items = derItems(signed.tbs, TAG.sequence);
  const [version, serial, algorithm, issuer, validity, subject, key, extensions, ...more] = items;
  const [number] = derItems(version, VERSION_TAG);
  expects(
    toHex(derUnsigned(number)) === "02" && more.length === 0,
    "the certificate is not an X.509 certificate of version 3 with extensions and no unique identifiers",
  );
  expects(
    algorithm !== undefined && sameBytes(algorithm.bytes, signed.algorithm),
    "the certificate names two signature algorithms",
  );
  const serialBytes = derUnsigned(serial);
  expects(serialBytes.length <= SERIAL_BYTES_MAX, "the certificate's serial number is too long");
  const [notBefore, notAfter, ...otherTimes] = derItems(validity, TAG.sequence);
  expects(otherTimes.length === 0, "the certificate has more than two times");
  const [list, ...otherLists] = derItems(extensions, EXTENSIONS_TAG);
  expects(list !== undefined && otherLists.length === 0, "the certificate has no extensions");
  return {
    der,
    signed,
    serial: toHex(serialBytes),
    issuer: tagged(issuer, TAG.sequence).bytes,
    subject: tagged(subject, TAG.sequence).bytes,
    attributes: readName(subject),
    notBefore: derInstant(notBefore),
    notAfter: derInstant(notAfter),
    key: readKey(key),
    ...meaningOf(readExtensions(list)),
  };
}

function meaningOf(extensions: ReadonlyMap<string, Extension>) {
  for (const [id, { critical }] of extensions) {
    // One that is not critical may be passed over: a later version may add it (hazard 84).
    expects(
      KNOWN_EXTENSIONS.has(id) || !critical,
      "the certificate has a critical extension that is not known here",
    );
  }
  const read = <T>(id: string, reader: (value: Uint8Array) => T, absent: T): T => {
    const extension = extensions.get(id);
    return extension === undefined ? absent : reader(extension.value);
  };
  return {
    altNames: read(OID.subjectAltName, readAltNames, []),
    purposes: read(OID.extendedKeyUsage, readPurposes, []),
    keyUsage: read(OID.keyUsage, readKeyUsage, 0),
    isAuthority: read(OID.basicConstraints, readIsAuthority, false),
  };
}

/** A certificate that may issue others, in its own name: what agents pin, and what signs theirs. */
export interface Authority extends Certificate {
  readonly isAuthority: true;
}

/** Reads the CA's certificate from PEM. The error is a sentence. */
export function readAuthorityPem(text: string): Result<Authority, string> {
  return reading(() => {
    const certificate = certificateOf(fromPem("CERTIFICATE", text));
    const { isAuthority, keyUsage } = certificate;
    expects(
      isAuthority && (keyUsage & CERTIFICATE_SIGNATURE) !== 0,
      "the certificate is not one of a CA: it may not issue others",
    );
    return { ...certificate, isAuthority };
  });
}
