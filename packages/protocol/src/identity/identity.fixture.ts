import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { type Instant, instant } from "@nixwave/effects";
import { hostName } from "../ids.ts";
import type { Authority } from "./certificate.ts";
import { type Issuer, issueAuthority, keyIssuer, SERIAL_BYTES } from "./issue.ts";
import { toPem } from "./pem.ts";
import { type PublicKey, publicHalf } from "./publicKey.ts";
import { sshBlobOf } from "./sshKey.ts";
import { sshString, sshUint32 } from "./sshWire.ts";

export const NOW = instant(Date.UTC(2026, 10, 24, 13));
export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;
export const at = (ms: number): Instant => instant(NOW + ms);

export const web1 = hostName.parse("web-1");
export const web2 = hostName.parse("web-2");

export const KINDS = ["ed25519", "p256"] as const satisfies readonly PublicKey["kind"][];

export const newKey = (kind: PublicKey["kind"] = "ed25519"): KeyObject =>
  kind === "ed25519"
    ? generateKeyPairSync("ed25519").privateKey
    : generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

export const serial = (): Uint8Array => randomBytes(SERIAL_BYTES);

export interface TestAuthority {
  readonly authority: Authority;
  readonly privateKey: KeyObject;
  readonly issuer: Issuer;
}

export async function newAuthority(
  kind: PublicKey["kind"] = "ed25519",
  now: Instant = NOW,
): Promise<TestAuthority> {
  const privateKey = newKey(kind);
  const authority = await issueAuthority({ privateKey, serial: serial(), now });
  return { authority, privateKey, issuer: keyIssuer(authority, privateKey) };
}

/** The value of a Result that the test's set-up needs. */
export function given<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (result.ok) return result.value;
  throw new Error(`set-up failed: ${JSON.stringify(result.error)}`);
}

/** The code of a refusal, or `ok`. */
export const codeOf = (
  result: { ok: true } | { ok: false; error: { readonly code: string } },
): string => (result.ok ? "ok" : result.error.code);

/** A private key as ssh-keygen writes it without a passphrase; ours never writes one. */
export function sshPrivateKeyText(privateKey: KeyObject): string {
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
  const key = publicHalf(privateKey);
  const secret = Buffer.concat([
    sshUint32(7),
    sshUint32(7),
    sshString("ssh-ed25519"),
    sshString(key.bytes),
    sshString(Buffer.concat([seed, key.bytes])),
    sshString("root@web-1"),
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (secret.length % 8)) % 8);
  const bytes = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    sshString("none"),
    sshString("none"),
    sshString(""),
    sshUint32(1),
    sshString(sshBlobOf(key)),
    sshString(Buffer.concat([secret, padding])),
  ]);
  return toPem("OPENSSH PRIVATE KEY", bytes, 70);
}
