import { addSecs, type Channel, type ChannelRef } from "@nixwave/effects";
import type { ReleaseSource, SourceProblem } from "@nixwave/protocol";
import type { SeenRelease, Submit } from "../command.ts";
import type { Clock, Logger, Timer } from "../ports.ts";

export interface ReleasePorts {
  readonly source: ReleaseSource;
  /** Changes whenever a channel's current.json does, or the set of channels; cheap to ask. */
  readonly fingerprint: () => Promise<string>;
  readonly submit: Submit;
  /** Channels that have a release already: one whose folder goes away has become unreadable, not unknown. */
  readonly known: () => readonly Channel[];
  /**
   * The log was lost or set back: the agents' replay names rollouts whose releases it may never have seen, or no longer knows. What
   * the repository still holds of them is taken too, once for each replay.
   */
  readonly wantsHeld: () => boolean;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly log: Logger;
}

/** A release is a person's act: a second more or less is not noticed, and one `stat` per channel costs nothing. */
const LOOK_SECS = 1;
/** What was unreadable may become readable without current.json changing, a bucket that arrives late for one. */
const LOOK_AGAIN_SECS = 30;

/** Watches the repository of releases: reads it when it changed, and submits what verifies and what does not. */
export class ReleaseWatch {
  readonly #ports: ReleasePorts;
  readonly #submitted = new Map<Channel, ChannelRef>();
  readonly #unreadable = new Map<Channel, string>();
  #seen: string | null = null;
  #lookAgainAt = 0;
  #problem: string | null = "The releases were not read yet: wait a moment.";
  #looking: Promise<void> | null = null;
  #following: Promise<void> | null = null;
  #cancel: () => void = () => {};
  #stopped = false;

  constructor(ports: ReleasePorts) {
    this.#ports = ports;
  }

  /** Why no release was verified yet, as a sentence with what to do; null from the first verified look on. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The first look, then one every few seconds. Resolves after the first. */
  async start(): Promise<void> {
    await this.look();
    this.#arm();
  }

  /** On demand. A look that runs may have read before the change that this one is about, so one more follows it. */
  look(): Promise<void> {
    if (this.#looking === null) {
      this.#looking = this.#look().finally(() => {
        this.#looking = null;
      });
      return this.#looking;
    }
    this.#following ??= this.#looking.then(() => {
      this.#following = null;
      return this.look();
    });
    return this.#following;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await (this.#following ?? this.#looking);
  }

  #arm(): void {
    if (this.#stopped) return;
    const { clock, timer } = this.#ports;
    this.#cancel = timer.at(addSecs(clock.now(), LOOK_SECS), () => {
      void this.look().then(() => this.#arm());
    });
  }

  async #look(): Promise<void> {
    const { clock, fingerprint } = this.#ports;
    const now = clock.now();
    let print: string;
    try {
      print = await fingerprint();
    } catch (cause) {
      this.#complain(`The repository can't be read (${String(cause)}): mend it.`);
      return;
    }
    const takeHeld = this.#ports.wantsHeld();
    // A repository that could not be read whole has its own next look; one that could is read again at once.
    const isNews =
      print !== this.#seen || (takeHeld && this.#lookAgainAt === Number.POSITIVE_INFINITY);
    if (!isNews && now < this.#lookAgainAt) return;
    const clean = await this.#read(takeHeld);
    // A commit that failed is tried again at the next look.
    this.#seen = clean === "not-stored" ? null : print;
    this.#lookAgainAt =
      clean === "clean" ? Number.POSITIVE_INFINITY : addSecs(now, LOOK_AGAIN_SECS);
  }

  #complain(sentence: string): void {
    if (this.#problem === sentence) return;
    // Once something was verified, what went on goes on; only the log says it.
    if (this.#problem !== null) this.#problem = sentence;
    this.#ports.log.log("warn", sentence, {});
  }

  async #read(takeHeld: boolean): Promise<"clean" | "unreadable" | "not-stored"> {
    const { source, submit, log } = this.#ports;
    const channels = await source.channels();
    if (!channels.ok) {
      this.#complain(`${channels.error.reason}. Mend the repository.`);
      for (const channel of this.#ports.known()) await this.#refuse(channel, channels.error);
      return "unreadable";
    }
    const seen: SeenRelease[] = [];
    let result: "clean" | "unreadable" = "clean";
    for (const channel of new Set([...channels.value, ...this.#ports.known()])) {
      const release = await this.#readChannel(channel, takeHeld);
      if (release === null) result = "unreadable";
      else seen.push(...release);
    }
    const withHeld = takeHeld && result === "clean";
    if (seen.length > 0 || withHeld) {
      const answer = await submit<"ReleasesSeen">({
        kind: "ReleasesSeen",
        releases: seen,
        withHeld,
      });
      if (answer.kind === "not-now") return "not-stored";
      for (const { sentence } of answer.refused) log.log("warn", sentence, {});
      for (const { release, current } of seen) {
        if (current) this.#submitted.set(release.value.channel, release.value.ref);
      }
    }
    if (this.#submitted.size > 0 || result === "clean") this.#problem = null;
    return result;
  }

  /** Null where the channel can't be used; then that was submitted. Empty where nothing changed. */
  async #readChannel(channel: Channel, takeHeld: boolean): Promise<readonly SeenRelease[] | null> {
    const { source } = this.#ports;
    const current = await source.current(channel);
    if (!current.ok) {
      await this.#refuse(channel, current.error);
      return null;
    }
    this.#unreadable.delete(channel);
    const { ref } = current.value.value;
    const older = takeHeld ? await source.held(channel) : null;
    const held = older?.ok === true ? older.value.filter(({ value }) => value.ref !== ref) : [];
    const seen: SeenRelease[] = held.map((release) => ({ release, current: false }));
    if (this.#submitted.get(channel) !== ref) seen.push({ release: current.value, current: true });
    return seen;
  }

  /** Starts nothing new on a channel, and leaves alone what was acknowledged. */
  async #refuse(channel: Channel, { code, reason }: SourceProblem): Promise<void> {
    const { submit, log } = this.#ports;
    if (this.#unreadable.get(channel) !== reason) log.log("warn", reason, { channel, code });
    this.#unreadable.set(channel, reason);
    this.#submitted.delete(channel);
    await submit<"ReleaseUnreadable">({
      kind: "ReleaseUnreadable",
      channel,
      code,
      // The gate shows only this sentence: the attack is named in it.
      reason: `${reason} (${code})`,
    });
  }
}
