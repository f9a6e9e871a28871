import {
  type Attempt,
  addSecs,
  type ChannelRef,
  type ClosureHash,
  FIRST_ATTEMPT,
  isAttempt,
  type Release,
} from "@nixwave/effects";
import type { DispatchOffer } from "@nixwave/protocol";
import { edge, Forger, NOW, stable } from "@nixwave/protocol/attacks.fixture";
import { closure, hostName, rollout, START } from "@nixwave/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { renderStatus, statusOf } from "../console/status.ts";
import { systemDisk } from "../perform/systemPorts.ts";
import { CHANNEL, HOST } from "../world/controlPlane.fixture.ts";
import { stage } from "../world/stage.fixture.ts";
import { repositoryAnswer } from "./signed.fixture.ts";
import { SignedReleases } from "./signedReleases.ts";

// An agent with a root of its own, and a control plane that says what it likes: virtual time, a real repository and its keys.

let forger: Forger;
const days = (at: number): number => (at - NOW) / 86_400_000;

beforeEach(() => {
  forger = new Forger();
  for (const role of ["root", "targets", "snapshot", "timestamp", "stable", "edge"] as const)
    forger.days[role] = days(addSecs(START, 365 * 86_400));
  forger.hosts[HOST] = { channel: "stable", sshHostKey: null };
  forger.writeHosts();
  forger.release(edge, [entry(closure("edge-only"), "c")]);
  forger.writeRoot();
});
afterEach(() => forger.remove());

const on = stage((stateDir) => (journal, controlPlane) => {
  const parts = { stateDir, journal, controlPlane, channel: CHANNEL, disk: systemDisk };
  return new SignedReleases({ ...parts, root: forger.root() });
});
beforeEach(() => {
  on.world.cp.repository = (pathname) => repositoryAnswer(forger.directory, pathname);
});

/** No host comes to it. */
const tooLate = toAttempt(FIRST_ATTEMPT + 1_000_000);

function toAttempt(value: number): Attempt {
  if (isAttempt(value)) return value;
  throw new Error(`${value} is no attempt`);
}

const entry = (of: ClosureHash, host: string): Release["hosts"][number] => ({
  host: hostName(host),
  system: "x86_64-linux",
  closure: of,
  wave: 1,
  tags: [],
  closureDigest: null,
});

let made = 0;
/** Signs a release of this host and publishes it: it is current from now on. */
function publish(of: ClosureHash): Release {
  made += 1;
  const createdAt = addSecs(START, made);
  const release = forger
    .next("stable", "targets", "edge")
    .release(stable, [entry(of, HOST), entry(closure("theirs"), "b")], { createdAt });
  forger.writeAll();
  return release;
}

const rejects = (release: Pick<Release, "rolloutId">) =>
  on.world.cp.log
    .filter(({ rolloutId }) => rolloutId === release.rolloutId)
    .map(({ line }) => line.event)
    .filter((event) => event.kind === "DispatchReject");

async function isRefused(release: Release, code: string): Promise<void> {
  await on.world.passUntil(() => rejects(release).length > 0, 300);
  expect(rejects(release)[0]).toMatchObject({ code });
  await on.world.pass(200);
  expect(on.world.machine.fired).toEqual([]);
}

test("what is signed and current is activated, and what is trusted is known", async () => {
  const release = publish(closure("new"));
  on.world.cp.dispatch(release);
  await on.becomes(release, "Converged");
  expect(on.world.machine.fired).toEqual(["switch new"]);
  expect(on.world.journal.facts().metadataSignedAt).not.toBeNull();
});

describe("a control plane that lies is refused, and the refusal reaches the log (I1)", () => {
  test("another host's closure", async () => {
    const release = publish(closure("new"));
    const forged = { ...release, hosts: [entry(closure("theirs"), HOST)] };
    on.world.cp.dispatch(forged);
    await isRefused(release, "not-as-signed");
    expect(rejects(release)[0]?.reason).toMatch(/^dispatch\.targetClosure is .*theirs/);
  });

  test("another host's closure, and then the truth: what the lie has left in the record is not acted on", async () => {
    const release = publish(closure("new"));
    on.world.cp.lie = (offer) => ({ ...offer, targetClosure: closure("theirs"), soakDueAt: START });
    on.world.cp.dispatch(release);
    await isRefused(release, "not-as-signed");
    on.world.cp.lie = (offer) => offer;
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    expect(on.world.machine.fired).toEqual(["switch new"]);
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("another channel's name over its own release, and then the truth", async () => {
    const release = publish(closure("new"));
    on.world.cp.lie = (offer) => ({ ...offer, channel: edge });
    on.world.cp.dispatch(release);
    await isRefused(release, "wrong-channel");
    on.world.cp.lie = (offer) => offer;
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.expectParity(release);
  });

  test("an attempt that no host comes to, and then the truth: it is dropped, and leaves the attempts as they were", async () => {
    const release = publish(closure("new"));
    on.world.cp.lie = (offer) => ({ ...offer, attempt: tooLate });
    on.world.cp.dispatch(release);
    await on.world.pass(200);
    expect(on.world.machine.fired).toEqual([]);
    expect(on.world.record(release)).toBeNull();
    on.world.cp.lie = (offer) => offer;
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
    expect(on.world.record(release)?.attempt).toBe(FIRST_ATTEMPT);
  });

  test("an attempt that is over, to a journal that has forgotten it, and then the truth: the next attempt brings both sides together", async () => {
    const release = publish(closure("new"));
    on.world.cp.dispatch(release, 2);
    await on.becomes(release, "Converged");
    on.world.cp.ahead = { [release.rolloutId]: 1_000_000 };
    await on.world.passUntil(() => on.world.record(release) === null);
    on.world.cp.ahead = {};
    on.world.cp.lie = (offer) => ({ ...offer, attempt: FIRST_ATTEMPT });
    on.world.cp.dispatch(release, 3);
    await on.becomes(release, "Converged");
    expect(on.world.record(release)?.attempt).toBe(FIRST_ATTEMPT);
    expect(on.world.cp.record(release)?.attempt).toBe(2);
    on.world.cp.lie = (offer) => offer;
    on.world.cp.dispatch(release, 3);
    await on.world.passUntil(() => on.world.record(release)?.attempt === 3, 300);
    await on.becomes(release, "Converged");
    await on.world.pass(5);
    on.expectParity(release);
  });

  describe("without end, at each poll: the agent asks less and less often, and then takes the truth at its next poll", () => {
    const TEN_MIN_SECS = 600;
    /** As many as a control plane that can't be reached is asked, and a few. */
    const POLLS_MAX = 40;

    test.each<[string, (truth: DispatchOffer) => DispatchOffer]>([
      ["what is dropped", (truth) => ({ ...truth, attempt: tooLate })],
      ["what is refused at once", (truth) => ({ ...truth, channel: edge })],
      ["what is verified and refused", (truth) => ({ ...truth, targetClosure: closure("evil") })],
    ])("%s", async (_what, lie) => {
      const release = publish(closure("new"));
      on.world.cp.lie = lie;
      on.world.cp.insists = true;
      on.world.cp.dispatch(release);
      await on.world.pass(TEN_MIN_SECS);
      const free = on.world.cp.polls.filter((held) => held === "free");
      expect(free.length).toBeGreaterThan(5);
      expect(free.length).toBeLessThan(POLLS_MAX);
      on.world.cp.lie = (offer) => offer;
      on.world.cp.insists = false;
      on.world.cp.dispatch(release);
      await on.becomes(release, "Converged");
    });
  });

  test("an older release, signed once and no longer current", async () => {
    const older = publish(closure("old-and-weak"));
    publish(closure("new"));
    on.world.cp.dispatch(older);
    await isRefused(older, "rollback");
  });

  test("an older release, after the newer one was acknowledged", async () => {
    const older = publish(closure("old-and-weak"));
    const newer = publish(closure("new"));
    on.world.cp.dispatch(newer);
    await on.becomes(newer, "Converged");
    on.world.machine.fired.length = 0;
    on.world.cp.dispatch(older);
    await isRefused(older, "rollback");
  });

  test("a release that nobody signed; and the host's own status says so", async () => {
    publish(closure("new"));
    const unsigned = on.world.cp.release(closure("evil"));
    on.world.cp.dispatch(unsigned);
    await isRefused(unsigned, "unsigned");
    const identity = { host: HOST, channel: CHANNEL, agentVersion: "0.0.0", identity: null };
    const of = { ...identity, now: on.world.agent.clock.now(), trouble: null, trust: null };
    const status = statusOf(on.world.journal, of);
    expect(status.lastRefusal).toMatchObject({ rolloutId: unsigned.rolloutId, code: "unsigned" });
    expect(renderStatus(status)).toContain("(unsigned): dispatch.ref is");
  });

  test("another channel", async () => {
    publish(closure("new"));
    const foreign = on.world.cp.release(closure("edge-only"), { channel: edge });
    on.world.cp.dispatch(foreign);
    await isRefused(foreign, "wrong-channel");
  });

  test("a rollout that is not this release's", async () => {
    const release = publish(closure("new"));
    const rolloutId = rollout(`stable@${"ab".repeat(20)}`);
    on.world.cp.dispatch({ ...release, rolloutId });
    await isRefused({ ...release, rolloutId }, "not-as-signed");
  });

  test("a ref that is no release's", async () => {
    const release = publish(closure("new"));
    const ref: ChannelRef = on.world.cp.release(closure("evil")).ref;
    on.world.cp.dispatch({ ...release, ref });
    await isRefused(release, "unsigned");
  });
});

test("a soak in the past and another wave change nothing about the signed soak and order", async () => {
  const release = publish(closure("new"));
  on.world.cp.lie = (offer) => ({ ...offer, soakDueAt: addSecs(START, -86_400), wave: 7 });
  on.world.cp.dispatch(release);
  await on.becomes(release, "Soaking");
  await on.world.pass(50);
  expect(on.kindOf(release)).toBe("Soaking");
  await on.becomes(release, "Converged");
  const record = on.world.record(release);
  if (record?.kind !== "Converged") throw new Error("it converged");
  expect(record.convergedAt - record.activationCompletedAt).toBeGreaterThanOrEqual(60_000);
  expect(record.terms).toMatchObject({ soakSecs: 60, wave: 1 });
});

describe("expired metadata start nothing, and stop nothing", () => {
  /** From now on what is signed was valid until `secs` after the start. */
  function expire(secs: number): void {
    forger.days.timestamp = days(addSecs(START, secs));
  }

  test("a dispatch is refused as freeze-expired, and taken once somebody has signed anew", async () => {
    expire(30);
    const release = publish(closure("new"));
    await on.world.pass(60);
    on.world.cp.dispatch(release);
    await isRefused(release, "freeze-expired");
    expire(86_400);
    forger.next().writeAll();
    on.world.cp.dispatch(release);
    await on.becomes(release, "Converged");
  });

  test("what was acknowledged before goes on to its end", async () => {
    expire(40);
    const release = publish(closure("new"));
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking", 39);
    await on.world.pass(40);
    await on.becomes(release, "Converged");
  });

  test("a rollback still rolls back", async () => {
    expire(40);
    on.world.machine.behaviours.set(closure("ill"), { exitCode: 0, secs: 3, healthy: false });
    const release = publish(closure("ill"));
    on.world.cp.dispatch(release);
    await on.becomes(release, "Soaking", 39);
    await on.world.pass(40);
    await on.becomes(release, "Reverted");
  });
});

test("an hour without a dispatch, and rotated keys are known all the same (hazard 83)", async () => {
  publish(closure("new"));
  await on.world.pass(61);
  const old = forger.keys.root;
  const fresh = Forger.honest();
  forger.keys.root = fresh.keys.root;
  fresh.remove();
  forger.versions.root = 2;
  forger.writeRoot(old);
  forger.next().writeAll();
  await on.world.pass(2 * 3600);
  const root = systemDisk.readText(`${on.stateDir}/trust/root.json`);
  expect(JSON.parse(root ?? "")).toMatchObject({ signed: { version: 2 } });
});
