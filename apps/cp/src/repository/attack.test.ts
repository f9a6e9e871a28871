import { addSecs } from "@nixwave/effects";
import { ATTACKS_SEEN, edge, Forger, NOW, stable } from "@nixwave/protocol/attacks.fixture";
import { afterEach, expect, test } from "vitest";
import { openPlane, type TestPlane } from "../endToEnd/plane.fixture.ts";
import { operatorClient } from "../endToEnd/scriptedAgent.fixture.ts";

const open: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A control plane on what a forger writes; the repository is looked at as the watch does, a second after NOW. */
async function planeOf(forger: Forger): Promise<TestPlane> {
  const rootFile = `${forger.directory}/metadata/1.root.json`;
  const place = { kind: "directory", directory: forger.directory } as const;
  const plane = await openPlane({ releases: () => ({ kind: "repository", place, rootFile }) });
  open.push(() => plane.close());
  plane.time.now = NOW;
  plane.time.pass(1);
  await plane.plane.watch.look();
  return plane;
}

test.each(ATTACKS_SEEN)(
  "$name: nothing is planned from it, and $code is in the log and in why",
  async ({ code, on, daysLater, prepare }) => {
    const forger = Forger.honest();
    open.push(() => forger.remove());
    const strike = prepare(forger);
    const { plane, time, logged } = await planeOf(forger);
    const fleet = () => plane.writer.fleet();
    const newest = () => [stable, edge].map((channel) => fleet().newestRollout(channel)?.rolloutId);
    const before = newest();
    expect(before).not.toContain(undefined);
    expect([fleet().unverified(stable), fleet().unverified(edge)]).toEqual([null, null]);

    const evil = strike();
    time.now = addSecs(time.now, daysLater * 86_400 + 1);
    await plane.watch.look();
    expect(newest()).toEqual(before);
    if (evil !== null) expect(fleet().rollout(evil.rolloutId)).toBeNull();
    for (const channel of [stable, edge]) {
      const closed = on === "both" || on === channel;
      const said = fleet().unverified(channel)?.reason ?? "open";
      expect(said, channel).toContain(closed ? code : "open");
    }
    expect(logged.map(({ fields }) => fields["code"])).toContain(code);
    // Of the last wave: a host of the first may have been passed over by the time that a freeze shows.
    const host = fleet()
      .currentRelease(on === edge ? edge : stable)
      ?.hosts.at(-1)?.host;
    if (host === undefined) throw new Error("a release has hosts");
    const why = await operatorClient(plane.url).call("getWhy", { params: { host } });
    expect(JSON.stringify(why)).toContain("release-unverified");
    expect(JSON.stringify(why)).toContain(code);
  },
);
