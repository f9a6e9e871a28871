import { secsBetween } from "@nixwave/effects";
import type { ChannelStatus, RolloutSummary, StatusView } from "@nixwave/protocol";
import { scopeWords } from "../narrate/input.ts";
import { heldBy } from "./block.ts";
import { rolloutState } from "./cell.ts";
import { age, ago } from "./duration.ts";
import { counted, shortRollout } from "./name.ts";
import { harmless, paint, type Style } from "./style.ts";
import { table } from "./table.ts";

const COLUMNS = [
  { title: "CHANNEL" },
  { title: "ROLLOUT" },
  { title: "STATE" },
  { title: "WAVE" },
  { title: "HOSTS" },
  { title: "RELEASED" },
  { title: "" },
];

/** The screen of `nixwave status`. */
export function statusScreen(style: Style, view: StatusView): readonly string[] {
  if (view.channels.length === 0) {
    return [
      "No channel was released yet.",
      ...repositoryLines(style, view),
      ...nextLine(style, view.next, ["nixwave init", "nixwave release"]),
    ];
  }
  const rows = view.channels.map((channel) => row(style, channel, view));
  const halted = view.channels.filter(isHalted).length;
  const lines = [...table(style, COLUMNS, rows)];
  if (halted > 0) lines.push(paint(style, "bad", `✗ ${counted(halted, "channel")} halted.`));
  if (view.unlistedHosts > 0) {
    const are = view.unlistedHosts === 1 ? "is" : "are";
    lines.push(`${counted(view.unlistedHosts, "host")} ${are} known and in no release.`);
  }
  return [...lines, ...repositoryLines(style, view), ...nextLine(style, view.next)];
}

/** What is wrong with the repository, or will be soon: silence there is what nobody notices until no release goes out. */
function repositoryLines(style: Style, { repository, now }: StatusView): readonly string[] {
  if (repository === undefined) return [];
  const lines: string[] = [];
  const { problem, expiries } = repository;
  if (problem !== null) {
    const said = `✗ The repository can't be trusted or read (${problem.code}): ${harmless(problem.reason)}`;
    lines.push(paint(style, "bad", said));
  }
  const over = expiries.filter(({ expiresAt }) => expiresAt <= now);
  const due = expiries.filter((expiry) => expiry.due && expiry.expiresAt > now);
  const roles = (of: typeof expiries) => of.map(({ role }) => harmless(role)).join(", ");
  if (over.length > 0) {
    const said = `✗ No longer valid: ${roles(over)}. Nothing new starts until it is signed anew: nixwave refresh, or nixwave release for a channel.`;
    lines.push(paint(style, "bad", said));
  }
  const [first] = due;
  if (first !== undefined) {
    const left = age(secsBetween(now, first.expiresAt));
    const said = `! Valid for ${left} more: ${roles(due)}. Sign anew in time: nixwave refresh, or nixwave release for a channel.`;
    lines.push(paint(style, "waiting", said));
  }
  return lines;
}

const isHalted = ({ rollout }: ChannelStatus): boolean =>
  rollout !== null && rollout.halted !== null;

function row(style: Style, channel: ChannelStatus, view: StatusView): readonly string[] {
  const { rollout } = channel;
  const notes = notesOf(style, channel, view).join("; ");
  if (rollout === null) return [channel.channel, "–", "never released", "–", "–", "–", notes];
  return [
    channel.channel,
    shortRollout(rollout.rolloutId),
    rolloutState(style, rollout.state),
    waveOf(rollout),
    `${rollout.done} / ${rollout.hosts}`,
    `${ago(rollout.createdAt, view.now)}  by ${harmless(rollout.createdBy)}`,
    notes,
  ];
}

function waveOf(rollout: RolloutSummary): string {
  if (rollout.state === "Completed" || rollout.cursor > rollout.waves) return "–";
  return `${rollout.cursor} of ${rollout.waves}`;
}

function notesOf(style: Style, channel: ChannelStatus, { now }: StatusView): readonly string[] {
  const { rollout, unverified, unheard, freezes } = channel;
  const notes: string[] = [];
  const halted = rollout?.halted ?? null;
  if (halted !== null) notes.push(paint(style, "bad", `halted: ${harmless(halted.reason)}`));
  const pause = rollout?.pause ?? null;
  if (pause !== null) {
    notes.push(paint(style, "waiting", `paused ${heldBy(pause, now, style.timeZone)}`));
  }
  for (const freeze of freezes) {
    const frozen = `${scopeWords(freeze.scope)} frozen ${heldBy(freeze, now, style.timeZone)}`;
    notes.push(paint(style, "waiting", `${frozen} (freeze ${freeze.freezeId})`));
  }
  if (unverified !== null) {
    notes.push(
      paint(style, "waiting", `newest release not verified: ${harmless(unverified.reason)}`),
    );
  }
  if (unheard !== null) {
    notes.push(paint(style, "waiting", `recovering: ${counted(unheard, "host")} not heard yet`));
  }
  return notes;
}

/** What to type next; every screen that says "no" ends with it. */
export function nextLine(
  style: Style,
  next: readonly string[],
  otherwise: readonly string[] = [],
): readonly string[] {
  const commands = next.length > 0 ? next : otherwise;
  return commands.length === 0
    ? []
    : [`${paint(style, "quiet", "next:")} ${commands.map(harmless).join(" · ")}`];
}
