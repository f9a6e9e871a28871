import { expect } from "vitest";
import type { DemoFleet } from "../demo/fleet.ts";
import type { FleetEnd, Releases } from "./ends.ts";
import { judged } from "./judged.ts";

/** What must hold of every fleet at its end, however often its processes were killed. */
export async function judge(fleet: DemoFleet, releases: Releases): Promise<FleetEnd> {
  const { end, streams, unclean } = await judged(fleet, releases);
  expect(streams.map(({ what }) => what)).toEqual([]);
  expect(unclean, "nixwave-cp check, and the journals' own").toEqual([]);
  return end;
}
