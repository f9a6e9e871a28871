import type { ClosureHash, RolloutId } from "@nixwave/effects";

/** Digits of a ref that a screen shows and that a person may type. */
export const REF_DIGITS_MIN = 7;
const REF_DIGITS = 40;

/** `stable@9f3c2ab`: the id with its ref cut to seven digits. Cut for display only; an id is never taken apart. */
export const shortRollout = (rolloutId: RolloutId): string =>
  rolloutId.slice(0, rolloutId.length - (REF_DIGITS - REF_DIGITS_MIN));

const HASH_DIGITS = 32;
const HASH_DIGITS_SHOWN = 5;

/** `5kxq1…-cam-os`: enough of a closure to recognise it. `quarantine lift` takes it in this form too. */
export const shortClosure = (closure: ClosureHash): string =>
  `${closure.slice(0, HASH_DIGITS_SHOWN)}…${closure.slice(HASH_DIGITS)}`;

/** `web-1, web-2 and 37 more`: never a line that grows with the fleet. */
export function listed(names: readonly string[], shown = 4): string {
  if (names.length <= shown) return names.join(", ");
  return `${names.slice(0, shown).join(", ")} and ${names.length - shown} more`;
}

/** `1 host`, `4 hosts`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : "s"}`;
