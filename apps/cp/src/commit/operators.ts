import {
  type FreezeId,
  frozen,
  type HostName,
  type Input,
  invariant,
  isFreezeId,
  operatorAdvanced,
  operatorCancelled,
  operatorCleared,
  operatorPaused,
  operatorResumed,
  operatorRetried,
  quarantineLifted,
  type Result,
  type RolloutId,
  replayEnded,
  unfrozen,
} from "@nixwave/effects";
import type { CommandOf, Done, OperatorCommand, Refused } from "../command.ts";
import type { Draft } from "./draft.ts";
import { endReplay } from "./replay.ts";

/** What an operator asked for, as an input with who and why; or the sentence that says why not. */
export function decideOperator(draft: Draft, command: OperatorCommand): Done | Refused {
  switch (command.kind) {
    case "Freeze":
      return freeze(draft, command);
    case "Unfreeze":
      return unfreeze(draft, command);
    case "ResumeAfterRestore":
      return resumeAfterRestore(draft, command);
    case "Pause":
    case "Resume":
    case "Clear":
    case "Cancel":
    case "Advance":
    case "Retry":
    case "LiftQuarantine":
      return done(draft, made(draft, command), null);
  }
}

type Plain = Exclude<
  OperatorCommand,
  { readonly kind: "Freeze" | "Unfreeze" | "ResumeAfterRestore" }
>;

/** The inputs that need nothing but the fleet: whatever has to be counted or chosen is in them (planning.md). */
function made({ memory: { fleet }, now }: Draft, command: Plain): Result<Input, string> {
  const { by, reason } = command;
  const who = { by, reason };
  switch (command.kind) {
    case "Pause":
      return operatorPaused(fleet, command.rolloutId, { ...who, until: command.until }, now);
    case "Resume":
      return operatorResumed(fleet, command.rolloutId, who, now);
    case "Clear":
      return operatorCleared(fleet, command.rolloutId, who, now);
    case "Cancel":
      return operatorCancelled(fleet, command.rolloutId, who, now);
    case "Advance": {
      const { rolloutId } = command;
      const wave = command.wave ?? fleet.rollout(rolloutId)?.cursor ?? 1;
      return operatorAdvanced(fleet, { rolloutId, wave }, who, now);
    }
    case "Retry":
      return operatorRetried(fleet, command.host, who, now);
    case "LiftQuarantine": {
      const { channel, closure } = command;
      return quarantineLifted(fleet, { channel, closure }, who, now);
    }
  }
}

function freeze(draft: Draft, command: CommandOf<"Freeze">): Done | Refused {
  const { by, reason, until, scope } = command;
  const freezeId = newFreezeId(draft);
  const input = frozen(draft.memory.fleet, { freezeId, scope }, { by, reason, until }, draft.now);
  return done(draft, input, freezeId);
}

/** Only an admin lifts what somebody else has frozen. */
function unfreeze(draft: Draft, command: CommandOf<"Unfreeze">): Done | Refused {
  const { by, reason, freezeId, mayLiftOthers } = command;
  const { fleet } = draft.memory;
  const known = fleet.freezes().find((each) => each.freezeId === freezeId);
  if (known === undefined)
    return refused(
      "not-found",
      `There is no freeze ${freezeId}: nixwave status shows those in force.`,
    );
  if (known.by !== by && !mayLiftOthers)
    return refused(
      "forbidden",
      `The freeze ${freezeId} was made by ${known.by}: ask them or an admin to lift it.`,
    );
  return done(draft, unfrozen(fleet, freezeId, { by, reason }, draft.now), freezeId);
}

function resumeAfterRestore(
  draft: Draft,
  command: CommandOf<"ResumeAfterRestore">,
): Done | Refused {
  const { by, reason } = command;
  const channels = [...draft.memory.replaying.keys()];
  if (channels.length === 0)
    return refused("conflict", "No channel waits for a replay: there is nothing to resume.");
  const answer = done(
    draft,
    replayEnded(draft.memory.fleet, channels, { by, reason }, draft.now),
    null,
  );
  if (answer.kind === "done") endReplay(draft, channels);
  return answer;
}

function done(
  draft: Draft,
  input: Result<Input, string>,
  freezeId: FreezeId | null,
): Done | Refused {
  if (!input.ok) return refused("conflict", input.error);
  const offset = draft.input(input.value);
  const named: { readonly rolloutId: RolloutId | null; readonly host: HostName | null } = {
    rolloutId: "rolloutId" in input.value ? input.value.rolloutId : null,
    host: "host" in input.value ? input.value.host : null,
  };
  draft.log("info", `operator: ${input.value.kind}`, [
    ["by", "by" in input.value ? input.value.by : ""],
    ["reason", "reason" in input.value ? input.value.reason : ""],
    ["rollout", named.rolloutId ?? ""],
    ["host", named.host ?? ""],
  ]);
  return { kind: "done", offset, rolloutId: named.rolloutId, freezeId };
}

const refused = (code: Refused["code"], sentence: string): Refused => ({
  kind: "refused",
  code,
  sentence,
});

const FREEZE_ID_BYTES = 8;

function newFreezeId({ random }: Draft): FreezeId {
  const id = Buffer.from(random.bytes(FREEZE_ID_BYTES)).toString("hex");
  invariant(isFreezeId(id), "a freeze id is 16 hex digits");
  return id;
}
