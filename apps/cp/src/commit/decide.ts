import type { ByKind, Offset } from "@nixwave/effects";
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
import type { KnownHeads } from "../store/store.ts";
import { decideAgentEvents } from "./agentEvents.ts";
import type { Draft } from "./draft.ts";
import { decideIssued, decideReservation } from "./enrolment.ts";
import { decideHeartbeat, type HeadVerdict } from "./heartbeat.ts";
import { decideOperator } from "./operators.ts";
import { decideHostRevocation, decideReleasesSeen, decideReleaseUnreadable } from "./releases.ts";
import { decideDropArchived, decideRetain } from "./retain.ts";
import { decideTakeDispatch } from "./takeDispatch.ts";

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
  ReserveCertificate: (draft, command) => known(decideReservation(draft, command)),
  CommitCertificate: (draft, command) => known(decideIssued(draft, command)),
  TokenUsed(draft, { hash }) {
    draft.observe({ kind: "TokenUsed", hash, at: draft.now });
    return known({ kind: "done", offset: null, rolloutId: null, freezeId: null });
  },
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
  Retain: (draft, command) => known(decideRetain(draft, command)),
  DropArchived: (draft, command) => known(decideDropArchived(draft, command)),
};

export const decide = <K extends CommandKind>(
  draft: Draft,
  command: CommandOf<K>,
  heads: KnownHeads,
): AfterPlan<Answers[K]> => DECISIONS[command.kind](draft, command, heads);

/** Of a head that is archived nothing can be said, and a host that was away for so long is no reason to hold everybody. */
function verdictOf(head: LogHead | null, heads: KnownHeads): HeadVerdict {
  if (head === null) return "ours";
  const known = heads.get(head.offset);
  return known === "archived" || known === head.hash ? "ours" : "foreign";
}

/** The log positions that heartbeats of this batch report: to be looked up before anything is decided. */
export const headsAsked = (commands: readonly Command[]): readonly Offset[] =>
  commands.flatMap((command) =>
    command.kind === "Heartbeat" && command.logHead !== null ? [command.logHead.offset] : [],
  );
