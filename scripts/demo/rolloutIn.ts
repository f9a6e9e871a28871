import { isRolloutId, type RolloutId } from "@nixwave/effects";

/** The rollout of the demo's one channel, in what `nixwave release --json` prints. */
export function rolloutIn(printed: string): RolloutId | null {
  const json: unknown = JSON.parse(printed);
  const live: unknown =
    typeof json === "object" && json !== null && "live" in json ? json.live : [];
  const ids = Array.isArray(live) ? live.filter((one) => typeof one === "string") : [];
  return ids.filter(isRolloutId)[0] ?? null;
}
