import type { ByKind, Offset, Sha256 } from "@nixwave/effects";
import type { LogHead } from "@nixwave/protocol";
import type {
  Answers,
  Command,
  CommandKind,
  CommandOf,
  Done,
  OperatorCommand,
  Refused,
} from "../command.ts";
import { decideAgentEvents } from "./agentEvents.ts";
import type { Draft } from "./draft.ts";
import { decideHeartbeat, type HeadVerdict } from "./heartbeat.ts";
import { decideOperator } from "./operators.ts";
import { decideHostRevocation, decideReleasesSeen, decideReleaseUnreadable } from "./releases.ts";
import { decideTakeDispatch } from "./takeDispatch.ts";

/** The log heads that this batch's heartbeats reported, as the store knows them. */
export type KnownHeads = ReadonlyMap<Offset, Sha256>;
/** Asked when the batch was planned: what is handed out or reported as opened is known only then. */
type AfterPlan<A> = () => A;

type Decisions = {
  readonly [K in CommandKind]: (
    draft: Draft,
    command: ByKind<Command>[K],
    heads: KnownHeads,
  ) => AfterPlan<Answers[K]>;
};

const known =
  <A>(answer: A): AfterPlan<A> =>
  () =>
    answer;
const operator = (draft: Draft, command: OperatorCommand): AfterPlan<Done | Refused> =>
  known(decideOperator(draft, command));

const DECISIONS: Decisions = {
  AgentEvents: (draft, command) => known(decideAgentEvents(draft, command)),
  Heartbeat: (draft, command, heads) =>
    known(decideHeartbeat(draft, command, verdictOf(command.logHead, heads))),
  TakeDispatch: decideTakeDispatch,
  ReleasesSeen: decideReleasesSeen,
  ReleaseUnreadable: (draft, command) => known(decideReleaseUnreadable(draft, command)),
  HostRevocation: (draft, command) => known(decideHostRevocation(draft, command)),
  Tick: () => known({ kind: "done", offset: null, rolloutId: null, freezeId: null }),
  Pause: operator,
  Resume: operator,
  Clear: operator,
  Cancel: operator,
  Advance: operator,
  Retry: operator,
  Freeze: operator,
  Unfreeze: operator,
  LiftQuarantine: operator,
  ResumeAfterRestore: operator,
};

export const decide = <K extends CommandKind>(
  draft: Draft,
  command: CommandOf<K>,
  heads: KnownHeads,
): AfterPlan<Answers[K]> => DECISIONS[command.kind](draft, command, heads);

const verdictOf = (head: LogHead | null, heads: KnownHeads): HeadVerdict =>
  head === null || heads.get(head.offset) === head.hash ? "ours" : "foreign";

/** The log positions that heartbeats of this batch report: to be looked up before anything is decided. */
export const headsAsked = (commands: readonly Command[]): readonly Offset[] =>
  commands.flatMap((command) =>
    command.kind === "Heartbeat" && command.logHead !== null ? [command.logHead.offset] : [],
  );
