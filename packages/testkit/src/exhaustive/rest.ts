import { explainHost } from "@nixwave/effects";
import { load, NOW, type Rows } from "./rows.ts";
import { CHANNEL, type Setting } from "./setting.ts";

/** Null where it is in order that nothing moves any more: the rollout is over, or each host has an answer that says what would. */
export function restReason(rows: Rows, world: Setting): string | null {
  const fleet = load(rows, world);
  const newest = fleet.newestRollout(CHANNEL);
  if (newest === null) return "no rollout is open";
  if (newest.kind === "Completed") return null;
  const answers = rows.sights.map(({ host }) => explainHost(fleet, host, NOW));
  const stuck = answers.find(({ answer, clears }) => clears === null && !isRest(answer));
  if (stuck === undefined) return null;
  const { host, answer } = stuck;
  const gate = answer.kind === "gate" ? ` (${answer.block.gate})` : "";
  return `${newest.rolloutId} is ${newest.kind}, nothing is left to happen, and ${host} is ${answer.kind}${gate} with nothing that would clear it`;
}

/** Its end, or it waits for a host that has died or for one whose own answer says what clears it. */
function isRest(answer: ReturnType<typeof explainHost>["answer"]): boolean {
  if (answer.kind === "done" || answer.kind === "skipped" || answer.kind === "lost") return true;
  return answer.kind === "gate" && ["offline", "wave"].includes(answer.block.gate);
}
