import { type AnswerOf, type CallOf, encodeAnswer, type RouteName } from "@nixwave/protocol";
import type { Style } from "./render/style.ts";
import type { Surroundings } from "./surroundings.ts";

/** One request to the control plane. A problem or a broken connection is a Refusal with the whole sentence. */
export type Ask = <N extends RouteName>(route: N, request: CallOf<N>) => Promise<AnswerOf<N>>;

/** What a command works with once its global options are read. */
export interface Desk {
  readonly surroundings: Surroundings;
  readonly style: Style;
  readonly json: boolean;
  readonly ask: Ask;
}

/** Lines of data. */
export function print(desk: Desk, lines: readonly string[]): void {
  if (lines.length > 0) desk.surroundings.terminal.data(`${lines.join("\n")}\n`);
}

export function say(desk: Desk, sentence: string): void {
  desk.surroundings.terminal.talk(`${sentence}\n`);
}

/** A route's answer as the wire spells it: RFC 3339 instants, the schema that the OpenAPI document shows. */
export const wire = <N extends RouteName>(route: N, answer: AnswerOf<N>): string =>
  JSON.stringify(encodeAnswer(route, answer));
