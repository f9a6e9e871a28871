import type { Answer, Explanation, HostRollout, Instant } from "@nixwave/effects";
import { activity } from "./activity.ts";
import { blockWords } from "./block.ts";
import { ago } from "./duration.ts";
import { shortClosure, shortRollout } from "./name.ts";
import { harmless, type Tone } from "./style.ts";

export interface Said {
  readonly tone: Tone;
  readonly headline: string;
  readonly evidence: readonly string[];
}

const rolloutOf = ({ rolloutId, wave }: Explanation): string =>
  rolloutId === null
    ? "no rollout"
    : `${shortRollout(rolloutId)}${wave === null ? "" : `, wave ${wave}`}`;

/** What explainHost found, for a person: one headline and its evidence. */
export function sayAnswer(explanation: Explanation, now: Instant, timeZone: string): Said {
  const { host, answer } = explanation;
  const rollout = rolloutOf(explanation);
  switch (answer.kind) {
    case "gate":
      return {
        tone: "waiting",
        headline: `${host} waits for ${rollout}`,
        evidence: [blockWords(answer.block, now, timeZone)],
      };
    case "queued":
      return {
        tone: "busy",
        headline: `${host} may move to ${rollout}`,
        evidence: [
          answer.dispatch === null
            ? "its dispatch is made with the next plan"
            : `attempt ${answer.dispatch.attempt} lies ready for its next poll`,
        ],
      };
    case "dispatched":
      return {
        tone: "busy",
        headline: `${host} was told to move to ${rollout}`,
        evidence: [`attempt ${answer.dispatch.attempt} was handed out and is not acknowledged yet`],
      };
    case "done":
      return sayDone(answer, { host, rollout }, now);
    case "activating":
    case "deferred":
    case "soaking":
    case "rolling-back":
    case "failed":
    case "reverted":
    case "lost":
      return sayMoved(answer, host, rollout, now);
    case "skipped":
    case "unlisted":
    case "revoked":
    case "never-seen":
    case "no-release":
      return sayAbsent(answer, host, rollout, now);
  }
}

function sayDone(
  { drifted, record, runningClosure }: Extract<Answer, { readonly kind: "done" }>,
  { host, rollout }: { readonly host: string; readonly rollout: string },
  now: Instant,
): Said {
  const runs = runningClosure === null ? "nothing that it told" : shortClosure(runningClosure);
  return drifted
    ? {
        tone: "waiting",
        headline: `${host} converged on ${rollout}, and has drifted since`,
        evidence: [`drifted: runs ${runs}`],
      }
    : {
        tone: "good",
        headline: `${host} converged on ${rollout}`,
        evidence: [activity(record, now)],
      };
}

type Moved = Extract<Answer, { readonly record: HostRollout }>;

function sayMoved(
  answer: Exclude<Moved, { readonly kind: "done" }>,
  host: string,
  rollout: string,
  now: Instant,
): Said {
  const { record } = answer;
  switch (answer.kind) {
    case "activating":
      return {
        tone: "busy",
        headline: `${host} activates ${rollout}`,
        evidence: [activity(record, now)],
      };
    case "deferred":
      return {
        tone: "waiting",
        headline: `${host} boots into ${rollout} at its next reboot`,
        evidence: [activity(record, now)],
      };
    case "soaking":
      return {
        tone: "busy",
        headline: `${host} soaks on ${rollout}`,
        evidence:
          answer.unproven.length === 0
            ? [activity(record, now)]
            : answer.unproven.map(({ what, reason }) => `${what}: ${harmless(reason)}`),
      };
    case "rolling-back":
      return {
        tone: "bad",
        headline: `${host} rolls back from ${rollout}`,
        evidence: [activity(record, now)],
      };
    case "failed":
      return {
        tone: "bad",
        headline: `${host} failed in ${rollout}`,
        evidence: [activity(record, now)],
      };
    case "reverted":
      return {
        tone: "bad",
        headline: `${host} rolled back from ${shortRollout(record.rolloutId)} and runs what it ran before${record.kind === "Reverted" ? ` (${shortClosure(record.revertedTo)})` : ""}`,
        evidence: [activity(record, now)],
      };
    case "lost":
      return {
        tone: "bad",
        headline: `${host} is lost in ${rollout}: it was ${record.kind} when it fell silent`,
        evidence: [
          answer.lastHeardAt === null
            ? "never heard of"
            : `last heard ${ago(answer.lastHeardAt, now)}`,
        ],
      };
  }
}

type Absent = Extract<
  Answer,
  { readonly kind: "skipped" | "unlisted" | "revoked" | "never-seen" | "no-release" }
>;

function sayAbsent(answer: Absent, host: string, rollout: string, now: Instant): Said {
  switch (answer.kind) {
    case "skipped":
      return {
        tone: "waiting",
        headline: `${host} was passed over by ${rollout}${answer.reason === null ? "" : `: it is ${answer.reason}`}`,
        evidence: [
          answer.lastHeardAt === null
            ? "never heard of"
            : `last heard ${ago(answer.lastHeardAt, now)}`,
        ],
      };
    case "unlisted":
      return {
        tone: "waiting",
        headline: `${host} is in no current release`,
        evidence: [
          answer.runningClosure === null
            ? "what it runs is not known"
            : `runs ${shortClosure(answer.runningClosure)}`,
        ],
      };
    case "revoked":
      return { tone: "bad", headline: `${host} is revoked and gets nothing`, evidence: [] };
    case "never-seen":
      return {
        tone: "waiting",
        headline: `${host} of channel ${answer.channel} was never heard of`,
        evidence: ["no agent has answered under this name: is nixwave-agent running there?"],
      };
    case "no-release":
      return {
        tone: "quiet",
        headline:
          answer.channel === null
            ? `${host} belongs to no channel that was ever released`
            : `channel ${answer.channel} of ${host} was never released`,
        evidence: [],
      };
  }
}
