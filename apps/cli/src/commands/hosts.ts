import type { Channel, Instant } from "@nixwave/effects";
import type { HostRow, Shown } from "@nixwave/protocol";
import { type Desk, print, say, wire } from "../desk.ts";
import { hostNamed } from "../find.ts";
import { everyItem } from "../pages.ts";
import { hostsScreen } from "../render/hosts.ts";
import { whyScreen } from "../render/why.ts";

export interface HostFilter {
  readonly on?: string | undefined;
  readonly shown?: Shown | undefined;
  readonly channel?: Channel | undefined;
}

export interface Selected {
  readonly rows: readonly HostRow[];
  /** Of how many hosts in all. */
  readonly known: number;
}

/** Every host that the filter selects, over all pages. */
export async function selectHosts(desk: Desk, filter: HostFilter): Promise<Selected> {
  const query = Object.fromEntries(
    Object.entries(filter).filter(([, value]) => value !== undefined),
  );
  const rows = await everyItem((page) => desk.ask("getHosts", { query: { ...query, ...page } }));
  if (filter.on === undefined) return { rows, known: rows.length };
  const all = await desk.ask("getHosts", { query: { limit: 1 } });
  return { rows, known: all.total };
}

/** `Selected 4 of 17 hosts (@web)`: said wherever a selector was typed. */
export const selectionWords = ({ rows, known }: Selected, selector: string): string =>
  `Selected ${rows.length} of ${known} host${known === 1 ? "" : "s"} (${selector})`;

export async function hosts(desk: Desk, filter: HostFilter): Promise<void> {
  const selected = await selectHosts(desk, filter);
  if (filter.on !== undefined) say(desk, selectionWords(selected, filter.on));
  if (desk.json) {
    const { rows } = selected;
    print(desk, [wire("getHosts", { items: rows, next: null, total: rows.length })]);
    return;
  }
  print(desk, hostsScreen(desk.style, selected.rows, await cpNow(desk)));
}

/** Ages are reckoned against the control plane's clock, never against the reader's. */
async function cpNow(desk: Desk): Promise<Instant> {
  const { now } = await desk.ask("getStatus", {});
  return now;
}

export async function why(desk: Desk, text: string): Promise<void> {
  const view = await desk.ask("getWhy", { params: { host: hostNamed(text) } });
  print(desk, desk.json ? [wire("getWhy", view)] : whyScreen(desk.style, view));
}
