import { type Handlers, interpret, type OutboundAgentEvent } from "@nixwave/effects";
import { decodeLine, type LogLine } from "@nixwave/protocol";
import { counted, shortRollout } from "../render/name.ts";
import { harmless, type Tone } from "../render/style.ts";
import { type Listener, narrate } from "./effect.ts";
import { EVENT_WORDS } from "./event.ts";
import { INPUT_WORDS } from "./input.ts";

/** One line of the log for a person. Host and rollout stand in columns of their own, null where a line has none. */
export interface Told {
  readonly host: string | null;
  readonly rollout: string | null;
  readonly words: string;
  readonly tone: Tone | null;
}

const EVENT_TONES = {
  DispatchAck: null,
  DispatchReject: "waiting",
  ActivationStarted: null,
  ActivationCompleted: null,
  ActivationDeferred: "waiting",
  ActivationFailed: "bad",
  ProbeTopologyDeclared: null,
  ProbeObservedFirst: null,
  ProbeResult: null,
  ProbeFailureFirst: "bad",
  Failed: "bad",
  RollbackStarted: "bad",
  RollbackComplete: "bad",
  RollbackFailed: "bad",
  Converged: "good",
} as const satisfies Record<OutboundAgentEvent["kind"], Tone | null>;

const LINE_WORDS: Handlers<LogLine, Listener, Told> = {
  AgentEvent: ({ host, rolloutId, seq, line }) => {
    const read = decodeLine(line);
    const of = { host, rollout: shortRollout(rolloutId) };
    // A later version's kind is shown as what it is, not guessed at.
    if (!read.ok) {
      return { ...of, words: `#${seq} a line that this version can't read`, tone: "waiting" };
    }
    const { event } = read.value;
    const words = `#${seq} ${event.kind}: ${interpret(EVENT_WORDS, event, null)}`;
    return { ...of, words, tone: EVENT_TONES[event.kind] };
  },
  EventRefused: ({ host, rolloutId, seq, code }) => ({
    host,
    rollout: shortRollout(rolloutId),
    words: `#${seq} refused: ${code}`,
    tone: "waiting",
  }),
  RolloutInput: ({ input }) => ({
    host: "host" in input ? input.host : null,
    rollout: shortRollout(input.rolloutId),
    words: interpret(INPUT_WORDS, input, null),
    tone: null,
  }),
  FleetInput: ({ input }) => ({
    host: "host" in input ? input.host : null,
    rollout: "rolloutId" in input ? shortRollout(input.rolloutId) : null,
    words: interpret(INPUT_WORDS, input, null),
    tone: input.kind === "HostLost" ? "bad" : null,
  }),
  DispatchChanged: ({ dispatch }, listener) => ({
    host: dispatch.host,
    rollout: shortRollout(dispatch.rolloutId),
    words:
      dispatch.state === "queued"
        ? narrate({ ...dispatch, kind: "RemoteQueueDispatch" }, listener)
        : `dispatch, attempt ${dispatch.attempt}: ${dispatch.state}`,
    tone: null,
  }),
  ReleaseVerified: ({ rolloutId, current }) => ({
    host: null,
    rollout: shortRollout(rolloutId),
    words: current ? "release verified; it is current" : "release verified",
    tone: null,
  }),
  ReleaseRefused: ({ channel, code, reason }) => ({
    host: null,
    rollout: channel,
    words: `release refused (${code}): ${harmless(reason)}`,
    tone: "bad",
  }),
  Enrolled: ({ host, by }) => ({
    host,
    rollout: null,
    words: `enrolled by ${harmless(by)}`,
    tone: null,
  }),
  JournalChanged: ({ host, journalId }) => ({
    host,
    rollout: null,
    words: `answers from a new journal, ${journalId.slice(0, 7)}`,
    tone: null,
  }),
  GateChanged: ({ rolloutId, gate, hosts }) => ({
    host: null,
    rollout: shortRollout(rolloutId),
    words:
      hosts === 0 ? `gate ${gate} holds nobody` : `gate ${gate} holds ${counted(hosts, "host")}`,
    tone: null,
  }),
  Checkpoint: ({ version, sha256 }) => ({
    host: null,
    rollout: null,
    words: `checkpoint of version ${version}, tables ${sha256.slice(0, 7)}`,
    tone: "quiet",
  }),
};

export const tell = (line: LogLine, listener: Listener): Told =>
  interpret(LINE_WORDS, line, listener);
