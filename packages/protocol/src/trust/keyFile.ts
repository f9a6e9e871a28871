import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  scrypt,
} from "node:crypto";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import type { PublicKey } from "../identity/publicKey.ts";
import { keySigner, type Signer } from "./signer.ts";

/** Larger than any key that this code takes. */
const KEY_FILE_BYTES_MAX = 16 * 1024;
/** 128 MiB and about half a second a guess: a passphrase is what stands between a stolen laptop and the fleet. */
const SCRYPT = { N: 1 << 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
const OPEN_TO_OTHERS = 0o077;

const base64 = (bytes: number) => z.base64().refine((text) => decoded(text).length === bytes);
const decoded = (text: string): Buffer => Buffer.from(text, "base64");

/** A private key under a passphrase. Its parameters are fixed: a file can't ask for weak ones, nor for endless work. */
const sealedSchema = z.strictObject({
  nixwaveKey: z.literal(1),
  kdf: z.literal("scrypt-131072-8-1"),
  cipher: z.literal("aes-256-gcm"),
  salt: base64(16),
  iv: base64(12),
  tag: base64(16),
  sealed: z.base64().max(4096),
});

export function generateKey(kind: PublicKey["kind"] = "ed25519"): KeyObject {
  return kind === "ed25519"
    ? generateKeyPairSync("ed25519").privateKey
    : generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** Writes a key to a new file of mode 0600; it never replaces one. The error is a sentence. */
export async function writeKeyFile(
  path: string,
  key: KeyObject,
  passphrase: string | null,
): Promise<Result<null, string>> {
  const text = await toKeyText(key, passphrase);
  try {
    const file = await open(path, "wx", 0o600);
    try {
      // The umask may have taken bits away; it can't have left more than 0600.
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    return ok(null);
  } catch (cause) {
    return err(`${path}: the key could not be written: ${why(cause)}`);
  }
}

/** A passphrase, none, or who is asked for one, which happens for a key that takes one only. */
export type Passphrase = string | null | ((path: string) => Promise<string | null>);

/** The private key of a key file. The error is a sentence with the path. */
export async function readPrivateKey(
  path: string,
  passphrase: Passphrase,
): Promise<Result<KeyObject, string>> {
  const text = await readPrivately(path);
  if (!text.ok) return text;
  const asks = typeof passphrase === "function" && takesPassphrase(text.value.trim());
  const said = asks ? await passphrase(path) : null;
  const key = await parseKeyText(text.value, typeof passphrase === "function" ? said : passphrase);
  return key.ok ? key : err(`${path}: ${key.error}`);
}

/** A signer from a key file; its name is the file's, without the ending. The error is a sentence. */
export async function readKeyFile(
  path: string,
  passphrase: Passphrase,
): Promise<Result<Signer, string>> {
  const key = await readPrivateKey(path, passphrase);
  if (!key.ok) return key;
  const signer = keySigner(key.value, basename(path).replace(/\.[a-z]+$/, ""));
  return signer.ok ? signer : err(`${path}: ${signer.error}`);
}

/** A key file's text. Mode and content are those of the same open file, so that none can be put between the look and the reading. */
export async function readPrivately(path: string): Promise<Result<string, string>> {
  try {
    const file = await open(path, "r");
    try {
      const { mode, size } = await file.stat();
      if ((mode & OPEN_TO_OTHERS) !== 0) {
        const octal = (mode & 0o777).toString(8).padStart(4, "0");
        return err(
          `${path}: mode ${octal} lets others read this private key, expected 0600: chmod 600 ${path}`,
        );
      }
      if (size > KEY_FILE_BYTES_MAX) return err(`${path}: ${size} bytes are no key file`);
      return ok(await file.readFile("utf8"));
    } finally {
      await file.close();
    }
  } catch (cause) {
    return err(`${path}: the key could not be read: ${why(cause)}`);
  }
}

/** PKCS#8 PEM without a passphrase, else JSON sealed by scrypt and AES-256-GCM. */
export async function toKeyText(key: KeyObject, passphrase: string | null): Promise<string> {
  if (passphrase === null) return key.export({ format: "pem", type: "pkcs8" }).toString();
  const [salt, iv] = [randomBytes(16), randomBytes(12)];
  const cipher = createCipheriv("aes-256-gcm", await derive(passphrase, salt), iv);
  const plain = key.export({ format: "der", type: "pkcs8" });
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  const file: z.output<typeof sealedSchema> = {
    nixwaveKey: 1,
    kdf: "scrypt-131072-8-1",
    cipher: "aes-256-gcm",
    salt: salt.toString("base64"),
    iv: iv.toString("base64"),
    tag: cipher.getAuthTag().toString("base64"),
    sealed: sealed.toString("base64"),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

const isSealed = (text: string): boolean => text.startsWith("{");
const isEncrypted = (text: string): boolean =>
  text.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----");
const takesPassphrase = (text: string): boolean => isSealed(text) || isEncrypted(text);

/** Reads PKCS#8 PEM, encrypted PKCS#8 PEM, or our sealed JSON. The error is a sentence that repeats nothing of the text. */
export async function parseKeyText(
  text: string,
  passphrase: string | null,
): Promise<Result<KeyObject, string>> {
  if (text.length > KEY_FILE_BYTES_MAX) return err("is too long for a key");
  const trimmed = text.trim();
  const sealed = isSealed(trimmed);
  const encrypted = isEncrypted(trimmed);
  if (takesPassphrase(trimmed) && passphrase === null) return err("this key takes a passphrase");
  const key = sealed
    ? await openSealed(trimmed, passphrase ?? "")
    : openPem(trimmed, encrypted ? passphrase : null);
  if (!key.ok) return key;
  const { asymmetricKeyType, asymmetricKeyDetails } = key.value;
  const isP256 = asymmetricKeyType === "ec" && asymmetricKeyDetails?.namedCurve === "prime256v1";
  return asymmetricKeyType === "ed25519" || isP256
    ? key
    : err("expected an Ed25519 or ECDSA P-256 key");
}

const PEM =
  /^-----BEGIN (?<label>(?:ENCRYPTED )?PRIVATE KEY)-----\r?\n(?<body>(?:[A-Za-z0-9+/]{1,64}={0,2}\r?\n){1,64})-----END \k<label>-----$/;
/** OpenSSL's own count is 2048; a file that asks for more than this is made to keep us busy. */
const PBKDF2_ROUNDS_MAX = 10_000_000;

function openPem(text: string, passphrase: string | null): Result<KeyObject, string> {
  const body = PEM.exec(text)?.groups?.["body"];
  if (body === undefined) return err("expected one PEM block BEGIN PRIVATE KEY, or a sealed key");
  const der = Buffer.from(body, "base64");
  if (passphrase !== null && asksTooMuch(der)) return err("asks for too much work to open it");
  try {
    const options = passphrase === null ? {} : { passphrase, type: "pkcs8" as const };
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8", ...options });
    return ok(key);
  } catch {
    return err(
      passphrase === null
        ? "is not a well-formed PKCS#8 key"
        : "could not be opened: the passphrase is wrong, or the file is damaged",
    );
  }
}

const PBKDF2_OID = Buffer.from("06092a864886f70d01050c", "hex");
const SCRYPT_OID = Buffer.from("06092b06010401da47040b", "hex");

/** Looks for the integers behind PBKDF2's and scrypt's names in the DER, so that no file sets the price of opening it. */
function asksTooMuch(der: Buffer): boolean {
  const head = der.subarray(0, 256);
  // scrypt's memory can't be judged from a glance, and no tool writes it into PKCS#8 unless told to.
  if (head.includes(SCRYPT_OID)) return true;
  const at = head.indexOf(PBKDF2_OID);
  if (at === -1) return false;
  // SEQUENCE { OCTET STRING salt, INTEGER rounds, … }
  const salt = at + PBKDF2_OID.length + 2;
  if (head[salt] !== 0x04) return true;
  const rounds = salt + 2 + (head[salt + 1] ?? 0);
  const length = head[rounds + 1] ?? 0;
  if (head[rounds] !== 0x02 || length < 1 || length > 4) return true;
  return head.readUIntBE(rounds + 2, length) > PBKDF2_ROUNDS_MAX;
}

async function openSealed(text: string, passphrase: string): Promise<Result<KeyObject, string>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return err("is neither a PEM nor JSON");
  }
  const file = sealedSchema.safeParse(json);
  if (!file.success) return err("is not a sealed key of this version of nixwave");
  const { salt, iv, tag, sealed } = file.data;
  try {
    const secret = await derive(passphrase, decoded(salt));
    const decipher = createDecipheriv("aes-256-gcm", secret, decoded(iv), { authTagLength: 16 });
    decipher.setAuthTag(decoded(tag));
    const plain = Buffer.concat([decipher.update(decoded(sealed)), decipher.final()]);
    return ok(createPrivateKey({ key: plain, format: "der", type: "pkcs8" }));
  } catch {
    return err("could not be opened: the passphrase is wrong, or the file is damaged");
  }
}

const derive = (passphrase: string, salt: Uint8Array): Promise<Buffer> =>
  new Promise((done, fail) => {
    scrypt(passphrase.normalize("NFC"), salt, 32, SCRYPT, (error, key) =>
      error === null ? done(key) : fail(error),
    );
  });

const why = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
