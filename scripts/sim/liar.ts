import type { HttpAnswer, HttpRequest } from "@nixwave/agent";
import type { Channel, HostName, Instant } from "@nixwave/effects";
import {
  type DispatchOffer,
  decodeLine,
  dispatchOffer,
  encodeAnswer,
  eventsAnswer,
  heartbeatAnswer,
  problem,
} from "@nixwave/protocol";
import type { SeededRandom, SimTime } from "@nixwave/testkit";
import {
  isRefusable,
  LIES,
  type Lie,
  type LieGround,
  type LieName,
  type SentStream,
} from "./lies.ts";
import { json, MIRROR, NOTHING, notFound, refusal } from "./routes.ts";
import type { Fault } from "./scenario.ts";
import type { SignedRepository } from "./signedRepository.ts";

export type LieFault = Extract<Fault, { readonly kind: "lies" }>;

export interface LiarParts {
  readonly repository: SignedRepository;
  readonly random: SeededRandom;
  readonly time: SimTime;
  /** By the control plane's clock. */
  readonly now: () => Instant;
  readonly say: (what: string) => void;
}

/** Who asks, and what the control plane itself would answer. */
export interface Asked {
  readonly host: HostName;
  readonly channel: Channel;
  readonly request: HttpRequest;
  readonly honest: () => Promise<HttpAnswer>;
}

type On<K extends Lie["on"]> = Extract<Lie, { readonly on: K }>;

const OFFERS_KEPT = 8;
const utf8 = new TextDecoder();

/**
 * What stands between the agents' HTTP ports and the honest control plane. Both sides speak to it and neither knows: so what it does
 * is what a control plane could do that somebody else has taken over, and what comes of it must be right again when it is gone.
 */
export class Liar {
  /** Lies that were told, by their names. */
  readonly told = new Map<LieName, number>();
  readonly #parts: LiarParts;
  readonly #active = new Set<LieFault>();
  readonly #offers = new Map<HostName, readonly DispatchOffer[]>();
  readonly #lies = new WeakSet<HttpAnswer>();

  constructor(parts: LiarParts) {
    this.#parts = parts;
  }

  begin(fault: LieFault): void {
    this.#active.add(fault);
  }

  end(fault: LieFault): boolean {
    return this.#active.delete(fault);
  }

  endAll(): void {
    this.#active.clear();
  }

  /** The control plane never gave it. */
  isLie(answer: HttpAnswer): boolean {
    return this.#lies.has(answer);
  }

  async between(asked: Asked): Promise<HttpAnswer> {
    const { url } = asked.request;
    const [path = ""] = url.slice(url.indexOf("/v1/")).split("?");
    if (path.startsWith(MIRROR)) return await this.#file(asked, path.slice(MIRROR.length));
    const refused = this.#draw(asked, "any");
    if (refused !== null) {
      this.#tell(asked, refused.name);
      const { code } = refused.lie;
      return this.#lie(refusal(problem(code, `${asked.host} is told so`)));
    }
    if (path === "/v1/agent/dispatch") return await this.#poll(asked);
    if (path === "/v1/agent/events") return await this.#events(asked);
    if (path === "/v1/agent/heartbeat") return await this.#heartbeat(asked);
    return await asked.honest();
  }

  async #file({ host, honest }: Asked, path: string): Promise<HttpAnswer> {
    const attack = this.#parts.repository.attackOn(host);
    if (attack === null) return await honest();
    const body = attack.read(path);
    return body === null ? notFound(path) : { status: 200, headers: {}, body };
  }

  async #poll(asked: Asked): Promise<HttpAnswer> {
    const made = this.#draw(asked, "poll");
    const invented = made?.lie.tell(this.#ground(asked)) ?? null;
    if (made !== null && invented !== null) return this.#offered(asked, made.name, invented);
    const sentAtMs = this.#parts.time.nowMs;
    const answer = await asked.honest();
    if (answer.status !== 200) return answer;
    const offer = dispatchOffer.parse(JSON.parse(utf8.decode(answer.body)));
    this.#keep(asked.host, offer);
    const withheld = this.#draw(asked, "withheld");
    if (withheld !== null) {
      this.#tell(asked, withheld.name);
      await this.#untilItsEnd(asked.request, sentAtMs);
      return this.#lie({ ...NOTHING });
    }
    const drawn = this.#draw(asked, "offer");
    const instead = drawn?.lie.tell(offer, this.#ground(asked)) ?? null;
    return drawn === null || instead === null ? answer : this.#offered(asked, drawn.name, instead);
  }

  #offered(asked: Asked, name: LieName, offer: DispatchOffer): HttpAnswer {
    const isRefused = isRefusable(offer, this.#ground(asked));
    const { rolloutId, attempt, targetClosure } = offer;
    const what = `${rolloutId.slice(0, 14)}, attempt ${attempt}, ${targetClosure.slice(33)}`;
    this.#tell(asked, name, `: ${what}${isRefused ? "" : "; nothing that it must refuse"}`);
    return this.#lie(json(encodeAnswer("getDispatch", offer)));
  }

  async #events(asked: Asked): Promise<HttpAnswer> {
    const drawn = this.#draw(asked, "events");
    if (drawn === null) return await asked.honest();
    const { name, lie } = drawn;
    const sent = streamsIn(String(asked.request.body));
    if (lie.isPassedOn) {
      const answer = await asked.honest();
      if (answer.status !== 200) return answer;
    }
    this.#tell(asked, name, `: ${sent.map(({ lastSeq }) => lastSeq).join(", ")}`);
    const answer = eventsAnswer.parse(lie.tell(sent, this.#ground(asked)));
    return this.#lie(json(encodeAnswer("postEvents", answer)));
  }

  async #heartbeat(asked: Asked): Promise<HttpAnswer> {
    const answer = await asked.honest();
    const drawn = answer.status === 200 ? this.#draw(asked, "heartbeat") : null;
    if (drawn === null) return answer;
    const honest = heartbeatAnswer.parse(JSON.parse(utf8.decode(answer.body)));
    const instead = drawn.lie.tell(honest, this.#ground(asked));
    if (instead === null) return answer;
    this.#tell(asked, drawn.name);
    return this.#lie(json(encodeAnswer("postHeartbeat", instead)));
  }

  /** The lie that this host is told now, if any is drawn. */
  #draw<K extends Lie["on"]>(
    { host }: Asked,
    on: K,
  ): { readonly name: LieName; readonly lie: On<K> } | null {
    for (const { lie: name, hosts, share } of this.#active) {
      const lie: Lie = LIES[name];
      if (!isOn(lie, on) || !hosts.some((each) => each === host)) continue;
      if (this.#parts.random.chance(share)) return { name, lie };
    }
    return null;
  }

  #ground({ host, channel }: Asked): LieGround {
    const { repository, random, now } = this.#parts;
    return {
      host,
      releases: [...repository.releases.values()].filter((each) => each.channel === channel),
      evils: repository.evils,
      offers: this.#offers.get(host) ?? [],
      others: [...this.#offers].flatMap(([of, offers]) => (of === host ? [] : offers)),
      random,
      now: now(),
    };
  }

  #keep(host: HostName, offer: DispatchOffer): void {
    const kept = this.#offers.get(host) ?? [];
    this.#offers.set(host, [...kept, offer].slice(-OFFERS_KEPT));
  }

  #tell({ host }: Asked, name: LieName, more = ""): void {
    this.told.set(name, (this.told.get(name) ?? 0) + 1);
    this.#parts.say(`tells ${host} ${name}${more}`);
  }

  #lie(answer: HttpAnswer): HttpAnswer {
    this.#lies.add(answer);
    return answer;
  }

  /** As long as the poll would have waited for nothing. */
  #untilItsEnd({ url }: HttpRequest, sentAtMs: number): Promise<void> {
    const { time } = this.#parts;
    const waitMs = Number(new URL(url).searchParams.get("wait") ?? 0) * 1000;
    return new Promise((resolve) => {
      time.after(sentAtMs + waitMs - time.nowMs, resolve);
    });
  }
}

const isOn = <K extends Lie["on"]>(lie: Lie, on: K): lie is On<K> => lie.on === on;

/** What a batch of events has of each stream. */
function streamsIn(body: string): readonly SentStream[] {
  const last = new Map<SentStream["rolloutId"], number>();
  for (const text of body.split("\n").filter((line) => line !== "")) {
    const line = decodeLine(text);
    if (line.ok) last.set(line.value.rolloutId, line.value.seq);
  }
  return [...last].map(([rolloutId, lastSeq]) => ({ rolloutId, lastSeq }));
}
