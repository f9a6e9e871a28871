import { err, type HostName, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { hostName } from "../ids.ts";
import { sentence } from "../problem.ts";
import { instantText } from "../time.ts";
import type { Revocation } from "./enrolmentFacts.ts";
import type { PublicKey } from "./publicKey.ts";
import { formatSshPublicKey, parseSshPublicKey } from "./sshKey.ts";

/**
 * Two files that the top-level targets role signs. Each is whole: it replaces the one before, so that taking a line out takes
 * its effect back (hazard 90).
 */
const VERSION = z.literal(1, { error: "expected 1: another version takes another nixwave" });
const NAME_MAX = 128;
const REASON_MAX = 500;
const KEY_LINE_MAX = 1024;
/** Every join token names its key, and each listed one may have to be looked at. */
const KEYS_MAX = 64;

const enrolmentFile = z.object({
  schemaVersion: VERSION,
  keys: z
    .array(z.object({ name: z.string().max(NAME_MAX), key: z.string().max(KEY_LINE_MAX) }))
    .max(KEYS_MAX),
});

const revocationsFile = z.object({
  schemaVersion: VERSION,
  hosts: z.record(
    hostName,
    z.object({ before: instantText.nullable(), reason: z.string().max(REASON_MAX) }),
  ),
});

/** A key that may sign join tokens, and whose it is. */
export interface EnrolmentKey {
  readonly name: string;
  readonly key: PublicKey;
}

/** A revocation with the reason that `nixwave why` shows. */
export interface RevokedHost extends Revocation {
  readonly reason: string;
}

/** Reads fleet/enrolment.json. The error is a sentence without the file's name. */
export function decodeEnrolmentKeys(bytes: Uint8Array): Result<readonly EnrolmentKey[], string> {
  const file = decode(enrolmentFile, bytes);
  if (!file.ok) return file;
  const keys: EnrolmentKey[] = [];
  for (const { name, key: line } of file.value.keys) {
    const key = parseSshPublicKey(line);
    if (!key.ok) return err(`key ${JSON.stringify(name)}: ${key.error}`);
    if (key.value.kind !== "ed25519") {
      return err(
        `key ${JSON.stringify(name)}: expected ssh-ed25519, because join tokens are EdDSA`,
      );
    }
    keys.push({ name, key: key.value });
  }
  return ok(keys);
}

/** The file's bytes. */
export const encodeEnrolmentKeys = (keys: readonly EnrolmentKey[]): Uint8Array =>
  encode({
    schemaVersion: 1,
    keys: keys.map(({ name, key }) => ({ name, key: formatSshPublicKey(key) })),
  });

/** Reads fleet/revocations.json. The error is a sentence without the file's name. */
export function decodeRevocations(
  bytes: Uint8Array,
): Result<ReadonlyMap<HostName, RevokedHost>, string> {
  const file = decode(revocationsFile, bytes);
  if (!file.ok) return file;
  const revoked = new Map<HostName, RevokedHost>();
  for (const [name, revocation] of Object.entries(file.value.hosts)) {
    const host = hostName.safeParse(name);
    if (host.success) revoked.set(host.data, revocation);
  }
  return ok(revoked);
}

/** The file's bytes: the same revocations give the same bytes. */
export const encodeRevocations = (revoked: ReadonlyMap<HostName, RevokedHost>): Uint8Array => {
  const sorted = [...revoked].sort(([a], [b]) => (a < b ? -1 : 1));
  return encode(revocationsFile.encode({ schemaVersion: 1, hosts: Object.fromEntries(sorted) }));
};

const encode = (content: unknown): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(content, null, 1)}\n`);

function decode<S extends z.ZodType>(schema: S, bytes: Uint8Array): Result<z.output<S>, string> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return err("is not JSON in UTF-8");
  }
  const read = schema.safeParse(json);
  return read.success ? ok(read.data) : err(sentence(read.error, "content"));
}
