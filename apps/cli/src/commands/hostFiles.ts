import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Channel, HostName } from "@nixwave/effects";
import {
  type DeclaredHost,
  encodeFleetHosts,
  encodeRevocations,
  type FleetFile,
  type FleetHost,
  type FleetHosts,
  parseSshPublicKey,
  type RevokedHost,
  setFleetFiles,
} from "@nixwave/protocol";
import { type Desk, say } from "../desk.ts";
import type { ExitCode } from "../exit.ts";
import { Refusal, systemCode } from "../refusal.ts";
import { declarationOf } from "../release/prepare.ts";
import { listed } from "../render/name.ts";
import { type FleetFiles, nextFleetFiles } from "../signing/fleetFiles.ts";
import { agreed, handsOf, must, report } from "../signing/outcome.ts";
import { DEFAULTS, type Place, settingsIn } from "../signing/settings.ts";
import type { SignersTyped } from "../signing/signers.ts";

export interface HostsTyped {
  readonly place: Place;
  readonly hosts: readonly HostName[];
  readonly fleet: string | undefined;
  readonly sshHostKey: string | undefined;
  readonly yes: boolean;
  readonly signers: SignersTyped;
}

/** Says who hosts are, and takes a revocation of theirs back: from then on they may enrol. */
export async function addHosts(
  desk: Desk,
  typed: HostsTyped & { readonly channel: Channel | undefined },
): Promise<ExitCode> {
  const declared = declaredIn(desk, typed.fleet);
  const before = await nextFleetFiles(typed.place);
  const key = sshKeyOf(desk, typed);
  const hosts = new Map(before.hosts);
  for (const host of typed.hosts) {
    const known = declared?.[host] ?? before.hosts.get(host);
    const channel = typed.channel ?? known?.channel;
    if (channel === undefined) {
      throw new Refusal(
        `which channel is ${host} of? It is not declared: name the channel with --channel, or the declaration that has it with --fleet.`,
      );
    }
    const sshHostKey = key ?? known?.sshHostKey ?? before.hosts.get(host)?.sshHostKey ?? null;
    hosts.set(host, { channel, sshHostKey });
  }
  const revoked = new Map(before.revoked);
  for (const host of typed.hosts) revoked.delete(host);
  const said = typed.hosts.map((host) => {
    const one = hosts.get(host);
    const by =
      one?.sshHostKey === null ? "with a token: nixwave join-token" : "by its SSH host key";
    const back = before.revoked.has(host) ? ", and is not revoked any more" : "";
    return `${host} is of ${one?.channel}, enrols ${by}${back}`;
  });
  return await setFiles(desk, typed, { before, after: { hosts, revoked }, said });
}

/** Refuses hosts from now on, whatever certificate they have. Their names stay: earlier releases list them, and would not verify. */
export async function retireHosts(
  desk: Desk,
  typed: HostsTyped & { readonly reason: string },
): Promise<ExitCode> {
  return await revoke(desk, typed, () => ({ before: null, reason: typed.reason }));
}

/** Refuses what was issued to hosts before now: a machine that is installed anew enrols again, the old disk does not. */
export async function replaceHosts(
  desk: Desk,
  typed: HostsTyped & { readonly reason: string },
): Promise<ExitCode> {
  const now = desk.surroundings.now();
  return await revoke(desk, typed, () => ({ before: now, reason: typed.reason }));
}

async function revoke(
  desk: Desk,
  typed: HostsTyped,
  revocation: (host: HostName) => RevokedHost,
): Promise<ExitCode> {
  const before = await nextFleetFiles(typed.place);
  const key = sshKeyOf(desk, typed);
  const [hosts, revoked] = [new Map(before.hosts), new Map(before.revoked)];
  const said: string[] = [];
  for (const host of typed.hosts) {
    const known = before.hosts.get(host);
    if (known === undefined) throw unknownHost(host, before.hosts);
    const made = revocation(host);
    revoked.set(host, made);
    const declared = declaredIn(desk, typed.fleet)?.[host]?.sshHostKey ?? null;
    if (key !== null && declared !== null && declared !== key) {
      say(
        desk,
        `warning: the declaration has another sshHostKey for ${host}: change it there too, or the next release brings the old one back.`,
      );
    }
    if (made.before !== null) hosts.set(host, renewed(known, key ?? declared));
    said.push(
      made.before === null
        ? `${host} is refused`
        : `${host} is refused with a certificate from before now, and enrols again`,
    );
  }
  return await setFiles(desk, typed, { before, after: { hosts, revoked }, said });
}

const renewed = (known: FleetHost, sshHostKey: string | null): FleetHost => ({
  ...known,
  sshHostKey: sshHostKey ?? known.sshHostKey,
});

type Edited = Pick<FleetFiles, "hosts" | "revoked">;

/** Signs the files that differ, each as a whole. */
async function setFiles(
  desk: Desk,
  { place, yes, signers }: HostsTyped,
  { before, after, said }: { before: Edited; after: Edited; said: readonly string[] },
): Promise<ExitCode> {
  const files = new Map<FleetFile, Uint8Array>();
  const put = (file: FleetFile, old: Uint8Array, next: Uint8Array): void => {
    if (Buffer.compare(old, next) !== 0) files.set(file, next);
  };
  put("hosts.json", encodeFleetHosts(before.hosts), encodeFleetHosts(after.hosts));
  put("revocations.json", encodeRevocations(before.revoked), encodeRevocations(after.revoked));
  if (files.size === 0) {
    say(desk, "Nothing is different from what is signed already.");
    return report(desk, { live: new Map(), waiting: [] });
  }
  const names = [...files.keys()].map((file) => `fleet/${file}`).join(" and ");
  const asked = await agreed(desk, `${said.join("\n")}\nSign ${names}?`, yes);
  const hands = await handsOf(desk, place, signers);
  const outcome = await must(setFleetFiles(hands, files));
  if (!asked) for (const line of said) say(desk, line);
  return report(desk, outcome);
}

/** Hosts as declared; null where there is no declaration to look at. */
function declaredIn(
  { surroundings }: Desk,
  typed: string | undefined,
): Readonly<Record<string, DeclaredHost>> | null {
  const file = typed ?? settingsIn(surroundings).fleet ?? DEFAULTS.fleet;
  try {
    readFileSync(resolve(surroundings.cwd, file));
  } catch (cause) {
    if (typed === undefined && systemCode(cause) === "ENOENT") return null;
  }
  return declarationOf(file, surroundings.cwd).fleet.hosts;
}

/** `--ssh-host-key`: the file ssh_host_ed25519_key.pub of one host; null where it was not typed. */
function sshKeyOf({ surroundings }: Desk, { sshHostKey, hosts }: HostsTyped): string | null {
  if (sshHostKey === undefined) return null;
  if (hosts.length !== 1) throw new Refusal("--ssh-host-key is one host's: name one host.");
  let line: string;
  try {
    line = readFileSync(resolve(surroundings.cwd, sshHostKey), "utf8").trim();
  } catch (cause) {
    throw new Refusal(
      `--ssh-host-key ${sshHostKey} can't be read (${systemCode(cause)}): expected the host's ssh_host_ed25519_key.pub.`,
    );
  }
  const key = parseSshPublicKey(line);
  if (!key.ok) throw new Refusal(`--ssh-host-key ${sshHostKey}: ${key.error}.`);
  return line;
}

export const unknownHost = (host: HostName, hosts: FleetHosts): Refusal =>
  new Refusal(
    `fleet/hosts.json has no host ${host}: it has ${listed([...hosts.keys()], 8) || "none"}. Say who it is with: nixwave host add ${host}`,
  );
