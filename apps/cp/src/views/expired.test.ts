import { addSecs } from "@nixwave/effects";
import { channelName } from "@nixwave/testkit";
import { expect, test } from "vitest";
import { openBench } from "../bench.fixture.ts";
import { releaseOf, TestAgent } from "../fleet.fixture.ts";
import { opened } from "../scenes.fixture.ts";
import { statusView } from "./statusView.ts";

test("a pause and a freeze that have ended by themselves are shown no more, nor is their remedy", async () => {
  const bench = await openBench();
  const release = await releaseOf({ waves: [["web-1"]], version: "new" });
  await opened(bench, [new TestAgent("web-1")], release);
  const until = addSecs(bench.time.now, 60);
  const who = { by: "ops", reason: "lunch", until };
  const { rolloutId } = release.value;
  await bench.ask<"Pause">({ kind: "Pause", rolloutId, ...who });
  const scope = { kind: "channel", channel: channelName("stable") } as const;
  await bench.ask<"Freeze">({ kind: "Freeze", scope, ...who });
  const shown = (now: typeof until) => {
    const status = statusView(bench.writer.fleet(), { readySince: until, newest: null }, now);
    const stable = status.channels[0];
    const { pause = null, next = [] } = stable?.rollout ?? {};
    return { pause: pause?.reason, freezes: stable?.freezes.length, next: next.join(" ") };
  };
  expect(shown(bench.time.now)).toMatchObject({ pause: "lunch", freezes: 1 });
  expect(shown(bench.time.now).next).toContain("nixwave resume");
  bench.time.now = until;
  await bench.ask<"Tick">({ kind: "Tick" });
  expect(shown(until)).toEqual({ pause: undefined, freezes: 0, next: "" });
  await bench.close();
});
