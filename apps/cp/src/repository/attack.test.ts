import { addSecs } from "@nixwave/effects";
import { ATTACKS_SEEN, edge, Forger, stable } from "@nixwave/protocol/attacks.fixture";
import { afterEach, expect, test } from "vitest";
import { operatorClient } from "../endToEnd/scriptedAgent.fixture.ts";
import { planeOn } from "./plane.fixture.ts";

const open: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

// Hazards 81 (future-dated) and 82 (indefinite freeze) among them.
test.each(ATTACKS_SEEN)(
  "$name: nothing is planned from it, and $code is in the log and in why",
  async ({ code, on, daysLater, prepare }) => {
    const forger = Forger.honest();
    open.push(() => forger.remove());
    const strike = prepare(forger);
    const test = await planeOn(forger);
    open.push(() => test.close());
    const { plane, time, logged } = test;
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
