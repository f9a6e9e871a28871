import {
  addSecs,
  type ClosureHash,
  FIRST_ATTEMPT,
  type HostName,
  type Instant,
  type Release,
  type RolloutId,
} from "@nixwave/effects";
import {
  attempt,
  type DispatchOffer,
  type EventsAnswer,
  eventsAnswer,
  type HeartbeatAnswer,
  heartbeatAnswer,
} from "@nixwave/protocol";
import { channelName, closure, ref, rollout, type SeededRandom } from "@nixwave/testkit";

/** What a liar knows when it speaks to one host. */
export interface LieGround {
  readonly host: HostName;
  /** The host's channel's releases, the oldest first. */
  readonly releases: readonly Release[];
  /** Those that nobody signed who may, where a mirror serves some. */
  readonly evils: readonly Release[];
  /** What this host was offered in honesty, and what the others were. */
  readonly offers: readonly DispatchOffer[];
  readonly others: readonly DispatchOffer[];
  readonly random: SeededRandom;
  readonly now: Instant;
}

/** Of one stream in a batch of events. */
export interface SentStream {
  readonly rolloutId: RolloutId;
  readonly lastSeq: number;
}

/** In place of what the honest control plane has said, or would have. Null: there is nothing to lie about. */
export type Lie =
  /** About a dispatch that is handed out. */
  | {
      readonly on: "offer";
      readonly tell: (offer: DispatchOffer, at: LieGround) => DispatchOffer | null;
    }
  /** To a poll, without asking anybody. */
  | { readonly on: "poll"; readonly tell: (at: LieGround) => DispatchOffer | null }
  /** A dispatch is handed out, and the host gets none. */
  | { readonly on: "withheld" }
  /** About a batch of events. `isPassedOn`: the control plane gets it all the same. */
  | {
      readonly on: "events";
      readonly isPassedOn: boolean;
      readonly tell: (sent: readonly SentStream[], at: LieGround) => EventsAnswer;
    }
  | {
      readonly on: "heartbeat";
      readonly tell: (answer: HeartbeatAnswer, at: LieGround) => HeartbeatAnswer | null;
    }
  /** The journal is refused, whatever was asked. */
  | { readonly on: "any"; readonly code: "old-journal" | "set-back" };

const HUGE = 1_000_000;
const LAST = Number.MAX_SAFE_INTEGER;

const randomRef = (random: SeededRandom) => ref(random.hex(20));

const listedIn = (release: Release, host: HostName): ClosureHash | null =>
  release.hosts.find((each) => each.host === host)?.closure ?? null;

/** As the control plane would offer it if it were to be rolled out. */
function offerOf(
  release: Release,
  at: LieGround,
  over: Partial<DispatchOffer> = {},
): DispatchOffer {
  return {
    rolloutId: release.rolloutId,
    channel: release.channel,
    ref: release.ref,
    targetClosure: listedIn(release, at.host) ?? closure("not-listed"),
    attempt: at.offers.at(-1)?.attempt ?? FIRST_ATTEMPT,
    wave: 1,
    dispatchedAt: at.now,
    soakDueAt: at.now,
    leaseSecs: 120,
    timestampVersion: null,
    ...over,
  };
}

/** Every stream is said to be taken so much further than what was sent. */
function answered(sent: readonly SentStream[], further: number): EventsAnswer {
  const streams = sent.map(({ rolloutId, lastSeq }) => [
    rolloutId,
    { ackedThrough: Math.max(0, lastSeq + further), refused: [] },
  ]);
  return eventsAnswer.parse({ streams: Object.fromEntries(streams), badLines: [] });
}

const pickOf = <T>(random: SeededRandom, from: readonly T[]): T | null =>
  from.length === 0 ? null : random.pick(from);

/** By what is lied about; the words are those of a story. */
export const LIES = {
  "another host's closure": {
    on: "offer",
    tell: (offer, { releases, host, random }) => {
      const theirs = releases.flatMap(({ hosts }) => hosts).filter((each) => each.host !== host);
      const found = pickOf(random, theirs);
      return found === null ? null : { ...offer, targetClosure: found.closure };
    },
  },
  "a closure that nobody signed": {
    on: "offer",
    tell: (offer, { random }) => ({
      ...offer,
      targetClosure: closure(`evil-${random.between(1, 9)}`),
    }),
  },
  "an older release": {
    on: "offer",
    tell: (offer, at) => {
      const older = at.releases.filter(({ rolloutId }) => rolloutId !== offer.rolloutId);
      const found = pickOf(at.random, older);
      const { dispatchedAt, soakDueAt } = offer;
      return found === null ? null : offerOf(found, at, { dispatchedAt, soakDueAt });
    },
  },
  "a release that nobody signed": {
    on: "offer",
    tell: (offer, at) => {
      const evil = pickOf(at.random, at.evils);
      if (evil !== null) return offerOf(evil, at);
      const made = randomRef(at.random);
      const targetClosure = closure(`evil-${at.random.between(1, 9)}`);
      return { ...offer, ref: made, rolloutId: rollout(`${offer.channel}@${made}`), targetClosure };
    },
  },
  "another rollout": {
    on: "offer",
    tell: (offer, { random }) => ({
      ...offer,
      rolloutId: rollout(`${offer.channel}@${randomRef(random)}`),
    }),
  },
  "another ref": {
    on: "offer",
    tell: (offer, { random }) => ({ ...offer, ref: randomRef(random) }),
  },
  "another channel": {
    on: "offer",
    tell: (offer) => ({
      ...offer,
      channel: channelName(offer.channel === "stable" ? "edge" : "stable"),
    }),
  },
  "another wave": {
    on: "offer",
    tell: (offer, { random }) => ({ ...offer, wave: random.between(1, 9) }),
  },
  "a soak that is over": {
    on: "offer",
    tell: (offer) => ({ ...offer, soakDueAt: addSecs(offer.dispatchedAt, -3600) }),
  },
  "another time of dispatch": {
    on: "offer",
    tell: (offer, { random }) => ({
      ...offer,
      dispatchedAt: addSecs(offer.dispatchedAt, random.pick([-86_400, -600, 600, 86_400])),
    }),
  },
  "a later attempt": {
    on: "offer",
    tell: (offer, { random }) => ({
      ...offer,
      attempt: attempt.parse(random.chance(0.2) ? LAST : offer.attempt + random.between(1, 3)),
    }),
  },
  "another lease": {
    on: "offer",
    tell: (offer, { random }) => ({ ...offer, leaseSecs: random.pick([0, 1, HUGE]) }),
  },
  nothing: { on: "withheld" },
  "what it was told before": {
    on: "poll",
    tell: ({ offers, random }) => pickOf(random, offers),
  },
  "what another was told": {
    on: "poll",
    tell: ({ others, random }) => pickOf(random, others),
  },
  "a dispatch before its time": {
    on: "poll",
    tell: (at) => {
      const newest = at.releases.at(-1);
      return newest === undefined ? null : offerOf(newest, at);
    },
  },
  "that its events are stored": {
    on: "events",
    isPassedOn: false,
    tell: (sent) => answered(sent, 0),
  },
  "that more is stored than it sent": {
    on: "events",
    isPassedOn: true,
    tell: (sent, { random }) => answered(sent, random.between(1, 50)),
  },
  "that less is stored than it sent": {
    on: "events",
    isPassedOn: true,
    tell: (sent, { random }) => answered(sent, -random.between(1, 5)),
  },
  "another head of the log": {
    on: "heartbeat",
    tell: (answer, { random }) => {
      const { logHead } = answer;
      if (logHead === null) return null;
      const offset = random.chance(0.5) ? logHead.offset : random.between(1, HUGE);
      return heartbeatAnswer.parse({ ...answer, logHead: { offset, hash: random.hex(32) } });
    },
  },
  "that more of it is stored than it wrote": {
    on: "heartbeat",
    tell: (answer, { offers }) => {
      const id = offers.at(-1)?.rolloutId;
      return id === undefined ? null : heartbeatAnswer.parse({ ...answer, ahead: { [id]: HUGE } });
    },
  },
  "that its events are missing": {
    on: "heartbeat",
    tell: (answer, { offers }) => {
      const id = offers.at(-1)?.rolloutId;
      return id === undefined
        ? null
        : heartbeatAnswer.parse({ ...answer, replayFrom: { [id]: 1 } });
    },
  },
  "that its journal is an old one": { on: "any", code: "old-journal" },
  "that its journal was set back": { on: "any", code: "set-back" },
} as const satisfies Readonly<Record<string, Lie>>;

export type LieName = keyof typeof LIES;

/** Which a host must refuse, or drop: they name what was not signed for it. */
export const isRefusable = (told: DispatchOffer, { releases, host }: LieGround): boolean => {
  const named = releases.find(({ rolloutId }) => rolloutId === told.rolloutId);
  return (
    named === undefined ||
    named.ref !== told.ref ||
    named.channel !== told.channel ||
    listedIn(named, host) !== told.targetClosure
  );
};
