import type { Brand } from "./ids.ts";
import { InvariantViolated } from "./invariant.ts";

/** Integer milliseconds since the epoch. On the wire and in files it is RFC 3339 UTC; the one codec is in packages/protocol. */
export type Instant = Brand<number, "Instant">;

export const isInstant = (value: number): value is Instant =>
  Number.isSafeInteger(value) && value >= 0;

/** Stamps a number that a clock port gave; anything but a whole, positive millisecond is our bug. */
export function instant(ms: number): Instant {
  if (isInstant(ms)) return ms;
  // Said only where it is broken: a number of thirteen digits costs more to print than everything around it.
  throw new InvariantViolated(
    `an instant is a whole number of milliseconds since the epoch, not ${ms}`,
  );
}

export const addSecs = (at: Instant, secs: number): Instant => instant(at + secs * 1000);
export const secsBetween = (from: Instant, to: Instant): number => (to - from) / 1000;
export const later = (a: Instant, b: Instant): Instant => (a >= b ? a : b);
/** The earliest of some instants, or null for none. */
export const earliest = (instants: readonly Instant[]): Instant | null =>
  instants.reduce<Instant | null>((least, at) => (least === null || at < least ? at : least), null);
