/** What a word or cell means, never its colour: the colour is chosen here and a glyph always stands beside it. */
export type Tone = "good" | "busy" | "waiting" | "bad" | "quiet" | "strong";

/** How a screen may look: the width in columns, whether colour is wanted, and whose wall clock it shows. */
export interface Style {
  readonly colour: boolean;
  readonly columns: number;
  readonly timeZone: string;
}

const SGR = {
  good: "32",
  busy: "36",
  waiting: "33",
  bad: "1;31",
  quiet: "2",
  strong: "1",
} as const satisfies Record<Tone, string>;

export const paint = (style: Style, tone: Tone, text: string): string =>
  style.colour && text !== "" ? `\u001B[${SGR[tone]}m${text}\u001B[0m` : text;

const ESCAPES = /\p{Cc}\[[0-9;]*m/gu;

/** Columns that a text takes: escapes take none, everything that our screens use takes one. */
export const widthOf = (text: string): number => Array.from(text.replace(ESCAPES, "")).length;

export const padEnd = (text: string, columns: number): string =>
  text + " ".repeat(Math.max(0, columns - widthOf(text)));
export const padStart = (text: string, columns: number): string =>
  " ".repeat(Math.max(0, columns - widthOf(text))) + text;

/** What came from outside must not move the cursor or set a colour: control characters are shown as a dot. */
export const harmless = (text: string): string => text.replace(/\p{Cc}+/gu, "·");
