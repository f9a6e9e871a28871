import { type Explanation, type Instant, type Offset, secsBetween } from "@nixwave/effects";
import type { HostRow, WhyView } from "@nixwave/protocol";
import { sayAnswer } from "./answer.ts";
import { waitsForPerson } from "./block.ts";
import { age, duration, wallClock } from "./duration.ts";
import { counted, shortRollout } from "./name.ts";
import { harmless, paint, type Style } from "./style.ts";
import { fields } from "./table.ts";

/** A screen's worth; the rest is in the log. */
const MENTIONS_SHOWN_MAX = 6;
const STDERR_LINES_SHOWN_MAX = 5;

/** The screen of `nixwave why HOST`. */
export function whyScreen(style: Style, view: WhyView): readonly string[] {
  const { explanation, failure, now } = view;
  const said = sayAnswer(explanation, now, style.timeZone);
  const pairs: [string, string][] = [];
  if (explanation.answer.kind === "gate") pairs.push(["gate", explanation.answer.block.gate]);
  if (failure !== null) {
    failureWords(failure, now, style.timeZone).forEach((line, at) => {
      pairs.push([at === 0 ? "failed" : "", line]);
    });
    lastWords(failure.rollbackStderrTail).forEach((line, at) => {
      pairs.push([at === 0 ? "rollback" : "", line]);
    });
  }
  lastWords(view.waitsFor).forEach((line, at) => {
    pairs.push([at === 0 ? "waits for" : "", line]);
  });
  [...said.evidence, ...mentioned(view, style.timeZone)].forEach((line, at) => {
    pairs.push([at === 0 ? "evidence" : "", line]);
  });
  if (failure !== null && explanation.rolloutId !== null) {
    const command = `nixwave events --host ${explanation.host} --rollout ${shortRollout(explanation.rolloutId)}`;
    pairs.push(["log", `${command}   (${counted(view.events, "event")})`]);
  }
  if (view.logBeginsAt !== null) pairs.push(["log", logBeginsWords(view.logBeginsAt)]);
  const consequences = consequencesOf(view);
  if (consequences.length > 0) pairs.push(["now", consequences.join("; ")]);
  if (explanation.since !== null) {
    const { at, atLeast } = explanation.since;
    const since = `${wallClock(at, now, style.timeZone)}, ${age(secsBetween(at, now))}`;
    pairs.push(["since", atLeast ? `at least ${since}; the control plane started then` : since]);
  }
  if (explanation.earliest !== null) {
    const { earliest } = explanation;
    pairs.push([
      "earliest",
      `${wallClock(earliest, now, style.timeZone)}, in ${duration(secsBetween(now, earliest))}`,
    ]);
  }
  if (view.clockSkewSecs !== null) pairs.push(["clock", skewWords(view.clockSkewSecs)]);
  const clears = clearsWords(explanation);
  if (clears !== null) pairs.push(["clears", clears]);
  return [paint(style, said.tone, said.headline), ...fields(style, pairs)];
}

/** Said wherever what is shown goes back to before the log's beginning. */
export const logBeginsWords = (beginsAt: Offset): string =>
  `the log begins at ${beginsAt}: what was before is archived`;

const skewWords = (secs: number): string =>
  `the host's clock is ${age(Math.abs(secs))} ${secs > 0 ? "ahead of" : "behind"} the control plane's`;

/** A host's reason in a column of a table. */
export function rowWords(row: HostRow, now: Instant, timeZone: string): string {
  const { explanation } = row;
  const said = sayAnswer(explanation, now, timeZone);
  const words = said.evidence[0] ?? said.headline;
  if (explanation.answer.kind !== "gate" || explanation.earliest === null) return words;
  return `${words} · earliest ${wallClock(explanation.earliest, now, timeZone)}`;
}

/** The hosts that the evidence names, with what they do: a budget's holders, a gating host. */
function mentioned({ mentions, now }: WhyView, timeZone: string): readonly string[] {
  return mentions
    .slice(0, MENTIONS_SHOWN_MAX)
    .map((row) => `${row.host}: ${rowWords(row, now, timeZone)}`);
}

function lastWords(text: string | null): readonly string[] {
  const lines = (text ?? "").split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-STDERR_LINES_SHOWN_MAX).map(harmless);
}

type Failure = NonNullable<WhyView["failure"]>;

function failureWords(failure: Failure, now: Instant, timeZone: string): readonly string[] {
  if (failure.cause === "activation") {
    const phase = failure.phase === null ? "" : ` in phase ${failure.phase}`;
    return [`activation failed${phase}`, ...lastWords(failure.stderrTail)];
  }
  if (failure.probes.length === 0) return ["its health was not shown"];
  return failure.probes.map(({ probeName, reason, firstFailedAt }) => {
    const why = reason === null ? "no evidence" : harmless(reason);
    const long = failure.sustainedSecs === null ? "" : `; for ${age(failure.sustainedSecs)}`;
    const first =
      firstFailedAt === null ? "" : `, first at ${wallClock(firstFailedAt, now, timeZone)}`;
    return `probe ${probeName}: ${why}${long}${first}`;
  });
}

/** What the failure of one host means for its channel. */
function consequencesOf({ quarantined, rollout, explanation }: WhyView): readonly string[] {
  const words: string[] = [];
  if (quarantined) words.push(`the closure is quarantined on ${rollout?.channel ?? "its channel"}`);
  if (rollout === null || rollout.rolloutId !== explanation.rolloutId) return words;
  if (rollout.halted !== null) {
    words.push("the rollout is halted");
    const unmoved = rollout.counts.waiting ?? 0;
    if (unmoved > 0) words.push(`${counted(unmoved, "host")} did not move`);
  }
  return words;
}

function clearsWords({ answer, clears, earliest }: Explanation): string | null {
  if (clears !== null) return clears;
  if (answer.kind === "gate") {
    return waitsForPerson(answer.block) && earliest === null ? "with a new release" : "by itself";
  }
  switch (answer.kind) {
    case "queued":
    case "dispatched":
    case "activating":
    case "soaking":
    case "rolling-back":
    case "lost":
    case "skipped":
      return "by itself";
    case "deferred":
      return "at the next reboot of the host";
    case "failed":
    case "reverted":
      return "with a new release";
    case "never-seen":
    case "unlisted":
    case "no-release":
    case "done":
    case "revoked":
      return null;
  }
}
