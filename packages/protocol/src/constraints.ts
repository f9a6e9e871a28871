import type { Budget, Channel, HostEdge, Wave } from "@nixwave/effects";
import type { Fleet } from "./fleet.ts";
import { type Arrow, orderByGates } from "./graph.ts";
import { type Member, type Notes, refuseUnknownHosts } from "./members.ts";
import { byName } from "./releaseFiles.ts";
import { matcher, type Selector } from "./selector.ts";

/** A budget of the whole fleet: the limit is of all its hosts, whatever their channel. */
export interface FleetBudget {
  readonly name: string;
  readonly maxInFlight: number;
  readonly hosts: readonly Member[];
}

/** A cross product of two selectors has as many edges as the product of their hosts. */
const EDGES_MAX = 1_000_000;
const DAY_SECS = 24 * 3600;

export function budgetsOf(fleet: Fleet, members: readonly Member[], notes: Notes): FleetBudget[] {
  const seen = new Set<string>();
  return fleet.budgets.map(({ name, select, maxInFlight }, index) => {
    const path = ["budgets", index];
    const what = `budget ${JSON.stringify(name)}`;
    if (seen.has(name)) notes.refuse([...path, "name"], `${what} is declared twice: expected one`);
    seen.add(name);
    const hosts = selectFrom(fleet, members, notes, {
      selector: select,
      path: [...path, "select"],
      what,
    });
    return { name, hosts, maxInFlight: limitOf(maxInFlight, hosts.length) };
  });
}

/** A percentage of the budget's hosts, rounded down but never to none (hazard 28). */
function limitOf(limit: number | string, hosts: number): number {
  if (typeof limit === "number") return limit;
  return Math.max(1, Math.floor((hosts * Number.parseInt(limit, 10)) / 100));
}

/** Warns where the budgets alone make a rollout of this channel take longer than a day. */
export function warnOfSlowBudgets(
  of: { channel: Channel; waves: readonly Wave[]; members: readonly Member[] },
  budgets: readonly FleetBudget[],
  notes: Notes,
): void {
  for (const [index, { name, hosts, maxInFlight }] of budgets.entries()) {
    const secs = of.waves.reduce((sum, wave) => {
      const held = hosts.filter((host) => host.channel === of.channel && host.wave === wave.index);
      return sum + Math.ceil(held.length / maxInFlight) * wave.soakSecs;
    }, 0);
    if (secs <= DAY_SECS) continue;
    const hours = Math.ceil(secs / 3600);
    notes.warn(
      ["budgets", index, "maxInFlight"],
      `budget ${JSON.stringify(name)} makes a rollout of channel ${of.channel} take at least ${hours} h: ${maxInFlight} of ${hosts.length} hosts at once, each soaking`,
    );
  }
}

/** What a channel's constraints.json gets of the fleet's budgets: its own hosts, the limit as it is. */
export const budgetsIn = (channel: Channel, budgets: readonly FleetBudget[]): Budget[] =>
  budgets.flatMap(({ name, hosts, maxInFlight }) => {
    const own = hosts.filter((host) => host.channel === channel).map(({ host }) => host);
    return own.length === 0 ? [] : [{ name, hosts: own.sort(byName), maxInFlight }];
  });

/** Edges between hosts, with selectors resolved: each of one end waits for each of the other, within its channel. */
export function edgesOf(fleet: Fleet, members: readonly Member[], notes: Notes): HostEdge[] {
  const edges = new Map<string, { readonly edge: HostEdge; readonly index: number }>();
  for (const [index, { gates, gated, reason }] of fleet.edges.entries()) {
    const path = ["edges", index];
    const what = `edge ${index + 1}`;
    const end = (selector: Selector, key: string) =>
      selectFrom(fleet, members, notes, { selector, path: [...path, key], what });
    const pairs = pairsOf(end(gates, "gates"), end(gated, "gated"));
    if (pairs === null) {
      notes.refuse(
        path,
        `${what} stands for more than ${EDGES_MAX} pairs of hosts: narrow its selectors`,
      );
      continue;
    }
    for (const [gate, waits] of pairs) {
      if (gate.channel !== waits.channel) {
        // Two names were meant as they stand; of a selector only the pairs within a channel are.
        if (!(named(gates) && named(gated))) continue;
        notes.refuse(
          path,
          `${what} has ${gate.host} of channel ${gate.channel} gate ${waits.host} of channel ${waits.channel}: expected hosts of one channel; channelEdges order channels`,
        );
      } else if (gate.wave > waits.wave) {
        notes.refuse(
          path,
          `${what} has ${gate.host} of wave ${gate.wave} gate ${waits.host} of wave ${waits.wave}: expected the gating host in the same wave or an earlier one`,
        );
      } else {
        const edge = { gates: gate.host, gated: waits.host, reason };
        edges.set(keyOf(edge), { edge, index });
      }
    }
  }
  const resolved = [...edges.values()]
    .map(({ edge }) => edge)
    .sort((a, b) => byName(a.gated, b.gated) || byName(a.gates, b.gates));
  refuseCycle(resolved, (arrow) => ["edges", edges.get(keyOf(arrow))?.index ?? 0], notes);
  return resolved;
}

const keyOf = ({ gates, gated }: Arrow<string>): string => `${gates} ${gated}`;
const named = (selector: Selector): boolean => "hosts" in selector;

function pairsOf(gates: readonly Member[], gated: readonly Member[]): [Member, Member][] | null {
  if (gates.length * gated.length > EDGES_MAX) return null;
  return gates.flatMap((gate) =>
    gated
      .filter(({ host }) => host !== gate.host || gates.length * gated.length === 1)
      .map((waits): [Member, Member] => [gate, waits]),
  );
}

/** Refuses what would wait for itself, at one of the edges that say so, and names the way round. */
export function refuseCycle<T extends string>(
  arrows: readonly Arrow<T>[],
  pathOf: (arrow: Arrow<T>) => readonly PropertyKey[],
  notes: Notes,
): void {
  const found = orderByGates<T>([], arrows);
  if (found.kind === "ordered") return;
  const [gates, gated] = found.cycle;
  const closing = arrows.find((arrow) => arrow.gates === gates && arrow.gated === gated);
  notes.refuse(
    closing === undefined ? [] : pathOf(closing),
    `the edges close a cycle: ${found.cycle.join(" → ")}. Remove one of them`,
  );
}

/** The hosts that a selector resolves to; a name that nobody has is refused, a selector that matches nobody warned of. */
function selectFrom(
  fleet: Fleet,
  members: readonly Member[],
  notes: Notes,
  of: { selector: Selector; path: readonly PropertyKey[]; what: string },
): Member[] {
  const known = refuseUnknownHosts(fleet, notes, { ...of, channel: null });
  const selected = members.filter(matcher(of.selector));
  if (selected.length === 0 && known && !named(of.selector)) {
    notes.warn(of.path, `${of.what} has a selector that matches no host`);
  }
  return selected;
}
