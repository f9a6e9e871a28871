import type {
  Attempt,
  ByKind,
  Channel,
  ClosureHash,
  FreezeId,
  FreezeScope,
  HostName,
  HostReport,
  Instant,
  JournalId,
  Offset,
  Release,
  RolloutId,
  Sha256,
  Who,
} from "@nixwave/effects";
import type {
  Certificate,
  DispatchOffer,
  EnrolmentFacts,
  EnrolmentRequest,
  EnrolmentVerdict,
  EventsAnswer,
  HeartbeatAnswer,
  LogHead,
  ProblemCode,
  Verified,
} from "@nixwave/protocol";

/**
 * Everything that can be submitted to the writer. Whoever submits has authenticated the principal and decoded the body;
 * `host`, `by` and the rights in a command come from the principal, never from a body.
 */
export type Command =
  | AgentEvents
  | Heartbeat
  | TakeDispatch
  | ReleasesSeen
  | ReleaseUnreadable
  | OperatorCommand
  | HostRevocation
  | Retain
  | DropArchived
  | ReserveCertificate
  | CommitCertificate
  | TokenUsed
  | Tick;
export type CommandKind = Command["kind"];
export type CommandOf<K extends CommandKind> = ByKind<Command>[K] & { readonly kind: K };

/** POST /v1/agent/events: the lines as they came (strict UTF-8, without their newlines); each is decoded here. */
export interface AgentEvents {
  readonly kind: "AgentEvents";
  readonly host: HostName;
  readonly journalId: JournalId;
  readonly lines: readonly string[];
}

/** POST /v1/agent/heartbeat. */
export interface Heartbeat {
  readonly kind: "Heartbeat";
  readonly host: HostName;
  readonly journalId: JournalId;
  readonly report: HostReport;
  /** The highest log head that this CP, or one before it, showed to the agent. */
  readonly logHead: LogHead | null;
}

/** GET /v1/agent/dispatch: take what is queued, renew what is held, or learn that there is nothing. Also counts as heard. */
export interface TakeDispatch {
  readonly kind: "TakeDispatch";
  readonly host: HostName;
  readonly journalId: JournalId;
  readonly holding: { readonly rolloutId: RolloutId; readonly attempt: Attempt } | null;
}

/** All channels of one verified snapshot: opened in one batch, gating channels first (hazard 19). */
export interface ReleasesSeen {
  readonly kind: "ReleasesSeen";
  readonly releases: readonly SeenRelease[];
  /** Older releases that the repository still holds are among them, all of them: a replay can begin to end. */
  readonly withHeld: boolean;
}
export interface SeenRelease {
  /** What was verified is stored as read, so that a rebuild needs neither the repository nor its keys. */
  readonly release: Verified<Release>;
  /** Its channel's current.json names it. Others are stored only by a recovery, which opens them as superseded. */
  readonly current: boolean;
}

/** A channel's release is expired, missing or unverifiable: closes the gate `release-unverified`; logged when it changes. */
export interface ReleaseUnreadable {
  readonly kind: "ReleaseUnreadable";
  readonly channel: Channel;
  readonly code: string;
  /** One sentence with the place and what was expected. */
  readonly reason: string;
}

/** The whole set of revoked hosts; it replaces the set before (hazard 90). */
export interface HostRevocation {
  readonly kind: "HostRevocation";
  readonly revoked: readonly HostName[];
}

/** From time to time: rollouts that ended before an instant are pruned, and where it is time for one a checkpoint is taken first. */
export interface Retain {
  readonly kind: "Retain";
  readonly endedBefore: Instant;
  readonly checkpoint: boolean;
}

/** The log before this offset, at which a checkpoint is, lies in an archive and on its disk: it is taken away here. */
export interface DropArchived {
  readonly kind: "DropArchived";
  readonly before: Offset;
}

/** What a certificate is asked by: an enrolment's proof, or the connection that the present certificate opened. */
export type CertificateAsk =
  | { readonly kind: "enrolment"; readonly request: EnrolmentRequest }
  | { readonly kind: "renewal"; readonly host: HostName; readonly csr: string };

/** What the signed files say of the host that asks, at this instant. */
export type SignedFacts = Pick<
  EnrolmentFacts,
  "controlPlane" | "declared" | "enrolmentKeys" | "revocation"
>;

/** First half of an enrolment: judged, its nonce reserved. The certificate is signed after the commit, outside of the writer. */
export interface ReserveCertificate {
  readonly kind: "ReserveCertificate";
  readonly ask: CertificateAsk;
  readonly facts: SignedFacts;
}

/** Second half: judged again, because others were decided meanwhile, and remembered before anybody is given the certificate. */
export interface CommitCertificate {
  readonly kind: "CommitCertificate";
  readonly ask: CertificateAsk;
  readonly facts: SignedFacts;
  readonly certificate: Certificate;
}

/** An operator's token was used; the door says so at most once a minute for each. */
interface TokenUsed {
  readonly kind: "TokenUsed";
  readonly hash: Sha256;
}

/** Nothing but time: the writer submits it to itself. */
interface Tick {
  readonly kind: "Tick";
}

export type OperatorCommand =
  | (Who & {
      readonly kind: "Pause";
      readonly rolloutId: RolloutId;
      readonly until: Instant | null;
    })
  | (Who & { readonly kind: "Resume"; readonly rolloutId: RolloutId })
  | (Who & { readonly kind: "Clear"; readonly rolloutId: RolloutId })
  | (Who & { readonly kind: "Cancel"; readonly rolloutId: RolloutId })
  /** `wave` null takes the wave at the cursor. */
  | (Who & {
      readonly kind: "Advance";
      readonly rolloutId: RolloutId;
      readonly wave: number | null;
    })
  /** In the newest rollout of the host's channel. */
  | (Who & { readonly kind: "Retry"; readonly host: HostName })
  | (Who & { readonly kind: "Freeze"; readonly scope: FreezeScope; readonly until: Instant | null })
  /** `mayLiftOthers`: an admin; anyone else lifts only a freeze of their own. */
  | (Who & {
      readonly kind: "Unfreeze";
      readonly freezeId: FreezeId;
      readonly mayLiftOthers: boolean;
    })
  | (Who & {
      readonly kind: "LiftQuarantine";
      readonly channel: Channel;
      readonly closure: ClosureHash;
    })
  /** Opens the gate `replay` early, on all channels. */
  | (Who & { readonly kind: "ResumeAfterRestore" });

/** Refused with a sentence for people; `code` names the problem document and so the HTTP status. Nothing was changed. */
export interface Refused {
  readonly kind: "refused";
  readonly code: ProblemCode;
  readonly sentence: string;
}

/** Nothing changed, may be repeated: a 503 with Retry-After, or for `internal`, our bug, a 500. */
export interface NotNow {
  readonly kind: "not-now";
  readonly code: "queue-full" | "not-stored" | "stopping" | "internal";
  readonly sentence: string;
  readonly retryAfterSecs: number;
}

/** `old-journal` and `set-back` are `refused` too: the batch consumed nothing. */
export type EventsTaken = { readonly kind: "taken" } & EventsAnswer;
export type Heard = { readonly kind: "heard" } & HeartbeatAnswer;

export type DispatchTaken =
  | { readonly kind: "offer"; readonly offer: DispatchOffer }
  /** Nothing to hand out: park the poll until `dispatchReady(host)`, `askAgainAt` (a lease ends) or its own wait. */
  | { readonly kind: "none"; readonly askAgainAt: Instant | null }
  /** The lease was renewed: park the poll for its wait. */
  | { readonly kind: "held" };

/** `offset` is that of the action's line in the log; an action that changes nothing has none and is still done. */
export interface Done {
  readonly kind: "done";
  readonly offset: Offset | null;
  readonly rolloutId: RolloutId | null;
  readonly freezeId: FreezeId | null;
}

export interface ReleasesTaken {
  readonly kind: "seen";
  readonly opened: readonly RolloutId[];
  /** `older`, `edge-cycle`, …: refused one by one; what ran goes on. */
  readonly refused: readonly {
    readonly rolloutId: RolloutId;
    readonly code: string;
    readonly sentence: string;
  }[];
}

export type Reserved = Extract<EnrolmentVerdict, { kind: "issue" }> | Issued;
/** To be handed out: the one that was asked for, or the one that the same request got before. */
export interface Issued {
  readonly kind: "again";
  readonly certificate: Certificate;
}

/** What a command of each kind is answered, after the commit that holds it. */
export interface Answers {
  readonly AgentEvents: EventsTaken | Refused;
  readonly Heartbeat: Heard | Refused;
  readonly TakeDispatch: DispatchTaken | Refused;
  readonly ReleasesSeen: ReleasesTaken;
  readonly ReleaseUnreadable: Done;
  readonly HostRevocation: Done;
  readonly Retain: Done;
  readonly DropArchived: Done;
  readonly ReserveCertificate: Reserved | Refused;
  readonly CommitCertificate: Issued | Refused;
  readonly TokenUsed: Done;
  readonly Tick: Done;
  readonly Pause: Done | Refused;
  readonly Resume: Done | Refused;
  readonly Clear: Done | Refused;
  readonly Cancel: Done | Refused;
  readonly Advance: Done | Refused;
  readonly Retry: Done | Refused;
  readonly Freeze: Done | Refused;
  readonly Unfreeze: Done | Refused;
  readonly LiftQuarantine: Done | Refused;
  readonly ResumeAfterRestore: Done | Refused;
}
export type AnswerOf<K extends CommandKind> = Answers[K];

/** The one way to change anything. Never rejects: a failure of the disk is a `not-now`. */
export type Submit = <K extends CommandKind>(
  command: CommandOf<K>,
) => Promise<AnswerOf<K> | NotNow>;
