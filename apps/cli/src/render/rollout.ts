import { type Instant, secsBetween } from "@nixwave/effects";
import type { HostRow, RolloutSummary, RolloutView, Shown, WaveView } from "@nixwave/protocol";
import { activity } from "./activity.ts";
import { bar } from "./bar.ts";
import { blockName, heldBy } from "./block.ts";
import { BAR_ORDER, legend, rolloutState, shownWord, total } from "./cell.ts";
import { ago, duration, wallClock } from "./duration.ts";
import { counted, shortRollout } from "./name.ts";
import { nextLine } from "./status.ts";
import { harmless, paint, type Style } from "./style.ts";
import { table } from "./table.ts";
import { logBeginsWords, rowWords } from "./why.ts";

const BAR_COLUMNS = 22;
/** A screen shows the hosts that move or are held; beyond this a list is for `nixwave hosts`. */
const HOSTS_SHOWN_MAX = 12;

/** The screen of `nixwave rollout show`. `hosts` are rows of this rollout, at least those that are not at rest. */
export function rolloutScreen(
  style: Style,
  view: RolloutView,
  hosts: readonly HostRow[],
): readonly string[] {
  const { rollout, now } = view;
  const present = new Set<Shown>(
    view.waves.flatMap((wave) => BAR_ORDER.filter((shown) => (wave.counts[shown] ?? 0) > 0)),
  );
  return [
    headline(style, view),
    ...haltLines(style, rollout, now),
    ...table(
      style,
      [{ title: " WAVE" }, { title: "HOSTS", align: "right" }, { title: "" }, { title: "HELD BY" }],
      view.waves.map((wave) => waveRow(style, wave, now)),
    ),
    ` ${legend(style, present)}`,
    ...budgetLines(style, view),
    ...(view.logBeginsAt === null ? [] : [` ${logBeginsWords(view.logBeginsAt)}`]),
    ...hostLines(style, hosts, now),
    ...nextLine(style, rollout.next),
  ];
}

function headline(style: Style, { rollout, policy, now }: RolloutView): string {
  const open = duration(secsBetween(rollout.openedAt, now));
  const note = rollout.note === "" ? "" : `   “${harmless(rollout.note)}”`;
  return [
    paint(style, "strong", shortRollout(rollout.rolloutId)),
    `${rolloutState(style, rollout.state)} ${open}`,
    `${rollout.done} of ${counted(rollout.hosts, "host")}`,
    `${policy.onHealthFailure}   by ${harmless(rollout.createdBy)}${note}`,
  ].join("  ");
}

function haltLines(style: Style, rollout: RolloutSummary, now: Instant): readonly string[] {
  const lines: string[] = [];
  if (rollout.halted !== null) {
    const { since, reason } = rollout.halted;
    lines.push(paint(style, "bad", `✗ halted ${ago(since, now)}: ${harmless(reason)}`));
  }
  if (rollout.pause !== null) {
    lines.push(paint(style, "waiting", `‖ paused ${heldBy(rollout.pause, now, style.timeZone)}`));
  }
  if (rollout.supersededBy !== null) {
    lines.push(`– superseded by ${shortRollout(rollout.supersededBy)}`);
  }
  return lines;
}

function waveRow(style: Style, wave: WaveView, now: Instant): readonly string[] {
  const name = ` ${wave.index} ${harmless(wave.description)}`.trimEnd();
  return [
    name,
    `${wave.done}/${wave.hosts}`,
    bar(style, total(wave.counts) === 0 ? { waiting: wave.hosts } : wave.counts, BAR_COLUMNS),
    heldByWords(wave, now, style.timeZone),
  ];
}

function heldByWords(wave: WaveView, now: Instant, timeZone: string): string {
  if (wave.state === "complete") {
    return wave.completedAt === null
      ? "done"
      : `done ${wallClock(wave.completedAt, now, timeZone)}`;
  }
  if (wave.state === "advanced") return "taken as complete by an operator";
  const first = wave.heldBy[0];
  if (first === undefined) return "–";
  const { answer } = first.example;
  const why =
    answer.kind === "gate"
      ? blockName(answer.block)
      : answer.kind === "soaking"
        ? activity(answer.record, now)
        : answer.kind;
  const more = wave.heldBy.length > 1 ? `, ${counted(wave.heldBy.length - 1, "other reason")}` : "";
  return `${why}${more}`;
}

function budgetLines(style: Style, { budgets }: RolloutView): readonly string[] {
  const held = budgets.filter((budget) => budget.held > 0);
  if (held.length === 0) return [];
  const words = held.map(
    ({ name, held, maxInFlight }) => `${harmless(name)} ${held} of ${maxInFlight}`,
  );
  return [` ${paint(style, "quiet", "budgets")} ${words.join(" · ")}`];
}

/** Converged hosts, and those that all wait for the same thing, are at rest: the headline and the bars tell enough of them. */
function isAtRest({ shown, explanation: { answer } }: HostRow): boolean {
  if (shown === "converged") return answer.kind !== "done" || !answer.drifted;
  if (answer.kind !== "gate") return false;
  const { block } = answer;
  if (block.gate === "wave") return !block.unproven;
  return block.gate === "rollout-halted" || block.gate === "paused";
}

function hostLines(style: Style, hosts: readonly HostRow[], now: Instant): readonly string[] {
  const restless = hosts.filter((row) => !isAtRest(row));
  if (restless.length === 0) return [];
  const rows = restless.slice(0, HOSTS_SHOWN_MAX).map((row) => {
    const since = row.explanation.since;
    const held = since === null ? "" : duration(secsBetween(since.at, now));
    return [` ${row.host}`, shownWord(style, row.shown), held, rowWords(row, now, style.timeZone)];
  });
  const more = restless.length - rows.length;
  return [
    ...table(
      style,
      [{ title: " HOST" }, { title: "STATE" }, { title: "FOR", align: "right" }, { title: "WHY" }],
      rows,
    ),
    ...(more > 0 ? [` … and ${counted(more, "more host")}: nixwave hosts`] : []),
  ];
}
