import { generateKeyPairSync, type KeyObject } from "node:crypto";

export interface SshHostKey {
  readonly privateKey: KeyObject;
  /** The file's text, as ssh-keygen writes it without a passphrase. */
  readonly privateText: string;
  /** What fleet/hosts.json declares: one line without a comment. */
  readonly publicLine: string;
}

const TYPE = "ssh-ed25519";

/** A new Ed25519 key of a host, as in /etc/ssh/ssh_host_ed25519_key. */
export function newSshHostKey(comment: string): SshHostKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  // Both encodings end with the 32 bytes of the key.
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
  const publicBytes = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const blob = Buffer.concat([field(TYPE), field(publicBytes)]);
  const publicLine = `${TYPE} ${blob.toString("base64")}`;
  const check = Buffer.alloc(4, 7);
  const secret = Buffer.concat([
    check,
    check,
    field(TYPE),
    field(publicBytes),
    field(Buffer.concat([seed, publicBytes])),
    field(comment),
  ]);
  // The format pads to eight bytes with 1, 2, 3, …
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (secret.length % 8)) % 8);
  const bytes = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    Buffer.from([0, 0, 0, 1]),
    field(blob),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = bytes.toString("base64").match(/.{1,70}/g) ?? [];
  const privateText = [
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    ...lines,
    "-----END OPENSSH PRIVATE KEY-----",
    "",
  ].join("\n");
  return { privateKey, privateText, publicLine };
}

function field(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
