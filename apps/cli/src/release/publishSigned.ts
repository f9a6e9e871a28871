import type { Channel } from "@nixwave/effects";
import {
  addReleases,
  decodeFleetHosts,
  encodeFleetHosts,
  type FleetHosts,
  fleetFileOf,
  fleetTarget,
  type Hands,
  type Live,
  nameOfKey,
  type RepositoryOutcome,
  type RepositoryProblem,
  setFleetFiles,
  type Waiting,
  type WrittenRelease,
} from "@nixwave/protocol";
import { Refusal } from "../refusal.ts";
import { counted, listed } from "../render/name.ts";
import type { HostChanges } from "../signing/declaredHosts.ts";
import type { Place } from "../signing/settings.ts";

/** What came of it: nothing waits if all of it is live. */
export interface Published {
  /** Releases that are live now. */
  readonly live: readonly WrittenRelease[];
  /** Releases that wait for signatures. */
  readonly pending: readonly WrittenRelease[];
  /** Releases that were not written, because fleet/hosts.json waits for signatures before them. */
  readonly held: readonly WrittenRelease[];
  readonly waiting: readonly Waiting[];
}

const HOSTS = fleetTarget("hosts.json");

/** fleet/hosts.json as it is live; a repository without one has no hosts. */
export async function signedHosts(place: Place, live: Live): Promise<FleetHosts> {
  const bytes = await fleetFileOf(place.path, HOSTS, live.targets);
  if (bytes === null) return new Map();
  const hosts = decodeFleetHosts(bytes);
  if (hosts.ok) return hosts.value;
  throw new Refusal(`${place.shown}/targets/${HOSTS}: ${hosts.error}.`);
}

/** Before anything is written: who signs hosts must be one of those who may. */
export function refuseForeignHosts({ before, moved }: HostChanges, live: Live, hands: Hands): void {
  const names = [...before.keys(), ...moved.keys()];
  if (names.length === 0) return;
  const { keyids } = live.root.signed.roles.targets;
  if (hands.signers.some(({ keyId }) => keyids.includes(keyId))) return;
  const owners = keyids.flatMap((id) => {
    const key = live.root.signed.keys[id];
    return key === undefined ? [] : [nameOfKey(key)];
  });
  const mine = hands.signers.map(({ publicKey }) => nameOfKey(publicKey)).join(", ");
  throw new Refusal(
    `nothing was released: ${HOSTS} has to change first (${listed(names, 8)}), and ${mine} may not sign it. One of ${owners.join(", ")} runs: nixwave host add ${names.slice(0, 8).join(" ")}`,
  );
}

/**
 * Signs what clients must know before they look at the releases, then the releases. Each step is live or waits as a whole; a step that
 * waits ends it, because clients would refuse what comes after.
 */
export async function publishSigned(
  hands: Hands,
  signed: FleetHosts,
  changes: HostChanges,
  releases: readonly WrittenRelease[],
): Promise<Published> {
  const losing = new Set<Channel>(
    [...changes.moved.keys()].flatMap((host) => signed.get(host)?.channel ?? []),
  );
  const first = releases.filter(({ release }) => losing.has(release.channel));
  const rest = releases.filter(({ release }) => !losing.has(release.channel));
  const withNew: FleetHosts = new Map([...signed, ...changes.before]);
  const steps: readonly Step[] = [
    {
      hosts: changes.before.size === 0 ? null : withNew,
      releases: changes.moved.size === 0 ? releases : first,
    },
    {
      hosts: changes.moved.size === 0 ? null : new Map([...withNew, ...changes.moved]),
      releases: changes.moved.size === 0 ? [] : rest,
    },
  ];
  const live: WrittenRelease[] = [];
  for (const [at, step] of steps.entries()) {
    const held = steps.slice(at + 1).flatMap((later) => later.releases);
    if (step.hosts !== null) {
      const hosts = await must(
        setFleetFiles(hands, new Map([["hosts.json", encodeFleetHosts(step.hosts)]])),
      );
      if (waitsFor(hosts, "targets")) {
        return { live, pending: [], held: [...step.releases, ...held], waiting: hosts.waiting };
      }
    }
    if (step.releases.length === 0) continue;
    const files = step.releases.map(({ release, files: own }) => ({
      channel: release.channel,
      files: own,
    }));
    const added = await must(addReleases(hands, files));
    const pending = step.releases.filter(({ release }) => !added.live.has(release.channel));
    live.push(...step.releases.filter(({ release }) => added.live.has(release.channel)));
    if (pending.length > 0) return { live, pending, held, waiting: added.waiting };
  }
  return { live, pending: [], held: [], waiting: [] };
}

interface Step {
  readonly hosts: FleetHosts | null;
  readonly releases: readonly WrittenRelease[];
}

const waitsFor = ({ live, waiting }: RepositoryOutcome, role: string): boolean =>
  !live.has(role) && waiting.length > 0;

/** The outcome, or the problem as the sentence that a person gets. */
export async function must<T>(
  found: Promise<{ ok: true; value: T } | { ok: false; error: RepositoryProblem }>,
): Promise<T> {
  const result = await found;
  if (result.ok) return result.value;
  throw new Refusal(`${result.error.reason}.`);
}

/** `stable 2 waits for 1 more signature: it has ops-1 (1 of 2), and ops-2 or ops-3 can give it`. */
export function waitingLine({ role, version, threshold, signedBy, missing }: Waiting): string {
  const has = signedBy.length === 0 ? "nobody signed it yet" : `signed by ${signedBy.join(", ")}`;
  const need = threshold - signedBy.length;
  if (need <= 0) return `${role} ${version} is complete (${has}) and waits for the others`;
  return `${role} ${version} waits for ${counted(need, "more signature")} of ${missing.join(", ")} (${has}; ${signedBy.length} of ${threshold})`;
}
