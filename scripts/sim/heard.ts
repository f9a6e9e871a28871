import type { Batch } from "@nixwave/cp";
import type { HostMarks, HostName, Instant, Policy } from "@nixwave/effects";

/** People set the control plane's clock back by some seconds, and a start counts from a moment before it is told. */
const TOLERANCE_MS = 20_000;
/** Design, gate `duplicate-host`: more journals than this within an hour are two machines. */
const JOURNALS_MAX = 3;
const HOUR_MS = 3_600_000;

/** When each host was heard, by the control plane's clock, as the network knows it and not the control plane. */
export class Heard {
  readonly #at = new Map<HostName, Instant>();
  #journals = new Map<HostName, readonly Instant[]>();
  #readyAt: Instant | null = null;

  /** The control plane has answered what was asked then. */
  answered(host: HostName, askedAt: Instant): void {
    const before = this.#at.get(host);
    if (before === undefined || before < askedAt) this.#at.set(host, askedAt);
  }

  ready(now: Instant): void {
    this.#readyAt = now;
  }

  /** Which journals were begun stands in the database. */
  databaseReplaced(): void {
    this.#journals = new Map();
  }

  committed({ observations }: Batch): void {
    for (const each of observations)
      if (each.kind === "JournalBegan")
        this.#journals.set(each.host, [...(this.#journals.get(each.host) ?? []), each.at]);
  }

  /** I7: nothing is dispatched to a name for which two machines answer. */
  isDuplicate(host: HostName, now: Instant): boolean {
    const journals = this.#journals.get(host) ?? [];
    return journals.filter((at) => now < at + HOUR_MS).length > JOURNALS_MAX;
  }

  /** I8: nobody is lost, nor passed over as offline, before the silence that was signed for it; null, or a sentence. */
  tooSoon(
    { host, lostAt, skippedAt }: HostMarks,
    before: HostMarks,
    { lostSecs, offlineGraceSecs }: Policy,
  ): string | null {
    if (lostAt !== null && lostAt !== before.lostAt)
      return this.#early(host, lostAt, lostSecs, "lost");
    if (skippedAt !== null && skippedAt !== before.skippedAt)
      return this.#early(host, skippedAt, offlineGraceSecs, "passed over");
    return null;
  }

  #early(host: HostName, at: Instant, secs: number, what: string): string | null {
    const from = Math.max(this.#at.get(host) ?? 0, this.#readyAt ?? 0);
    const silentMs = at - from;
    return silentMs + TOLERANCE_MS < secs * 1000
      ? `${host} is ${what} after ${silentMs / 1000} s of silence of ${secs} s`
      : null;
  }
}
