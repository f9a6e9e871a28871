import {
  type Der,
  derBits,
  derBoolean,
  derItems,
  derOid,
  derValue,
  oneDer,
  TAG,
  tagged,
} from "./der.ts";
import { expects } from "./malformed.ts";
import { keyOfSpki, type PublicKey } from "./publicKey.ts";
import { isSignedBy } from "./signature.ts";

/** What certificates (RFC 5280) and requests (RFC 2986) have in common, for the one profile that is accepted. */

/** Object identifiers, as derOid gives them. */
export const OID = {
  commonName: "550403",
  subjectKeyIdentifier: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  authorityKeyIdentifier: "551d23",
  extendedKeyUsage: "551d25",
  extensionRequest: "2a864886f70d01090e",
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
} as const;

/** The algorithm identifiers of the two kinds, whole: parameters are absent, as RFC 5758 and 8410 ask. */
const ALGORITHM = {
  ed25519: Buffer.from("300506032b6570", "hex"),
  p256: Buffer.from("300a06082a8648ce3d040302", "hex"),
} as const satisfies Record<PublicKey["kind"], Uint8Array>;

const algorithmOf = ({ kind }: PublicKey): Uint8Array => ALGORITHM[kind];

/** A signed structure, taken apart but not yet checked. */
export interface SignedDer {
  readonly tbs: Der;
  /** The algorithm identifier, whole. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

export function readSigned(bytes: Uint8Array): SignedDer {
  const [tbs, algorithm, signature, ...more] = derItems(oneDer(bytes, TAG.sequence), TAG.sequence);
  expects(more.length === 0, "DER has more than what is signed, its algorithm and the signature");
  return {
    tbs: tagged(tbs, TAG.sequence),
    algorithm: tagged(algorithm, TAG.sequence).bytes,
    signature: derBits(signature),
  };
}

/** Whether the structure is signed by this key, with the one algorithm that the key has. */
export const isSignedDerBy = (key: PublicKey, { tbs, algorithm, signature }: SignedDer): boolean =>
  Buffer.compare(algorithm, algorithmOf(key)) === 0 &&
  isSignedBy({ key, signature, message: tbs.bytes });

export const readKey = (der: Der | undefined): PublicKey =>
  keyOfSpki(tagged(der, TAG.sequence).bytes);

/** The attributes of a distinguished name: what each is, and its text. */
export function readName(der: Der | undefined): readonly NameAttribute[] {
  return derItems(der, TAG.sequence).flatMap((set) =>
    derItems(set, TAG.set).map((attribute) => {
      const [type, value, ...more] = derItems(attribute, TAG.sequence);
      expects(
        value !== undefined && more.length === 0,
        "a name has an attribute without one value",
      );
      return { type: derOid(type), text: textOf(value) };
    }),
  );
}

export interface NameAttribute {
  readonly type: string;
  /** Null where it is of another kind of string than UTF8String and PrintableString. */
  readonly text: string | null;
}

function textOf({ tag, content }: Der): string | null {
  if (tag !== TAG.utf8 && tag !== TAG.printable) return null;
  const text = Buffer.from(content).toString("utf8");
  return Buffer.compare(Buffer.from(text), content) === 0 ? text : null;
}

export interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Extensions by identifier; each may be there once. */
export function readExtensions(der: Der): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const item of derItems(der, TAG.sequence)) {
    const parts = derItems(item, TAG.sequence);
    const id = derOid(parts[0]);
    const flag = parts.length === 3 ? parts[1] : undefined;
    expects(
      parts.length === (flag === undefined ? 2 : 3),
      "an extension has an identifier and a value",
    );
    expects(flag === undefined || derBoolean(flag), "DER has a default value written out");
    expects(!extensions.has(id), "an extension is there twice");
    const value = tagged(parts.at(-1), TAG.octetString).content;
    extensions.set(id, { critical: flag !== undefined, value });
  }
  return extensions;
}

/** One name of a subjectAltName: only DNS names and URIs name anybody here. */
export interface AltName {
  readonly kind: "dns" | "uri" | "other";
  readonly text: string;
}

const DNS_TAG = 0x82;
const URI_TAG = 0x86;

export function readAltNames(value: Uint8Array): readonly AltName[] {
  return derItems(oneDer(value, TAG.sequence), TAG.sequence).map(({ tag, content }) => ({
    kind: tag === DNS_TAG ? "dns" : tag === URI_TAG ? "uri" : "other",
    text: Buffer.from(content).toString("latin1"),
  }));
}

/** The identifiers of an extendedKeyUsage. */
export const readPurposes = (value: Uint8Array): readonly string[] =>
  derItems(oneDer(value, TAG.sequence), TAG.sequence).map(derOid);

/** Whether basicConstraints say that the holder may issue certificates. */
export function readIsAuthority(value: Uint8Array): boolean {
  const [flag] = derItems(oneDer(value, TAG.sequence), TAG.sequence);
  return flag?.tag === TAG.boolean && derBoolean(flag);
}

/** The first byte of a keyUsage, its highest bit digitalSignature. */
export function readKeyUsage(value: Uint8Array): number {
  const { content } = oneDer(value, TAG.bitString);
  const [unused, bits] = content;
  expects(unused !== undefined && unused < 8 && bits !== undefined, "a key usage has no bits");
  return bits;
}

export const DIGITAL_SIGNATURE = 0x80;
export const CERTIFICATE_SIGNATURE = 0x04;

/** A signed structure as X.509 and PKCS#10 have it. */
export const writeSigned = (signed: {
  readonly tbs: Uint8Array;
  readonly key: PublicKey;
  readonly signature: Uint8Array;
}): Uint8Array =>
  derValue(
    TAG.sequence,
    signed.tbs,
    algorithmOf(signed.key),
    derValue(TAG.bitString, Buffer.from([0]), signed.signature),
  );
