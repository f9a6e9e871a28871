import type { Channel } from "@nixwave/effects";
import {
  addReleases,
  authoritiesOf,
  encodeFleetHosts,
  type FleetHosts,
  fleetTarget,
  type Hands,
  type Live,
  nameOfKey,
  type Pending,
  type RepositoryOutcome,
  type Signer,
  setFleetFiles,
  type Waiting,
  type WrittenRelease,
} from "@nixwave/protocol";
import { Refusal } from "../refusal.ts";
import { listed } from "../render/name.ts";
import type { HostChanges } from "../signing/declaredHosts.ts";
import { must } from "../signing/outcome.ts";

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

/**
 * Before hours of building: a channel that nobody present may sign, whatever its release will be; null: if they may sign none at
 * all. A channel that the repository does not have is told by whoever reads its current release.
 */
export function refuseForeignChannels(
  channels: ReadonlySet<Channel> | null,
  { live, pending }: { readonly live: Live; readonly pending: Pending },
  signers: readonly Signer[],
): void {
  const foreign = [...(channels ?? live.channels.keys())].flatMap((channel) => {
    const authorities = authoritiesOf(channel, live, pending);
    const isAble = authorities.some(({ keyids }) =>
      signers.some(({ keyId }) => keyids.includes(keyId)),
    );
    return isAble || authorities.length === 0 ? [] : [{ channel, authorities }];
  });
  const [first] = foreign;
  if (first === undefined || (channels === null && foreign.length < live.channels.size)) return;
  const owners = first.authorities.flatMap(({ keyids, keys }) =>
    keyids.flatMap((id) => (keys[id] === undefined ? [] : [nameOfKey(keys[id])])),
  );
  const mine = signers.map(({ publicKey }) => nameOfKey(publicKey)).join(", ");
  throw new Refusal(
    `nothing was built or released: ${mine} may not sign ${first.channel}: that is for ${[...new Set(owners)].join(", ")}. Name one of their keys with --key FILE, or release other channels with --channel.`,
  );
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
 * waits ends it, because clients would refuse what comes after. `signed` is live; `next` is what waits already, if anything does.
 */
export async function publishSigned(
  hands: Hands,
  { signed, next }: { readonly signed: FleetHosts; readonly next: FleetHosts },
  changes: HostChanges,
  releases: readonly WrittenRelease[],
): Promise<Published> {
  const losing = new Set<Channel>(
    [...changes.moved.keys()].flatMap((host) => signed.get(host)?.channel ?? []),
  );
  const first = releases.filter(({ release }) => losing.has(release.channel));
  const rest = releases.filter(({ release }) => !losing.has(release.channel));
  const withNew: FleetHosts = new Map([...next, ...changes.before]);
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
