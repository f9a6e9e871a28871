import { addSecs, type Effect, type Release } from "@nixwave/effects";
import { type Listener, narrate } from "../narrate/effect.ts";
import type { Changes } from "../release/changes.ts";
import { counted, listed, shortClosure, shortRollout } from "./name.ts";
import { paint, type Style } from "./style.ts";

/** Hosts that a screen names one by one. */
const MOVED_SHOWN_MAX = 12;

/** What one release changes, for the person who makes it. */
export function changesScreen(style: Style, changes: Changes): readonly string[] {
  const from = changes.previous === null ? "" : `, after ${shortRollout(changes.previous)}`;
  const lines = [
    `${paint(style, "strong", shortRollout(changes.rolloutId))}  ${counted(changes.hosts, "host")}${from}`,
  ];
  for (const { host, from: old, to } of changes.moved.slice(0, MOVED_SHOWN_MAX)) {
    lines.push(`  ${host}  ${shortClosure(old)} → ${shortClosure(to)}`);
  }
  const more = changes.moved.length - MOVED_SHOWN_MAX;
  if (more > 0) lines.push(`  … and ${counted(more, "more host")} with another closure`);
  if (changes.added.length > 0) lines.push(`  new: ${listed(changes.added, 8)}`);
  if (changes.removed.length > 0) lines.push(`  gone: ${listed(changes.removed, 8)}`);
  if (changes.rules.length > 0) lines.push(`  changed rules: ${changes.rules.join(", ")}`);
  if (lines.length === 1) lines.push("  nothing but its date is different");
  return lines;
}

/** What the control plane would do first if nothing held it: the effects of the first wave, said instead of done. */
export function firstEffects(release: Release, listener: Listener): readonly string[] {
  const wave = release.waves[0];
  const hosts = release.hosts.filter((host) => host.wave === wave?.index);
  const effects: readonly Effect[] = hosts.slice(0, MOVED_SHOWN_MAX).flatMap((host) => [
    {
      kind: "RemoteOpenRolloutRecord",
      rolloutId: release.rolloutId,
      channel: release.channel,
      host: host.host,
    } as const,
    {
      kind: "RemoteQueueDispatch",
      host: host.host,
      rolloutId: release.rolloutId,
      targetClosure: host.closure,
      soakDueAt: addSecs(listener.now, wave?.soakSecs ?? 0),
    } as const,
  ]);
  return effects.map((effect) => `  would ${narrate(effect, listener)}`);
}
