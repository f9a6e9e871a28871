import type { Channel, HostName } from "@nixwave/effects";
import type { DeclaredHost, Fleet } from "./fleet.ts";
import type { Placed } from "./placed.ts";
import { byName } from "./releaseFiles.ts";
import { matcher, namedHosts, type Selector } from "./selector.ts";
import { didYouMean } from "./suggestion.ts";

/** A declared host with its name, and the wave in which it was found. */
export interface Member extends NamedDeclaredHost {
  readonly wave: number;
}

interface NamedDeclaredHost extends DeclaredHost {
  readonly host: HostName;
}

/** What resolution has to say: refusals, so that nothing is written, and warnings. */
export class Notes {
  readonly #placed: Placed;
  readonly refusals: { file: string; line: number; sentence: string }[] = [];
  readonly warnings: { file: string; line: number; sentence: string }[] = [];

  constructor(placed: Placed) {
    this.#placed = placed;
  }

  refuse(path: readonly PropertyKey[], sentence: string): void {
    const { file, lineOf } = this.#placed;
    this.refusals.push({ file, line: lineOf(path), sentence });
  }

  warn(path: readonly PropertyKey[], sentence: string): void {
    const { file, lineOf } = this.#placed;
    this.warnings.push({ file, line: lineOf(path), sentence });
  }
}

const quoted = (name: string): string => JSON.stringify(name);

/** The hosts of each channel, each with its one wave; a host without one is refused and left out. */
export function membersOf(fleet: Fleet, notes: Notes): ReadonlyMap<Channel, readonly Member[]> {
  const channels = Object.keys(fleet.channels);
  const byChannel = new Map<string, NamedDeclaredHost[]>();
  for (const [host, declared] of entriesByName(fleet.hosts)) {
    const list = byChannel.get(declared.channel);
    if (list === undefined) byChannel.set(declared.channel, [{ ...declared, host }]);
    else list.push({ ...declared, host });
    if (channels.includes(declared.channel)) continue;
    const hint = didYouMean(declared.channel, channels);
    notes.refuse(
      ["hosts", host, "channel"],
      `host ${host} names channel ${quoted(declared.channel)}, which is not declared: expected one of ${channels.join(", ")}.${hint}`,
    );
  }
  const members = new Map<Channel, readonly Member[]>();
  for (const [channel] of entriesByName(fleet.channels)) {
    members.set(channel, membersOfChannel(fleet, channel, byChannel.get(channel) ?? [], notes));
  }
  return members;
}

/** The entries of a mapping by id, in the order of the ids. */
function entriesByName<K extends string, V>(mapping: { readonly [key in K]: V }): [K, V][] {
  const entries: [K, V][] = [];
  for (const key in mapping) entries.push([key, mapping[key]]);
  return entries.sort(([a], [b]) => byName(a, b));
}

function membersOfChannel(
  fleet: Fleet,
  channel: Channel,
  hosts: readonly NamedDeclaredHost[],
  notes: Notes,
): readonly Member[] {
  const waves = fleet.channels[channel]?.waves ?? [];
  const waveOf = new Map<HostName, number>();
  for (const [at, { select }] of waves.entries()) {
    const wave = at + 1;
    const path = ["channels", channel, "waves", at];
    const known = refuseUnknownHosts(fleet, notes, {
      selector: select,
      path: [...path, "select"],
      what: `wave ${wave} of channel ${channel}`,
      channel,
    });
    const selected = hosts.filter(matcher(select));
    if (selected.length === 0 && known) {
      notes.refuse(
        path,
        `wave ${wave} of channel ${channel} is empty: its selector matches no host of ${channel}`,
      );
    }
    for (const { host } of selected) {
      const first = waveOf.get(host);
      if (first === undefined) waveOf.set(host, wave);
      else {
        notes.refuse(
          path,
          `host ${host} is in wave ${first} and in wave ${wave} of channel ${channel}: expected one; narrow a selector, as with {not: …}`,
        );
      }
    }
  }
  return hosts.flatMap((host) => {
    const wave = waveOf.get(host.host);
    if (wave !== undefined) return [{ ...host, wave }];
    notes.refuse(
      ["hosts", host.host],
      `host ${host.host} is in no wave of channel ${channel}: expected exactly one to select it`,
    );
    return [];
  });
}

/** Hosts that a selector names must be in the fleet, and in `channel` where that is not null. Says whether they are. */
export function refuseUnknownHosts(
  fleet: Fleet,
  notes: Notes,
  of: { selector: Selector; path: readonly PropertyKey[]; what: string; channel: Channel | null },
): boolean {
  let known = true;
  for (const { host, path } of namedHosts(of.selector, of.path)) {
    // Not `fleet.hosts[host]` alone: `constructor` is a host name too, and every object has one.
    const declared = Object.hasOwn(fleet.hosts, host) ? fleet.hosts[host] : undefined;
    if (declared === undefined) {
      known = false;
      const hint = didYouMean(host, Object.keys(fleet.hosts));
      notes.refuse(path, `${of.what} names host ${host}, which is not in the fleet.${hint}`);
    } else if (of.channel !== null && declared.channel !== of.channel) {
      known = false;
      notes.refuse(
        path,
        `${of.what} names host ${host}, which belongs to channel ${declared.channel}: expected a host of ${of.channel}`,
      );
    }
  }
  return known;
}
