import type { WorldResult } from "./world.ts";

/** What many worlds came to, for the one line at the end. */
export interface Tally {
  worlds: number;
  failed: readonly FailedWorld[];
  virtualMs: number;
  fired: number;
  eventsApplied: number;
  crashes: number;
  checkpoints: number;
  archived: number;
  pruned: number;
  /** Of worlds that are signed. */
  signed: number;
  lies: number;
  refusals: number;
}

export interface FailedWorld {
  readonly seed: number;
  readonly invariant: string;
  readonly detail: string;
  /** It took its process along, as it would take whoever shrinks it. */
  readonly isLost: boolean;
}

export const emptyTally = (): Tally => ({
  worlds: 0,
  failed: [],
  virtualMs: 0,
  fired: 0,
  eventsApplied: 0,
  crashes: 0,
  checkpoints: 0,
  archived: 0,
  pruned: 0,
  signed: 0,
  lies: 0,
  refusals: 0,
});

export function count(tally: Tally, result: WorldResult): void {
  const { seed, failure, virtualMs, fired, eventsApplied, crashes, retained, lied } = result;
  tally.worlds += 1;
  tally.virtualMs += virtualMs;
  tally.fired += fired;
  tally.eventsApplied += eventsApplied;
  tally.crashes += crashes;
  tally.checkpoints += retained.checkpoints;
  tally.archived += retained.archived;
  tally.pruned += retained.pruned;
  if (lied !== null) {
    tally.signed += 1;
    tally.lies += lied.told;
    tally.refusals += lied.refused;
  }
  if (failure !== null) tally.failed = [...tally.failed, { seed, ...failure, isLost: false }];
}

/** A world whose process is gone: that it failed is all that is known. */
export const lost = (seed: number, detail: string): Tally => ({
  ...emptyTally(),
  worlds: 1,
  failed: [{ seed, invariant: "no-bug", detail, isLost: true }],
});

export function add(tally: Tally, other: Tally): void {
  tally.worlds += other.worlds;
  tally.virtualMs += other.virtualMs;
  tally.fired += other.fired;
  tally.eventsApplied += other.eventsApplied;
  tally.crashes += other.crashes;
  tally.checkpoints += other.checkpoints;
  tally.archived += other.archived;
  tally.pruned += other.pruned;
  tally.signed += other.signed;
  tally.lies += other.lies;
  tally.refusals += other.refusals;
  tally.failed = [...tally.failed, ...other.failed];
}

const HOUR_MS = 3_600_000;

export function sayTally(tally: Tally, seconds: number): string {
  const n = (value: number): string => Math.round(value).toLocaleString("en");
  const hours = tally.virtualMs / HOUR_MS;
  const days = hours < 48 ? `${hours.toFixed(1)} hours` : `${n(hours / 24)} days`;
  return [
    `${n(tally.worlds)} worlds in ${n(seconds)} s, ${(tally.worlds / seconds).toFixed(1)} a second`,
    `${days} of virtual time in ${n(tally.fired)} steps`,
    `${n(tally.eventsApplied)} agents' events applied, ${n(tally.crashes)} crashes survived`,
    `${n(tally.checkpoints)} checkpoints, the log's beginning archived ${n(tally.archived)} times, ${n(tally.pruned)} rollouts pruned`,
    `${n(tally.signed)} worlds signed, with ${n(tally.lies)} lies told and ${n(tally.refusals)} dispatches refused`,
    tally.failed.length === 0 ? "every invariant held" : `${n(tally.failed.length)} FAILED`,
  ].join("; ");
}
