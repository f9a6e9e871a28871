import { existsSync } from "node:fs";
import { ownAuthorityFiles } from "../identity/authority.ts";

/** A backup is one file that may lie anywhere; the CA's key belongs where keys are kept, so it is not in it, and this is said each time. */
export function besideBackup(dataDir: string): readonly string[] {
  const { cert, key } = ownAuthorityFiles(dataDir);
  if (!existsSync(cert)) return [];
  return [
    `the CA is not in it: keep ${key} and ${cert} too, where keys are kept; without them a restored control plane is one that no agent trusts`,
  ];
}

/** Before the next start makes another CA. */
export function besideRestored(dataDir: string): readonly string[] {
  const { cert, key } = ownAuthorityFiles(dataDir);
  if (existsSync(cert) && existsSync(key)) return [];
  return [
    `there is no CA in ${dataDir}: put ca.key and ca.pem back as ${key} and ${cert} before it serves, or give --ca-cert; else it makes a new CA, which no agent trusts until it is given to them`,
  ];
}
