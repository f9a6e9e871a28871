import { type HostName, isOffset, type Offset, type RolloutId } from "@nixwave/effects";
import {
  type EventsPage,
  type LogLine,
  type LogLineKind,
  PAGE_LIMIT_MAX,
  shownLogLine,
} from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { Patience } from "../patience.ts";
import { eventLine } from "../render/events.ts";
import { LOOK_SECS } from "../watch.ts";

interface EventFilter {
  readonly host?: HostName;
  readonly rollout?: RolloutId;
  readonly kind?: LogLineKind;
}

export interface EventsOptions {
  readonly filter: EventFilter;
  /** Begin after this position; null: the last lines of the log, or, with a filter, its beginning. */
  readonly after: Offset | null;
  readonly follow: boolean;
}

/** What a person reads of an unfiltered log: about two screens. */
const LAST_LINES = 100;

export async function events(desk: Desk, { filter, after, follow }: EventsOptions): Promise<void> {
  const { surroundings } = desk;
  let position = after ?? (await startOf(desk, filter));
  let saidWhere = false;
  const patience = new Patience(desk);
  const ask = () => nextPage(desk, filter, position);
  for (;;) {
    const page = follow ? await patience.ask(ask) : await ask();
    if (page === null) {
      await surroundings.wait(LOOK_SECS);
      if (surroundings.stop.aborted) return;
      continue;
    }
    if (!saidWhere && page.beginsAt > 0 && (position ?? 0) < page.beginsAt) {
      say(desk, `The log begins at ${page.beginsAt}: what was before is archived.`);
    }
    saidWhere = true;
    print(desk, linesOf(desk, page));
    // A page of a filtered log may be empty and still be short of the end.
    const more = page.after !== null && page.after !== position && page.after < (page.newest ?? 0);
    position = page.after ?? position;
    if (more) continue;
    if (!follow) return;
    await surroundings.wait(LOOK_SECS);
    if (surroundings.stop.aborted) return;
  }
}

function nextPage(desk: Desk, filter: EventFilter, position: Offset | null): Promise<EventsPage> {
  const from: { after?: Offset } = position === null ? {} : { after: position };
  return desk.ask("getEvents", { query: { ...filter, ...from, limit: PAGE_LIMIT_MAX } });
}

async function startOf(desk: Desk, filter: EventFilter): Promise<Offset | null> {
  if (Object.keys(filter).length > 0) return null;
  const { newest } = await desk.ask("getStatus", {});
  const start = (newest ?? 0) - LAST_LINES;
  return isOffset(start) ? start : null;
}

function linesOf(desk: Desk, { items }: EventsPage): readonly string[] {
  if (desk.json) return items.map((line) => JSON.stringify(shownLogLine.encode(line)));
  const listener = { now: desk.surroundings.now(), timeZone: desk.style.timeZone };
  return items.map((line: LogLine) => eventLine(desk.style, line, listener));
}
