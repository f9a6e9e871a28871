import type { Config } from "../config.ts";
import type { Disk } from "../ports.ts";
import { readAuthorities, readHostKey, readToken } from "./evidence.ts";
import { decodeIdentity, identityPath } from "./file.ts";

/** What can't be used of the files that this host is to be known by: one sentence each. */
export function checkIdentityFiles(
  { tls, stateDir }: Pick<Config, "tls" | "stateDir">,
  disk: Pick<Disk, "readText">,
): readonly string[] {
  if (tls === null) return [];
  const authorities = readAuthorities(tls.authority, disk);
  const wrong = authorities.ok ? [] : [authorities.error];
  if (tls.enrolBy.kind === "ssh") {
    const key = readHostKey(tls.enrolBy.path, disk);
    return key.ok ? wrong : [...wrong, key.error];
  }
  // A token is used up by the first certificate, and then nobody needs one.
  const token = readToken(tls.enrolBy.path, disk);
  return token.ok || holdsCertificate(stateDir, disk) ? wrong : [...wrong, token.error];
}

function holdsCertificate(stateDir: string, disk: Pick<Disk, "readText">): boolean {
  try {
    const identity = decodeIdentity(disk.readText(identityPath(stateDir)) ?? "");
    return identity.ok && identity.value.held !== null;
  } catch {
    return false;
  }
}
