import { type Channel, err, type HostName, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { parseSshPublicKey } from "../identity/sshKey.ts";
import { channel, hostName } from "../ids.ts";
import { sentence } from "../problem.ts";

/** An SSH public key is far shorter; the identity code looks at what is in it. */
const SSH_KEY_MAX = 1024;

/** `fleet/hosts.json`: who is who. Signed by the top-level targets role; no channel's key can change it. */
const fleetHostsSchema = z.object({
  schemaVersion: z.literal(1, { error: "expected 1: another version takes another nixwave" }),
  hosts: z.record(
    hostName,
    z.object({ channel, sshHostKey: z.string().max(SSH_KEY_MAX).nullable() }).readonly(),
  ),
});

export interface FleetHost {
  readonly channel: Channel;
  /** As in /etc/ssh/ssh_host_ed25519_key.pub; null for a host that joins with a token. */
  readonly sshHostKey: string | null;
}
export type FleetHosts = ReadonlyMap<HostName, FleetHost>;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The error is a sentence without the file's name. */
export function decodeFleetHosts(bytes: Uint8Array): Result<FleetHosts, string> {
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch {
    return err("is not JSON in UTF-8");
  }
  const decoded = fleetHostsSchema.safeParse(json);
  if (!decoded.success) return err(sentence(decoded.error, "content"));
  const hosts = new Map<HostName, FleetHost>();
  for (const name in decoded.data.hosts) {
    if (!Object.hasOwn(decoded.data.hosts, name)) continue;
    const key = hostName.safeParse(name);
    const host = key.success ? decoded.data.hosts[key.data] : undefined;
    if (key.success && host !== undefined) hosts.set(key.data, host);
  }
  return ok(hosts);
}

/**
 * What its author is told before it is signed: an SSH key that can't be read would only show when the host enrols. Null if there
 * is nothing.
 */
export function wrongHostKey(hosts: FleetHosts): string | null {
  for (const [host, { sshHostKey }] of hosts) {
    const key = sshHostKey === null ? null : parseSshPublicKey(sshHostKey);
    if (key?.ok === false) return `the sshHostKey of host ${host}: ${key.error}`;
  }
  return null;
}

/** The file's bytes: the same hosts give the same bytes. */
export function encodeFleetHosts(hosts: FleetHosts): Uint8Array {
  const sorted = [...hosts].sort(([a], [b]) => (a < b ? -1 : 1));
  const content = { schemaVersion: 1, hosts: Object.fromEntries(sorted) };
  return new TextEncoder().encode(`${JSON.stringify(content, null, 1)}\n`);
}

/** Why a release of `of` may not list `host`, as a sentence's end, or null. */
export function foreignHost(hosts: FleetHosts, host: HostName, of: Channel): string | null {
  const declared = hosts.get(host);
  if (declared === undefined) return `lists host ${host}, which fleet/hosts.json does not have`;
  if (declared.channel === of) return null;
  return `lists host ${host}, which fleet/hosts.json gives to channel ${declared.channel}: a release of ${of} may only list hosts of ${of}`;
}
