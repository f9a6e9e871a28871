import {
  type Attempt,
  type BootId,
  type ClosureHash,
  type Envelope,
  type HostName,
  type HostRollout,
  type Instant,
  isSettled,
  type JournalId,
  type RolloutId,
  type UnitPurpose,
} from "@nixwave/effects";
import { bootId, journal, START } from "../build.ts";
import { OLD } from "./setting.ts";

/** The detached unit that was fired last, if it has left a trace. */
export interface Unit {
  readonly rolloutId: RolloutId;
  readonly journalId: JournalId;
  readonly attempt: Attempt;
  readonly purpose: UnitPurpose;
  readonly tryNo: number;
  readonly closure: ClosureHash;
  readonly end:
    | { readonly kind: "running" }
    | { readonly kind: "exited"; readonly code: number }
    | { readonly kind: "killed" }
    /** A new boot took its memory. */
    | { readonly kind: "unknown" };
}

export interface Machine {
  readonly running: ClosureHash;
  readonly profile: ClosureHash;
  readonly boot: ClosureHash;
  readonly unit: Unit | null;
  readonly bootNo: number;
}

/** An event on its way, and the author's record right after it: what the mirror has to equal (I4). */
interface Outgoing {
  readonly envelope: Envelope;
  readonly after: HostRollout;
}

/** A dispatch that the agent holds and has not answered; gone with its lease. */
export interface Offer {
  readonly rolloutId: RolloutId;
  readonly nth: number;
  readonly attempt: Attempt;
  readonly targetClosure: ClosureHash;
  readonly dispatchedAt: Instant;
  readonly soakDueAt: Instant;
}

/**
 * One host: its agent's journal, what its agent remembers, its machine, what is on the wire, and the CP's mirror, whose
 * instants are this host's. `now` is this host's clock; no two hosts' clocks are ever compared.
 */
export interface Host {
  readonly host: HostName;
  readonly isAlive: boolean;
  readonly now: Instant;
  // The journal.
  readonly journalNo: number;
  readonly records: readonly HostRollout[];
  readonly outbox: readonly Outgoing[];
  readonly knownGood: readonly ClosureHash[];
  readonly newestNth: number;
  // The agent's memory.
  readonly offer: Offer | null;
  readonly work: "none" | UnitPurpose;
  readonly isProbing: boolean;
  readonly startedAt: Instant;
  // The world around it.
  readonly machine: Machine;
  readonly copy: readonly Envelope[] | null;
  readonly mirror: readonly HostRollout[];
  /** What has truly shown its health here, or was there before us. */
  readonly proven: readonly ClosureHash[];
}

export const newHost = (host: HostName): Host => ({
  host,
  isAlive: true,
  now: START,
  journalNo: 0,
  records: [],
  outbox: [],
  knownGood: [],
  newestNth: -1,
  offer: null,
  work: "none",
  isProbing: false,
  startedAt: START,
  machine: { running: OLD, profile: OLD, boot: OLD, unit: null, bootNo: 0 },
  copy: null,
  mirror: [],
  proven: [OLD],
});

export const journalOf = ({ journalNo }: Pick<Host, "journalNo">): JournalId =>
  journal("abcdef"[journalNo] ?? "0");
export const bootOf = ({ bootNo }: Machine): BootId => bootId(`boot-${bootNo}`);

/** The record that was acknowledged last. */
export const currentOf = ({ records }: Host): HostRollout | null =>
  records.findLast(({ kind }) => kind !== "Pending") ?? null;

export const unsettledOf = (records: readonly HostRollout[]): readonly HostRollout[] =>
  records.filter((record) => record.kind !== "Pending" && !isSettled(record));

export const put = (
  records: readonly HostRollout[],
  record: HostRollout,
): readonly HostRollout[] =>
  records.some(({ rolloutId }) => rolloutId === record.rolloutId)
    ? records.map((each) => (each.rolloutId === record.rolloutId ? record : each))
    : [...records, record];
