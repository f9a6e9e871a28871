import {
  type Channel,
  type HostName,
  isChannel,
  isHostName,
  isRolloutId,
  type RolloutId,
} from "@nixwave/effects";
import type { RolloutSummary } from "@nixwave/protocol";
import type { Desk } from "./desk.ts";
import { everyItem } from "./pages.ts";
import { Refusal } from "./refusal.ts";
import { REF_DIGITS_MIN, shortRollout } from "./render/name.ts";

const PREFIX = new RegExp(`^(?:([a-z0-9][a-z0-9_-]{0,63})@)?([0-9a-f]{${REF_DIGITS_MIN},40})$`);
/** A channel stands for its newest rollout; a full id for itself; `stable@9f3c2ab` or `9f3c2ab` for the one that begins so. */
export async function findRollout(desk: Desk, text: string): Promise<RolloutId> {
  if (isRolloutId(text)) return text;
  if (isChannel(text)) {
    const newest = await newestRollout(desk, text);
    if (newest !== null) return newest;
  }
  const [, channel, prefix] = PREFIX.exec(text) ?? [];
  if (prefix === undefined) throw new Refusal(await unknownRollout(desk, text));
  const named = channel !== undefined && isChannel(channel) ? { channel } : {};
  const items = await everyItem((page) =>
    desk.ask("getRollouts", { query: { ...page, ...named } }),
  );
  const fits = items.filter(({ ref }) => ref.startsWith(prefix));
  const [only, other] = fits;
  if (only === undefined) throw new Refusal(await unknownRollout(desk, text));
  if (other !== undefined) {
    const names = fits.map(({ rolloutId }) => rolloutId).join(", ");
    throw new Refusal(
      `“${text}” begins ${fits.length} rollouts: ${names}. Type more digits of the one that you mean.`,
    );
  }
  return only.rolloutId;
}

async function newestRollout(desk: Desk, channel: Channel): Promise<RolloutId | null> {
  const { items } = await desk.ask("getRollouts", { query: { limit: 1, channel } });
  return items[0]?.rolloutId ?? null;
}

async function unknownRollout(desk: Desk, text: string): Promise<string> {
  const { items } = await desk.ask("getRollouts", { query: { limit: 20 } });
  const expected = `expected a channel, or a rollout such as stable@9f3c2ab with ${REF_DIGITS_MIN} or more digits`;
  if (items.length === 0)
    return `“${text}” is no rollout: there is none yet. Release something first: nixwave release --help`;
  return `“${text}” is no rollout: ${expected}. There ${items.length === 1 ? "is" : "are"} ${namesOf(items)}.`;
}

const namesOf = (items: readonly RolloutSummary[]): string =>
  [...new Set(items.map(({ rolloutId }) => shortRollout(rolloutId)))].slice(0, 8).join(", ");

/** A host's name as typed; that it exists is for the control plane to say. */
export function hostNamed(text: string): HostName {
  if (isHostName(text)) return text;
  throw new Refusal(
    `“${text}” is no host name: expected an RFC 1123 name in lower case, such as web-1.`,
  );
}

export function channelNamed(text: string): Channel {
  if (isChannel(text)) return text;
  throw new Refusal(
    `“${text}” is no channel: expected 1 to 64 of a-z, 0-9, _ and -, such as stable.`,
  );
}
