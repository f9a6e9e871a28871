import type { Instant } from "@nixwave/effects";
import type { QuarantineView } from "@nixwave/protocol";
import { ago } from "./duration.ts";
import { shortClosure, shortRollout } from "./name.ts";
import type { Style } from "./style.ts";
import { table } from "./table.ts";

const COLUMNS = [
  { title: "CHANNEL" },
  { title: "CLOSURE" },
  { title: "SINCE" },
  { title: "BY" },
  { title: "HOLDS BACK", align: "right" as const },
];

/** The screen of `nixwave quarantine list`. */
export function quarantinesScreen(
  style: Style,
  quarantines: readonly QuarantineView[],
  now: Instant,
): readonly string[] {
  if (quarantines.length === 0) return ["Nothing is quarantined."];
  return table(
    style,
    COLUMNS,
    quarantines.map((one) => [
      one.channel,
      shortClosure(one.closure),
      ago(one.since, now),
      one.host === null || one.rolloutId === null
        ? "–"
        : `${one.host} in ${shortRollout(one.rolloutId)}`,
      String(one.hosts),
    ]),
  );
}
