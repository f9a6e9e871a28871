import { expect } from "vitest";
import type { DemoFleet } from "../demo/fleet.ts";
import { endOf, type FleetEnd, type Releases, streamsOf } from "./ends.ts";
import { settled } from "./story.ts";

/**
 * What must hold of every fleet at its end, however often its processes were killed: the agents' journals and the log
 * hold the same numbers, each once; mirror and journal agree; the database follows from its log.
 */
export async function judge(fleet: DemoFleet, releases: Releases): Promise<FleetEnd> {
  await settled(fleet, () => {
    const { lastKept, lastLogged } = streamsOf(fleet);
    return Object.entries(lastKept).every(([stream, seq]) => lastLogged[stream] === seq);
  });
  const { kept, logged, twice, lastKept, lastLogged } = streamsOf(fleet);
  expect(twice, "lines that the log holds twice (I6)").toEqual([]);
  expect(
    kept.filter((line) => !logged.has(line)),
    "lines of a journal that the log lacks (I6)",
  ).toEqual([]);
  expect(kept.length, "the journals keep the newest rollout's lines").toBeGreaterThan(0);
  for (const [stream, seq] of Object.entries(lastKept))
    expect(lastLogged[stream], stream).toBe(seq);
  expect(await fleet.check(), "nixwave-cp check").toBeNull();
  const end = endOf(fleet, releases);
  for (const [host, record] of Object.entries(end.journal))
    expect(end.mirror[host], `${host} (I4)`).toBe(record);
  return end;
}
