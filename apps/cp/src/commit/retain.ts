import { retentionExpired } from "@nixwave/effects";
import type { Done, DropArchived, Retain } from "../command.ts";
import type { Draft } from "./draft.ts";

const DONE: Done = { kind: "done", offset: null, rolloutId: null, freezeId: null };

/** What a checkpoint needs was done before any command of the batch was decided (turn.ts). */
export function decideRetain(draft: Draft, { endedBefore }: Retain): Done {
  const { fleet } = draft.memory;
  for (const channel of fleet.channels())
    for (const input of retentionExpired(fleet, channel, endedBefore, draft.now)) {
      draft.input(input);
      draft.log("info", "rollout pruned", [["rollout", input.rolloutId]]);
    }
  return DONE;
}

export function decideDropArchived(draft: Draft, { before }: DropArchived): Done {
  draft.dropBefore(before);
  draft.log("info", "the log begins later: what was before is archived", [
    ["offset", String(before)],
  ]);
  return DONE;
}
