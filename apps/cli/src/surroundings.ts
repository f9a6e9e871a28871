import type { Instant } from "@nixwave/effects";

/** Where a command's words go. Data is what a script reads; talk is for the person at the keyboard. */
interface Terminal {
  data(text: string): void;
  talk(text: string): void;
  /** One line from the person. Called only where `interactive`. */
  ask(question: string): Promise<string>;
  /** A secret from the person: what is typed is not shown. Called only where `interactive`. */
  askSecret(question: string): Promise<string>;
  /** A person can answer: stdin and stderr are a terminal. */
  readonly interactive: boolean;
  /** stdout is a terminal that can be redrawn. */
  readonly screen: boolean;
  columns(): number;
  rows(): number;
}

/** Everything outside the program that a command touches, so that a test can stand in for it. Files are real everywhere. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly timeZone: string;
  now(): Instant;
  /** Comes back after so many seconds, or at once when `stop` is aborted. */
  wait(secs: number): Promise<void>;
  /** Aborted by Ctrl-C: a watch ends well. */
  readonly stop: AbortSignal;
}
