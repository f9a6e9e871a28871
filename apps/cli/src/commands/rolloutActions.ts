import type { Instant } from "@nixwave/effects";
import type { Desk } from "../desk.ts";
import { findRollout, hostNamed } from "../find.ts";
import { Refusal } from "../refusal.ts";
import { sayAnswer } from "../render/answer.ts";
import { heldBy } from "../render/block.ts";
import { shortRollout } from "../render/name.ts";
import { act, type Care } from "./act.ts";

export interface Because {
  readonly reason: string;
}

export interface OfRollout extends Because {
  /** A channel, an id, or the beginning of one. */
  readonly rollout: string;
}

const HOSTS_GO_ON = "Hosts that have acknowledged go on to their end, alone.";

export async function pause(
  desk: Desk,
  { rollout, reason, until }: OfRollout & { readonly until: Instant | null },
  care: Care,
): Promise<void> {
  const rolloutId = await findRollout(desk, rollout);
  const name = shortRollout(rolloutId);
  const now = desk.surroundings.now();
  await act(
    desk,
    {
      route: "pauseRollout",
      request: { params: { rolloutId }, body: { reason, until } },
      doing: `pause ${name}`,
      meaning: `Nothing more of ${name} is dispatched. ${HOSTS_GO_ON}`,
      done: ({ pause: held }) =>
        held === null
          ? `${name} is not paused`
          : `${name} is paused ${heldBy(held, now, desk.style.timeZone)}`,
    },
    care,
  );
}

export async function resume(desk: Desk, asked: OfRollout, care: Care): Promise<void> {
  const rolloutId = await findRollout(desk, asked.rollout);
  const name = shortRollout(rolloutId);
  await act(
    desk,
    {
      route: "resumeRollout",
      request: { params: { rolloutId }, body: { reason: asked.reason } },
      doing: `resume ${name}`,
      meaning: `${name} goes on where it was paused.`,
      done: ({ state }) => `${name} is resumed; it is ${state}`,
    },
    care,
  );
}

export async function clear(desk: Desk, asked: OfRollout, care: Care): Promise<void> {
  const rolloutId = await findRollout(desk, asked.rollout);
  const name = shortRollout(rolloutId);
  await act(
    desk,
    {
      route: "clearRollout",
      request: { params: { rolloutId }, body: { reason: asked.reason } },
      doing: `clear ${name}`,
      meaning: `The failures of ${name} so far are forgiven and it goes on. Quarantines stay: lift them first where the probe was wrong.`,
      done: ({ state }) => `${name} is cleared; it is ${state}`,
    },
    care,
  );
}

export async function cancel(desk: Desk, asked: OfRollout, care: Care): Promise<void> {
  const rolloutId = await findRollout(desk, asked.rollout);
  const name = shortRollout(rolloutId);
  await act(
    desk,
    {
      route: "cancelRollout",
      request: { params: { rolloutId }, body: { reason: asked.reason } },
      doing: `cancel ${name}`,
      meaning: `${name} ends here, and can't be cleared: only a new release follows it. ${HOSTS_GO_ON}`,
      done: ({ state }) => `${name} is cancelled; it is ${state}`,
    },
    care,
  );
}

export async function advance(
  desk: Desk,
  asked: OfRollout & { readonly wave: number | null },
  care: Care,
): Promise<void> {
  const rolloutId = await findRollout(desk, asked.rollout);
  const name = shortRollout(rolloutId);
  const { rollout } = await desk.ask("getRollout", { params: { rolloutId } });
  const wave = asked.wave ?? rollout.cursor;
  if (wave < 1 || wave > rollout.waves) {
    throw new Refusal(
      asked.wave === null
        ? `${name} has no open wave: all ${rollout.waves} are complete. There is nothing to advance.`
        : `${name} has no wave ${wave}: expected 1 to ${rollout.waves}.`,
    );
  }
  await act(
    desk,
    {
      route: "advanceRollout",
      request: { params: { rolloutId }, body: { reason: asked.reason, wave } },
      doing: `take wave ${wave} of ${name} as complete`,
      meaning: `The next wave opens although not every host of wave ${wave} has shown its health.`,
      done: ({ cursor, waves }) =>
        cursor > waves ? `${name} has no wave left` : `${name} is at wave ${cursor} of ${waves}`,
    },
    care,
  );
}

export async function retry(
  desk: Desk,
  asked: Because & { readonly host: string },
  care: Care,
): Promise<void> {
  const host = hostNamed(asked.host);
  await act(
    desk,
    {
      route: "retryHost",
      request: { params: { host }, body: { reason: asked.reason } },
      doing: `give ${host} one more attempt`,
      meaning: `${host} gets one more attempt at its channel's rollout, once no gate holds it.`,
      done: ({ explanation, now }) => {
        const { headline, evidence } = sayAnswer(explanation, now, desk.style.timeZone);
        return [`${host} is owed one more attempt`, headline, ...evidence.slice(0, 1)].join("; ");
      },
    },
    care,
  );
}
