import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { err, type HostName, ok, type Result } from "@nixwave/effects";
import {
  decodeEnrolmentKeys,
  decodeFleetHosts,
  decodeRevocations,
  type EnrolmentKey,
  type FleetFile,
  type FleetHosts,
  type RevokedHost,
} from "@nixwave/protocol";
import { z } from "zod";
import type { FleetFacts } from "../fleetTrust.ts";

/** The bytes of the signed files, as text; null for one that the repository does not have. */
export type FleetTexts = { readonly [F in FleetFile]: string | null };

const textsSchema = z.strictObject({
  "hosts.json": z.string().nullable(),
  "enrolment.json": z.string().nullable(),
  "revocations.json": z.string().nullable(),
}) satisfies z.ZodType<FleetTexts>;

const utf8 = new TextEncoder();

/** The error is a sentence that begins with the file. */
export function factsOf(texts: FleetTexts): Result<FleetFacts, string> {
  const hosts = read(texts, "hosts.json", decodeFleetHosts, new Map());
  if (!hosts.ok) return hosts;
  const keys = read(texts, "enrolment.json", decodeEnrolmentKeys, []);
  if (!keys.ok) return keys;
  const revocations = read(texts, "revocations.json", decodeRevocations, new Map());
  if (!revocations.ok) return revocations;
  const facts: {
    hosts: FleetHosts;
    enrolmentKeys: readonly EnrolmentKey[];
    revocations: ReadonlyMap<HostName, RevokedHost>;
  } = { hosts: hosts.value, enrolmentKeys: keys.value, revocations: revocations.value };
  return ok(facts);
}

function read<T>(
  texts: FleetTexts,
  file: FleetFile,
  decode: (bytes: Uint8Array) => Result<T, string>,
  none: T,
): Result<T, string> {
  const text = texts[file];
  if (text === null) return ok(none);
  const decoded = decode(utf8.encode(text));
  return decoded.ok ? decoded : err(`fleet/${file}: ${decoded.error}`);
}

/**
 * What was verified last, in one file of the data directory: who was revoked stays revoked over a restart at which the repository
 * can't be reached or is no longer valid.
 */
export async function keepFleet(path: string, texts: FleetTexts): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.new`;
  const file = await open(beside, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(texts));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Null where nothing was kept, or where it can't be read: the next look at the repository tells it again. */
export async function keptFleet(path: string): Promise<FleetTexts | null> {
  try {
    const json: unknown = JSON.parse(await readFile(path, "utf8"));
    const texts = textsSchema.safeParse(json);
    return texts.success ? texts.data : null;
  } catch {
    return null;
  }
}
