import { addSecs, type Instant } from "@nixwave/effects";
import { type Forger, NOW } from "@nixwave/protocol/attacks.fixture";
import { openPlane, type TestPlane } from "../endToEnd/plane.fixture.ts";
import type { Folder } from "../endToEnd/process.fixture.ts";
import type { RepositoryPlace } from "./place.ts";

/** An owner who signs what it is told to, and the file that its root came in. */
export const rootFileOf = (forger: Forger): string => `${forger.directory}/metadata/1.root.json`;

/** A control plane on what a forger writes, a second after NOW. */
export async function planeOn(
  forger: Forger,
  {
    place = { kind: "directory", directory: forger.directory },
    folder,
    at = addSecs(NOW, 1),
  }: {
    readonly place?: RepositoryPlace;
    readonly folder?: Folder;
    readonly at?: Instant;
  } = {},
): Promise<TestPlane> {
  const repository = { place, rootFile: rootFileOf(forger) };
  return await openPlane({
    repository: () => repository,
    now: at,
    ...(folder === undefined ? {} : { folder }),
  });
}
