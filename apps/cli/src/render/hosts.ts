import type { Instant } from "@nixwave/effects";
import type { HostRow } from "@nixwave/protocol";
import { shownWord } from "./cell.ts";
import { ago } from "./duration.ts";
import { shortClosure, shortRollout } from "./name.ts";
import type { Style } from "./style.ts";
import { table } from "./table.ts";
import { rowWords } from "./why.ts";

const COLUMNS = [
  { title: "HOST" },
  { title: "CHANNEL" },
  { title: "ROLLOUT" },
  { title: "WAVE" },
  { title: "STATE" },
  { title: "RUNS" },
  { title: "HEARD" },
  { title: "WHY" },
];

/** The screen of `nixwave hosts`. */
export function hostsScreen(
  style: Style,
  hosts: readonly HostRow[],
  now: Instant,
): readonly string[] {
  if (hosts.length === 0) return ["No host."];
  return table(
    style,
    COLUMNS,
    hosts.map((row) => [
      row.host,
      row.channel ?? "–",
      row.explanation.rolloutId === null ? "–" : shortRollout(row.explanation.rolloutId),
      row.wave === null ? "–" : String(row.wave),
      shownWord(style, row.shown),
      row.currentClosure === null ? "–" : shortClosure(row.currentClosure),
      row.lastHeardAt === null ? "never" : ago(row.lastHeardAt, now),
      rowWords(row, now, style.timeZone),
    ]),
  );
}
