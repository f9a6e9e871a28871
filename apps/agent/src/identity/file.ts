import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import {
  type Certificate,
  certificatePem,
  enrolmentRequestSchema,
  publicHalf,
  readCertificatePem,
  sameKey,
  sentence,
} from "@nixwave/protocol";
import { z } from "zod";
import { type KeptRequest, privateKeyOf } from "./request.ts";

/** A certificate and its key: they change together. */
export interface HeldIdentity {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

/**
 * `<stateDir>/identity.json`, mode 0600: one file, so that no crash can leave a certificate beside another one's key, or forget
 * the key of a request that was sent.
 */
export interface IdentityFile {
  readonly held: HeldIdentity | null;
  readonly kept: KeptRequest | null;
  /** The key of the last request that was sent and given up without an answer: the CP may know this host by it. */
  readonly unheard: KeyObject | null;
}

export const NO_IDENTITY: IdentityFile = { held: null, kept: null, unheard: null };

export const identityPath = (stateDir: string): string => join(stateDir, "identity.json");

const privateKey = z.string().transform((pem, context) => {
  const key = privateKeyOf(pem);
  if (key !== null) return key;
  context.addIssue("expected a private key in PEM");
  return z.NEVER;
});

const certificate = z.string().transform((pem, context) => {
  const read = readCertificatePem(pem);
  if (read.ok) return read.value;
  context.addIssue(read.error);
  return z.NEVER;
});

const heldSchema = z
  .object({ key: privateKey, certificate })
  .refine((held) => sameKey(publicHalf(held.key), held.certificate.key), {
    error: "expected the key of the certificate",
  });

const fileSchema = z.object({
  schemaVersion: z.literal(1),
  held: heldSchema.nullable(),
  kept: z
    .discriminatedUnion("kind", [
      z.object({
        kind: z.literal("enrolment"),
        proof: z.enum(["ssh", "token", "previous", "unheard"]),
        key: privateKey,
        request: enrolmentRequestSchema,
      }),
      z.object({
        kind: z.literal("renewal"),
        proof: z.literal("renewal"),
        key: privateKey,
        csr: z.string(),
      }),
    ])
    .nullable(),
  unheard: privateKey.nullable(),
});

/** The error is a sentence, and holds nothing of what the file says. */
export function decodeIdentity(text: string): Result<IdentityFile, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return err("it is no JSON");
  }
  const read = fileSchema.safeParse(json);
  if (!read.success) return err(sentence(read.error, "identity"));
  const { held, kept, unheard } = read.data;
  return ok({ held, kept, unheard });
}

const pemOf = (key: KeyObject): string => {
  const pem = key.export({ format: "pem", type: "pkcs8" });
  return typeof pem === "string" ? pem : pem.toString("utf8");
};

export const encodeIdentity = ({ held, kept, unheard }: IdentityFile): string =>
  `${JSON.stringify(
    {
      schemaVersion: 1,
      held: held === null ? null : pemsOf(held),
      kept: kept === null ? null : encodeKept(kept),
      unheard: unheard === null ? null : pemOf(unheard),
    },
    null,
    1,
  )}\n`;

const encodeKept = (kept: KeptRequest) =>
  kept.kind === "renewal"
    ? { ...kept, key: pemOf(kept.key) }
    : {
        ...kept,
        key: pemOf(kept.key),
        request: z.encode(enrolmentRequestSchema, kept.request),
      };

/** As TLS takes them, and as the file keeps them. */
export const pemsOf = (held: HeldIdentity): { key: string; certificate: string } => ({
  key: pemOf(held.key),
  certificate: certificatePem(held.certificate),
});
