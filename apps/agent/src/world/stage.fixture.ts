import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Release } from "@nixwave/effects";
import { afterEach, beforeEach, expect } from "vitest";
import { type MakeReleases, World } from "./world.fixture.ts";

/** A fresh world for each test of a file, and the words in which its stories are told. */
export interface Stage {
  readonly world: World;
  readonly stateDir: string;
  kindOf(release: Release): string | undefined;
  /** Waits until the agent's record has that state. */
  becomes(release: Release, kind: string, secsMax?: number): Promise<void>;
  /** What the CP has logged of a rollout, in order. */
  story(release: Release): readonly string[];
  /** I4: for the same envelopes both sides hold equal records. */
  expectParity(release: Release): void;
}

/** `releasesIn`: where the agent gets releases from, given its state directory; by their hashes, if none is said. */
export function stage(releasesIn?: (stateDir: string) => MakeReleases): Stage {
  let stateDir = "";
  let world: World | null = null;
  const present = (): World => {
    if (world === null) throw new Error("the world is there only within a test");
    return world;
  };
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), "nixwave-loop-"));
    world = new World(stateDir, releasesIn?.(stateDir));
    world.start();
  });
  afterEach(async () => {
    await present().stop();
    rmSync(stateDir, { recursive: true, force: true });
    expect(present().broken).toEqual([]);
  });
  const kindOf = (release: Release) => present().record(release)?.kind;
  return {
    get world() {
      return present();
    },
    get stateDir() {
      return stateDir;
    },
    kindOf,
    becomes: (release, kind, secsMax = 900) =>
      present().passUntil(() => kindOf(release) === kind, secsMax),
    story: (release) =>
      present()
        .cp.log.filter(({ rolloutId }) => rolloutId === release.rolloutId)
        .map(({ line }) => line.event.kind),
    expectParity: (release) => {
      expect(present().cp.record(release)).toEqual(present().record(release));
    },
  };
}
