import type { KeyObject } from "node:crypto";
import { type HostName, isHostName, type Result } from "@nixwave/effects";
import { type Der, derItems, derOid, derUnsigned, TAG } from "./der.ts";
import { expects, reading } from "./malformed.ts";
import {
  type Extension,
  isSignedDerBy,
  OID,
  readAltNames,
  readExtensions,
  readKey,
  readName,
  readSigned,
} from "./profile.ts";
import { keyObject, type PublicKey, publicHalf } from "./publicKey.ts";
import { openX509 } from "./x509.ts";

/** A certificate request (PKCS#10) whose signature was checked: whoever made it holds the key. */
export interface CertificateRequest {
  readonly name: HostName;
  readonly key: PublicKey;
}

const ATTRIBUTES_TAG = 0xa0;

/** Makes a request for a host's name, signed with the key that the certificate is to name. DER. */
export async function makeCertificateRequest(request: {
  readonly name: HostName;
  readonly privateKey: KeyObject;
}): Promise<Uint8Array> {
  const { name, privateKey } = request;
  const x509 = await openX509();
  const key = publicHalf(privateKey);
  const algorithm =
    key.kind === "ed25519" ? { name: "Ed25519" } : { name: "ECDSA", namedCurve: "P-256" };
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys: {
      privateKey: privateKey.toCryptoKey(algorithm, false, ["sign"]),
      publicKey: keyObject(key).toCryptoKey(algorithm, true, ["verify"]),
    },
    signingAlgorithm: key.kind === "ed25519" ? algorithm : { name: "ECDSA", hash: "SHA-256" },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }])],
  });
  return new Uint8Array(made.rawData);
}

/**
 * Reads a request in DER: the name once as common name and once, or never, as DNS name; a key of an allowed kind; signed with
 * that key. Whatever else it asks for is refused, because nothing else would be granted. The error is a sentence.
 */
export function readCertificateRequest(der: Uint8Array): Result<CertificateRequest, string> {
  return reading(() => {
    const signed = readSigned(der);
    const [version, subject, spki, attributes, ...more] = derItems(signed.tbs, TAG.sequence);
    const [number] = derUnsigned(version);
    expects(number === 0 && more.length === 0, "the certificate request is not of version 1");
    const [common, ...others] = readName(subject);
    const name = common?.type === OID.commonName ? common.text : null;
    expects(
      name !== null && others.length === 0 && isHostName(name),
      "the certificate request does not ask for one host name, such as web-1, as its common name",
    );
    const key = readKey(spki);
    const extensions = requested(derItems(attributes, ATTRIBUTES_TAG));
    const altNames = extensions.get(OID.subjectAltName);
    const names = altNames === undefined ? [] : readAltNames(altNames.value);
    expects(
      extensions.size === (altNames === undefined ? 0 : 1) &&
        names.every(({ kind, text }) => kind === "dns" && text === name) &&
        names.length <= 1,
      "the certificate request asks for more than its common name",
    );
    expects(isSignedDerBy(key, signed), "the certificate request is not signed with its own key");
    return { name, key };
  });
}

/** The extensions that a request asks for; it has no other attribute. */
function requested(attributes: readonly Der[]): ReadonlyMap<string, Extension> {
  const [attribute, ...others] = attributes;
  if (attribute === undefined) return new Map();
  const [type, values, ...more] = derItems(attribute, TAG.sequence);
  const [extensions, ...otherValues] = derItems(values, TAG.set);
  expects(
    others.length + more.length + otherValues.length === 0 &&
      derOid(type) === OID.extensionRequest &&
      extensions !== undefined,
    "the certificate request has an attribute other than the extensions that it asks for",
  );
  return readExtensions(extensions);
}
