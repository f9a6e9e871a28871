/**
 * The contract with scripts; the first that applies. A rollout that moves or waits for time is `fine`.
 * 1 comes before all, because nothing else is known then.
 */
export const EXIT = {
  fine: 0,
  usage: 1,
  halted: 2,
  person: 3,
  timedOut: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What was seen of the rollouts that a command was about. */
export interface Seen {
  /** One of them is Failed or Reverted. */
  readonly halted: boolean;
  /** One of them will not move before a person does something. */
  readonly waitsForPerson: boolean;
  /** `--wait` gave up. */
  readonly timedOut: boolean;
}

export function exitCode(seen: Seen): ExitCode {
  if (seen.halted) return EXIT.halted;
  if (seen.waitsForPerson) return EXIT.person;
  return seen.timedOut ? EXIT.timedOut : EXIT.fine;
}

/** Shown by `nixwave --help`. */
export const EXIT_HELP = `Exit codes, the first that applies:
  1  wrong usage, refused input, or no connection
  2  a rollout is halted: Failed or Reverted
  3  a rollout waits for a person
  4  --wait timed out
  0  otherwise; a rollout in progress is 0`;
