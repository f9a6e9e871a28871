import {
  err,
  type Instant,
  instant,
  isChannel,
  isInstant,
  ok,
  type Result,
} from "@nixwave/effects";
import { z } from "zod";
import { isSignedBy } from "../identity/signature.ts";
import { sentence } from "../problem.ts";
import { canonical } from "./canonical.ts";
import { keyIdOf, readTufKey, type TufKey, tufKeySchema } from "./publicKey.ts";

export const SPEC_VERSION = "1.0.31";
/** The roles of the root; every other role is a channel's. */
export const TOP_ROLES = ["root", "targets", "snapshot", "timestamp"] as const;
export type TopRole = (typeof TOP_ROLES)[number];
export const isTopRole = (role: string): role is TopRole => TOP_ROLES.some((top) => top === role);

/** Bytes at most, as tuf-js has them: a longer file is refused while it arrives. */
export const METADATA_BYTES_MAX = {
  root: 512_000,
  timestamp: 16_384,
  snapshot: 2_000_000,
  targets: 5_000_000,
} as const satisfies Record<TopRole, number>;

/** tuf-js' parser takes quadratic time in these, before it looks at any signature. */
const KEYS_MAX = 128;
const SIGNATURES_MAX = 128;
const CHANNELS_MAX = 256;
/** Above HELD_RELEASES_MAX, for the repositories of later versions. */
const TARGETS_MAX = 512;
const VALID_DAYS_MAX = 36_500;

const few = <T>(max: number, of: Record<string, T>) => Object.keys(of).length <= max;
const fewOf = (max: number, what: string) => ({ error: `expected at most ${max} ${what}` });

const EXPIRES = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const expires = z.string().refine((text) => {
  const ms = EXPIRES.test(text) ? Date.parse(text) : Number.NaN;
  return isInstant(ms) && new Date(ms).toISOString() === text.replace("Z", ".000Z");
}, "expected an instant such as 2026-11-24T13:00:00Z");

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/, { error: "expected a SHA-256 in hex" });
const keyId = z.string().regex(/^[0-9a-f]{64}$/, { error: "expected a key id in hex" });
const version = z.int().min(1);
const hashes = z.looseObject({ sha256: hexDigest });

const signedPart = {
  spec_version: z.string().regex(/^1\.\d{1,4}(?:\.\d{1,4})?$/, { error: "expected TUF 1.x" }),
  version,
  expires,
  /** For how long a new version of this file is valid; it is the author's, and no client decides by it. */
  "x-nixwave-valid-days": z.int().min(1).max(VALID_DAYS_MAX).optional(),
};

const keys = z
  .record(keyId, tufKeySchema)
  .refine((all) => few(KEYS_MAX, all), fewOf(KEYS_MAX, "keys"))
  .refine((all) => Object.entries(all).every(([id, key]) => keyIdOf(key) === id), {
    error: "expected each key under the SHA-256 of its canonical JSON",
  });
const roleShape = {
  keyids: z.array(keyId).max(KEYS_MAX),
  threshold: z.int().min(1).max(KEYS_MAX),
};
const role = z.looseObject(roleShape);

const rootSchema = z.looseObject({
  _type: z.literal("root"),
  ...signedPart,
  // Without it a mirror that is half renewed looks like an attack.
  consistent_snapshot: z.literal(true),
  keys,
  roles: z.strictObject({ root: role, targets: role, snapshot: role, timestamp: role }),
});

const metaFile = z.looseObject({ version, length: z.int().min(0), hashes });
const timestampSchema = z.looseObject({
  _type: z.literal("timestamp"),
  ...signedPart,
  meta: z.strictObject({ "snapshot.json": metaFile }),
});
const snapshotSchema = z.looseObject({
  _type: z.literal("snapshot"),
  ...signedPart,
  meta: z
    .record(z.string().max(80), metaFile)
    .refine((all) => few(CHANNELS_MAX + 1, all), fewOf(CHANNELS_MAX + 1, "files")),
});

const targetFile = z.looseObject({ length: z.int().min(0), hashes });
const delegatedRole = z.looseObject({
  ...roleShape,
  name: z.string().max(64),
  terminating: z.literal(true),
  paths: z.tuple([z.string().max(80)]),
  path_hash_prefixes: z.never().optional(),
});
const delegations = z.looseObject({
  keys,
  roles: z.array(delegatedRole).max(CHANNELS_MAX),
  succinct_roles: z.never().optional(),
});
const targetsSchema = z.looseObject({
  _type: z.literal("targets"),
  ...signedPart,
  targets: z
    .record(z.string().max(200), targetFile)
    .refine((all) => few(TARGETS_MAX, all), fewOf(TARGETS_MAX, "targets")),
  delegations: delegations.optional(),
});

export type Root = z.output<typeof rootSchema>;
export type Timestamp = z.output<typeof timestampSchema>;
export type Snapshot = z.output<typeof snapshotSchema>;
export type Targets = z.output<typeof targetsSchema>;
export type MetaFile = z.output<typeof metaFile>;
export type RoleKeys = Pick<z.output<typeof role>, "keyids" | "threshold">;

const signature = z.looseObject({ keyid: keyId, sig: z.string().max(2048) });
type Signature = z.output<typeof signature>;

/** A metadata file: what is signed, and the signatures. */
export interface Metadata<T> {
  readonly signed: T;
  readonly signatures: readonly Signature[];
}

/** What each kind of file signs. */
export interface SignedOf {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  readonly targets: Targets;
}
const schemas: { readonly [K in TopRole]: z.ZodType<SignedOf[K]> } = {
  root: rootSchema,
  timestamp: timestampSchema,
  snapshot: snapshotSchema,
  targets: targetsSchema,
};
const envelope = z.looseObject({
  signed: z.unknown(),
  signatures: z.array(signature).max(SIGNATURES_MAX),
});

/** Which kind of file a role has: a channel's is one of targets. */
export const kindOfRole = (name: string): TopRole => (isTopRole(name) ? name : "targets");

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes a metadata file of one kind. The error is a sentence without the file's name. */
export function decodeMetadata<K extends TopRole>(
  kind: K,
  bytes: Uint8Array,
): Result<Metadata<SignedOf[K]>, string> {
  const max = METADATA_BYTES_MAX[kind];
  if (bytes.length > max) return err(`has ${bytes.length} bytes, expected at most ${max}`);
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch {
    return err("is not JSON in UTF-8");
  }
  const outer = envelope.safeParse(json);
  if (!outer.success) return err(sentence(outer.error, "it"));
  const { signed, signatures } = outer.data;
  // Before the schema: whatever can't be signed is nested too deep to be walked either.
  if (canonical(signed) === null) return err("has a value that canonical JSON has no spelling for");
  const decoded = schemas[kind].safeParse(signed);
  if (!decoded.success) return err(sentence(decoded.error, "signed"));
  if (new Set(signatures.map(({ keyid }) => keyid)).size !== signatures.length) {
    return err("has two signatures by one key");
  }
  return ok({ signed: decoded.data, signatures });
}

/** When a file ends to be valid; the schema has looked at the text. */
export const expiryOf = (signed: { readonly expires: string }): Instant =>
  instant(Date.parse(signed.expires));

/** As metadata spell it: whole seconds. */
export const expiresText = (at: Instant): string =>
  new Date(Math.floor(at / 1000) * 1000).toISOString().replace(".000Z", "Z");

/** Who signed a file, among a role's keys: each key once, and only what verifies strictly. */
export function signersOf(
  file: Metadata<unknown>,
  all: Readonly<Record<string, TufKey>>,
  { keyids }: Pick<RoleKeys, "keyids">,
): readonly string[] {
  const message = canonical(file.signed);
  if (message === null) return [];
  const seen = new Set<string>();
  const signed: string[] = [];
  for (const id of new Set(keyids)) {
    const key = Object.hasOwn(all, id) ? all[id] : undefined;
    const sig = file.signatures.find(({ keyid }) => keyid === id)?.sig;
    if (key === undefined || sig === undefined || !/^(?:[0-9a-f]{2})+$/.test(sig)) continue;
    const known = readTufKey(key);
    if (!known.ok) continue;
    // One key in two spellings has two ids; it is still one key.
    const raw = Buffer.from(known.value.bytes).toString("hex");
    if (seen.has(raw)) continue;
    const signature = Buffer.from(sig, "hex");
    if (!isSignedBy({ key: known.value, message, signature })) continue;
    seen.add(raw);
    signed.push(id);
  }
  return signed;
}

/** The folder of top-level targets: no channel can have its name. */
export const FLEET = "fleet";

/** Whether a channel's role can have this name: no role of the root's, nothing that objects have anyway. */
export const isChannelRole = (name: string): boolean =>
  isChannel(name) && !isTopRole(name) && name !== FLEET && !Object.hasOwn(Object.prototype, name);
