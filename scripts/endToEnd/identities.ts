import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HostName, type Instant, instant } from "@nixwave/effects";
import {
  type Certificate,
  CLIENT_DAYS,
  certificatePem,
  ENROLMENT_WINDOW_SECS,
  issueAuthority,
  issueForAgent,
  keyIssuer,
  publicHalf,
  readAuthorityPem,
  readCertificatePem,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import type { DemoFleet } from "../demo/fleet.ts";

const fileOf = (fleet: DemoFleet, host: string): string =>
  join(fleet.stateDir(host), "identity.json");

/** The certificate that a host shows now, from its state directory; null before it has one. */
export function certificateOf(fleet: DemoFleet, host: string): Certificate | null {
  const json: unknown = JSON.parse(readFileSync(fileOf(fleet, host), "utf8"));
  const held: unknown =
    typeof json === "object" && json !== null ? Reflect.get(json, "held") : null;
  if (typeof held !== "object" || held === null) return null;
  const read = readCertificatePem(String(Reflect.get(held, "certificate")));
  return read.ok ? read.value : null;
}

/**
 * Gives a host whose agent does not run a certificate that was made at another time: with the CA's own key, as the control
 * plane would have made it then. Time itself can't be moved for processes.
 */
export async function giveCertificateOf(
  fleet: DemoFleet,
  host: HostName,
  madeAt: Instant,
): Promise<Certificate> {
  const authority = readAuthorityPem(readFileSync(fleet.operator.authority, "utf8"));
  if (!authority.ok) throw new Error(authority.error);
  const caKey = createPrivateKey(readFileSync(join(fleet.data, "tls", "ca.key"), "utf8"));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = await issueForAgent(keyIssuer(authority.value, caKey), {
    name: host,
    key: publicHalf(privateKey),
    serial: randomBytes(SERIAL_BYTES),
    now: madeAt,
  });
  const key = privateKey.export({ format: "pem", type: "pkcs8" });
  const held = { key, certificate: certificatePem(certificate) };
  const identity = { schemaVersion: 1, held, kept: null, unheard: null };
  writeFileSync(fileOf(fleet, host), JSON.stringify(identity), { mode: 0o600 });
  return certificate;
}

/** When a certificate has to have been made to be due for renewal at this instant: it is dated back by the window of enrolment. */
export const madeToBeDueAt = (at: Instant): Instant =>
  instant(at - ((CLIENT_DAYS * 86_400 - ENROLMENT_WINDOW_SECS) / 2) * 1000);

/** A CA that is older than what `giveCertificateOf` makes. Before the fleet starts: the first start keeps the one that is there. */
export async function plantAuthority(fleet: DemoFleet, madeAt: Instant): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serial = randomBytes(SERIAL_BYTES);
  const authority = await issueAuthority({ privateKey, serial, now: madeAt });
  const folder = join(fleet.data, "tls");
  mkdirSync(folder, { mode: 0o700 });
  const key = privateKey.export({ format: "pem", type: "pkcs8" });
  writeFileSync(join(folder, "ca.key"), key, { mode: 0o600 });
  writeFileSync(join(folder, "ca.pem"), certificatePem(authority));
}
