import type { RolloutId } from "@nixwave/effects";
import { instant } from "@nixwave/effects";
import { hostName } from "@nixwave/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DemoHost } from "../demo/declaration.ts";
import { CP, DemoFleet } from "../demo/fleet.ts";
import { certificateOf, giveCertificateOf, madeToBeDueAt, plantAuthority } from "./identities.ts";
import { judge } from "./judge.ts";
import { hasState, QUICK_RULES, reached } from "./story.ts";

// Certificates under real processes and real TLS: they are renewed while events flow, and trouble with them costs nothing that runs.

const TWO_HOSTS: readonly DemoHost[] = [
  { name: "canary-1", wave: 1, tags: [] },
  { name: "web-1", wave: 2, tags: [] },
];
const CANARY = hostName.parse("canary-1");
const DAY_MS = 24 * 3600 * 1000;
const after = (ms: number) => instant(Date.now() + ms);

let fleet: DemoFleet;
let releases: Map<string, RolloutId>;

beforeEach(async () => {
  fleet = new DemoFleet({ hosts: TWO_HOSTS, rules: { ...QUICK_RULES, soakSecs: 4 } });
  releases = new Map();
  await plantAuthority(fleet, after(-300 * DAY_MS));
  await fleet.start();
});

afterEach(async () => {
  await fleet.stop();
});

async function release(version: string): Promise<RolloutId> {
  const id = await fleet.release({ version });
  releases.set(version, id);
  return id;
}
const serialOf = (host: string): string => certificateOf(fleet, host)?.serial ?? "none";

async function renewed(before: string): Promise<void> {
  await fleet.until({ what: "another certificate of canary-1", timeoutSecs: 240 }, async () =>
    serialOf(CANARY) === before ? null : true,
  );
}

describe("certificates of hosts", { timeout: 900_000 }, () => {
  test("one that is renewed while events flow costs no event, counted from database and journal", async () => {
    await fleet.kill(CANARY, "SIGTERM");
    const { serial } = await giveCertificateOf(fleet, CANARY, madeToBeDueAt(after(6000)));
    const agent = fleet.startAgent(CANARY);
    const id = await release("app-1");
    await reached(
      fleet,
      id,
      "canary-1 soaking",
      ({ rollout }) => (rollout.counts.soaking ?? 0) > 0,
    );
    await renewed(serial);
    await reached(fleet, id, "app-1 Completed", hasState("Completed"));
    // The same process, and nothing that it said was lost or said twice.
    expect(agent.isRunning()).toBe(true);
    const end = await judge(fleet, releases);
    expect(end.mirror["canary-1 app-1"]).toContain("Converged");
  });

  test("a control plane that forgot every host gives the next certificate to whoever holds a present one", async () => {
    await fleet.kill(CANARY, "SIGTERM");
    await fleet.kill(CP, "SIGTERM");
    const { serial } = await giveCertificateOf(fleet, CANARY, madeToBeDueAt(after(0)));
    fleet.loseData();
    await fleet.startCp(["--recover"]);
    fleet.startAgent(CANARY);
    await renewed(serial);
  });

  test("a certificate that ended months ago is followed by another, by the SSH host key", async () => {
    await fleet.kill(CANARY, "SIGTERM");
    const { serial } = await giveCertificateOf(fleet, CANARY, after(-200 * DAY_MS));
    fleet.startAgent(CANARY);
    await renewed(serial);
    const id = await release("app-1");
    await reached(fleet, id, "app-1 Completed", hasState("Completed"));
    await judge(fleet, releases);
  });
});
