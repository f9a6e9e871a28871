import {
  type Channel,
  type ClosureHash,
  type FreezeId,
  type FreezeScope,
  type Instant,
  isClosureHash,
  isFreezeId,
} from "@nixwave/effects";
import { type Desk, print, say, wire } from "../desk.ts";
import { channelNamed } from "../find.ts";
import { scopeWords } from "../narrate/input.ts";
import { everyItem } from "../pages.ts";
import { Refusal } from "../refusal.ts";
import { heldBy } from "../render/block.ts";
import { listed, shortClosure } from "../render/name.ts";
import { quarantinesScreen } from "../render/quarantines.ts";
import { act, type Care } from "./act.ts";
import { selectHosts, selectionWords } from "./hosts.ts";
import type { Because } from "./rolloutActions.ts";

/** What was typed of `--all`, `--channel`, `--hosts`: exactly one of them. */
export interface ScopeTyped {
  readonly all: boolean;
  readonly channel: string | null;
  readonly hosts: string | null;
}

async function scopeOf(desk: Desk, typed: ScopeTyped): Promise<FreezeScope> {
  const given = [typed.all, typed.channel !== null, typed.hosts !== null].filter(Boolean).length;
  if (given !== 1) {
    throw new Refusal(
      "Freeze what? Expected exactly one of --all, --channel CHANNEL, --hosts SELECTOR.",
    );
  }
  if (typed.all) return { kind: "all" };
  if (typed.channel !== null) return { kind: "channel", channel: channelNamed(typed.channel) };
  const selector = typed.hosts ?? "";
  const selected = await selectHosts(desk, { on: selector });
  say(desk, selectionWords(selected, selector));
  if (selected.rows.length === 0) {
    throw new Refusal(`--hosts “${selector}” selects nobody. See who there is: nixwave hosts`);
  }
  return { kind: "hosts", hosts: selected.rows.map(({ host }) => host) };
}

export async function freeze(
  desk: Desk,
  asked: Because & { readonly scope: ScopeTyped; readonly until: Instant | null },
  care: Care,
): Promise<void> {
  const scope = await scopeOf(desk, asked.scope);
  const now = desk.surroundings.now();
  await act(
    desk,
    {
      route: "postFreeze",
      request: { body: { scope, reason: asked.reason, until: asked.until } },
      doing: `freeze ${scopeWords(scope)}`,
      meaning: `Nothing is dispatched to ${scopeWords(scope)}, whatever is released. Hosts that have acknowledged go on to their end, alone.`,
      done: (made) =>
        `${scopeWords(made.scope)} frozen ${heldBy(made, now, desk.style.timeZone)} (freeze ${made.freezeId})`,
    },
    care,
  );
}

export async function unfreeze(
  desk: Desk,
  asked: Because & { readonly freeze: string | null },
  care: Care,
): Promise<void> {
  const freezeId = await findFreeze(desk, asked.freeze);
  await act(
    desk,
    {
      route: "liftFreeze",
      request: { params: { freezeId }, body: { reason: asked.reason } },
      doing: `lift freeze ${freezeId}`,
      meaning: "What it held may move again, if nothing else holds it.",
      done: (lifted) => `${scopeWords(lifted.scope)} no longer frozen (freeze ${lifted.freezeId})`,
    },
    care,
  );
}

/** The one freeze in force, or the one whose id begins as typed. */
async function findFreeze(desk: Desk, text: string | null): Promise<FreezeId> {
  if (text !== null && isFreezeId(text)) return text;
  const items = await everyItem((query) => desk.ask("getFreezes", { query }));
  const fits = items.filter(({ freezeId }) => text === null || freezeId.startsWith(text));
  const [only, other] = fits;
  if (only !== undefined && other === undefined) return only.freezeId;
  if (items.length === 0) throw new Refusal("No freeze is in force: there is nothing to lift.");
  const known = items
    .slice(0, 8)
    .map((one) => `${one.freezeId} (${scopeWords(one.scope)}, by ${one.by})`)
    .join("; ");
  throw new Refusal(
    only === undefined
      ? `“${text}” is no freeze in force. There is ${known}.`
      : `Lift which freeze? There is ${known}. Name one: nixwave unfreeze ID --reason "…"`,
  );
}

const quarantinesOf = (desk: Desk, of: { readonly channel?: Channel }) =>
  everyItem((page) => desk.ask("getQuarantines", { query: { ...page, ...of } }));

export async function listQuarantines(desk: Desk, channel: string | null): Promise<void> {
  const named: { channel?: Channel } = channel === null ? {} : { channel: channelNamed(channel) };
  const items = await quarantinesOf(desk, named);
  if (desk.json) {
    print(desk, [wire("getQuarantines", { items, next: null, total: items.length })]);
    return;
  }
  const { now } = await desk.ask("getStatus", {});
  print(desk, quarantinesScreen(desk.style, items, now));
}

export async function liftQuarantine(
  desk: Desk,
  asked: Because & { readonly channel: string; readonly closure: string },
  care: Care,
): Promise<void> {
  const channel = channelNamed(asked.channel);
  const closure = await findQuarantined(desk, channel, asked.closure);
  const name = shortClosure(closure);
  await act(
    desk,
    {
      route: "liftQuarantine",
      request: { params: { channel, closure }, body: { reason: asked.reason } },
      doing: `lift the quarantine of ${name} on ${channel}`,
      meaning: `${name} may be dispatched on ${channel} again. A halted rollout stays halted: nixwave clear.`,
      done: () => `${name} is no longer quarantined on ${channel}`,
    },
    care,
  );
}

/** After a restore or a loss: the gate `replay` opens before every host was heard. */
export async function resumeAfterRestore(desk: Desk, asked: Because, care: Care): Promise<void> {
  await act(
    desk,
    {
      route: "endReplay",
      request: { body: { reason: asked.reason } },
      doing: "dispatch again before every host was heard",
      meaning:
        "What hosts did that the log lost is not waited for any longer: one that was dispatched to before may be dispatched to again.",
      done: ({ channels }) => `${listed(channels)}: dispatches go out again`,
    },
    care,
  );
}

/** The whole base name, its beginning, or the form that screens show: `5kxq1…-cam-os`. */
async function findQuarantined(desk: Desk, channel: Channel, text: string): Promise<ClosureHash> {
  if (isClosureHash(text)) return text;
  const items = await quarantinesOf(desk, { channel });
  const [begin = "", end = ""] = text.split(/…|\.\.\./);
  const fits = items.filter(({ closure }) => closure.startsWith(begin) && closure.endsWith(end));
  const [only, other] = fits;
  if (only !== undefined && other === undefined) return only.closure;
  if (items.length === 0) throw new Refusal(`Nothing is quarantined on ${channel}.`);
  const known = listed(items.map(({ closure }) => closure));
  throw new Refusal(
    only === undefined
      ? `“${text}” is not quarantined on ${channel}. There is ${known}.`
      : `“${text}” fits ${fits.length} closures: type more of the one that you mean. There is ${known}.`,
  );
}
