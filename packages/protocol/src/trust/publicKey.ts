import { ECDH } from "node:crypto";
import { err, type Result, type Sha256 } from "@nixwave/effects";
import { z } from "zod";
import { sha256 } from "../hash.ts";
import { reading } from "../identity/malformed.ts";
import { fromPem, toPem } from "../identity/pem.ts";
import { ed25519Key, keyOfSpki, type PublicKey, p256Key, spkiOf } from "../identity/publicKey.ts";

/** Longer than a PEM of either kind of key. */
const KEY_TEXT_MAX = 1024;
const KEY_NAME_MAX = 128;

/** A key as TUF metadata spell it. Fields that are not here are kept. */
export const tufKeySchema = z.looseObject({
  keytype: z.string().max(64),
  scheme: z.string().max(64),
  keyval: z.looseObject({ public: z.string().max(KEY_TEXT_MAX) }),
  /** Whose key it is, for people. */
  "x-nixwave-name": z.string().max(KEY_NAME_MAX).optional(),
});
export type TufKey = z.output<typeof tufKeySchema>;

/** Reads one PEM block of a SubjectPublicKeyInfo, and nothing around it. The error is a sentence. */
export const readPublicPem = (text: string): Result<PublicKey, string> =>
  reading(() => keyOfSpki(fromPem("PUBLIC KEY", text)));

const HEX = /^(?:[0-9a-f]{2})+$/;

/** Reads the key of TUF metadata: hex of the raw key or point, or PEM. The error is a sentence. */
export function readTufKey({ keytype, scheme, keyval }: TufKey): Result<PublicKey, string> {
  const kind = kindOf({ keytype, scheme });
  if (kind === null) {
    const named = `${JSON.stringify(keytype)} with scheme ${JSON.stringify(scheme)}`;
    return err(`expected a key of type ed25519 or ecdsa-sha2-nistp256, not ${named}`);
  }
  const text = keyval.public;
  const read = text.startsWith("-----BEGIN") ? readPublicPem(text) : readHex(kind, text);
  if (!read.ok || read.value.kind === kind) return read;
  return err(`its text is a key of kind ${read.value.kind}, its type says ${kind}`);
}

function kindOf({ keytype, scheme }: { keytype: string; scheme: string }) {
  if (keytype === "ed25519" && scheme === "ed25519") return "ed25519";
  const p256 = "ecdsa-sha2-nistp256";
  return scheme === p256 && (keytype === p256 || keytype === "ecdsa") ? "p256" : null;
}

function readHex(kind: PublicKey["kind"], text: string): Result<PublicKey, string> {
  if (!HEX.test(text)) return err("expected a PEM or lower-case hex digits");
  const raw = Buffer.from(text, "hex");
  if (kind === "ed25519") return reading(() => ed25519Key(raw));
  let point: Buffer;
  try {
    // TUF takes compressed points too; this is also where one off the curve is found out.
    point = Buffer.from(ECDH.convertKey(raw, "prime256v1", undefined, undefined, "uncompressed"));
  } catch {
    return err("no point of its curve is the p256 key");
  }
  return reading(() => p256Key(point));
}

/** The key as our metadata spell it, under its owner's name. */
export function toTufKey(key: PublicKey, name: string): TufKey {
  const named = name === "" ? {} : { "x-nixwave-name": name };
  if (key.kind === "ed25519") {
    const text = Buffer.from(key.bytes).toString("hex");
    return { keytype: "ed25519", scheme: "ed25519", keyval: { public: text }, ...named };
  }
  const type = "ecdsa-sha2-nistp256";
  const text = toPem("PUBLIC KEY", spkiOf(key));
  return { keytype: type, scheme: type, keyval: { public: text }, ...named };
}

/**
 * SHA-256 over the canonical JSON of type, scheme and value. Not over the name: who renames a key has not made another,
 * and no key counts twice towards a threshold.
 */
export function keyIdOf({ keytype, scheme, keyval }: TufKey): Sha256 {
  const text = (value: string) => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  return sha256(
    `{"keytype":${text(keytype)},"keyval":{"public":${text(keyval.public)}},"scheme":${text(scheme)}}`,
  );
}

/** What people call a key: its name, and the first digits of its id. */
export function nameOfKey(key: TufKey): string {
  const short = keyIdOf(key).slice(0, 12);
  const name = key["x-nixwave-name"];
  return name === undefined || name === "" ? short : `${name} (${short})`;
}
