import type { Answers, Command, CommandKind, CommandOf, NotNow } from "../command.ts";
import type { KnownHeads } from "../store/store.ts";
import { decide } from "./decide.ts";
import type { Draft } from "./draft.ts";

/**
 * A command that waits, with whoever waits for its answer. Three steps, because nobody is answered before the commit: decide, then when
 * the batch was planned settle on the answer, then deliver it.
 */
export interface Pending {
  readonly command: Command;
  decide(draft: Draft, heads: KnownHeads): () => () => void;
  refuse(why: NotNow): void;
}

export const pend = <K extends CommandKind>(
  command: CommandOf<K>,
  answer: (given: Answers[K] | NotNow) => void,
): Pending => ({
  command,
  refuse: answer,
  decide(draft, heads) {
    const afterPlan = decide(draft, command, heads);
    return () => {
      const given = afterPlan();
      return () => answer(given);
    };
  },
});
