import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  addSecs,
  type Channel,
  type ChannelRef,
  type HostName,
  isChannelRef,
} from "@nixwave/effects";
import { ATTACKS_SEEN, edge, Forger, NOW, stable } from "@nixwave/protocol/attacks.fixture";
import { hostName } from "@nixwave/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { signedHost } from "./signed.fixture.ts";
import type { SignedReleases } from "./signedReleases.ts";

const A = hostName("a");
const C = hostName("c");
const open: { remove(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.remove();
});

const days = (count: number) => addSecs(NOW, count * 86_400);

/** The ref that the repository's own channel file names now, signed or not. */
function refOf(forger: Forger, channel: "stable" | "edge"): ChannelRef {
  const [name] = Object.keys(forger.targets[channel])
    .filter((path) => !path.endsWith("current.json"))
    .slice(-1);
  const ref = name?.slice(channel.length + 1, -5) ?? "";
  if (!isChannelRef(ref)) throw new Error(`${name} is no release`);
  return ref;
}

function start(channel: Channel, host: HostName, forger = Forger.honest()) {
  const on = signedHost({ channel, host }, () => forger.directory);
  open.push(forger, on);
  return { forger, on, releases: on.start(forger.root()) };
}

/** What the agent of a host comes to, asked for a release: `ok`, or the code of its refusal. */
async function judge(
  releases: SignedReleases,
  wanted: { channel: Channel; ref: ChannelRef; host: HostName },
  now = NOW,
): Promise<string> {
  const refreshed = await releases.refresh(now);
  if (!refreshed.ok) return refreshed.error.code;
  const found = await releases.find(wanted, now);
  return found.ok ? "ok" : found.error.code;
}

test("metadata of another tool, that do not say for how long they are made valid, are no proof of what time it is", async () => {
  const { forger, releases } = start(stable, A);
  expect(await releases.refresh(NOW)).toMatchObject({ ok: true });
  expect(releases.state).toMatchObject({ verifiedAt: NOW, signedAt: NOW });
  forger.saysValidDays = false;
  forger.next().writeAll();
  expect(await releases.refresh(NOW)).toMatchObject({ ok: true });
  expect(releases.state).toMatchObject({ verifiedAt: NOW, signedAt: null });
});

describe("the attacks that a control plane names, an agent names alike (hazard 81)", () => {
  const cases = ATTACKS_SEEN.flatMap((attack) =>
    (attack.on === "both" ? [stable, edge] : [attack.on]).map(
      (channel) => [`${attack.name} (${channel})`, attack, channel] as const,
    ),
  );
  test.each(cases)("%s", async (_, { prepare, code, daysLater }, channel) => {
    const forger = Forger.honest();
    const strike = prepare(forger);
    const own = channel === stable ? A : C;
    const { releases, on } = start(channel, own, forger);
    const current = refOf(forger, channel === stable ? "stable" : "edge");
    const honest = { channel, ref: current, host: own };
    expect(await judge(releases, honest)).toBe("ok");
    const evil = strike();
    const isFor = (host: HostName) => evil?.hosts.some((each) => each.host === host) ?? false;
    // The victim of a release is who is listed without being its channel's.
    const host = channel === edge && evil?.channel === edge && isFor(A) ? A : own;
    const wanted = { channel, ref: evil?.channel === channel ? evil.ref : current, host };
    expect(await judge(releases, wanted, days(daysLater))).toBe(code);
    expect(releases.trouble).toMatchObject({ code });
    // Nor after a restart, from what is on the disk.
    expect(await judge(on.start(forger.root()), wanted, days(daysLater))).toBe(code);
  });
});

describe("roots", () => {
  function rotate(forger: Forger, from: number, to: number): void {
    for (let version = from; version <= to; version += 1) {
      const old = forger.keys.root;
      const fresh = Forger.honest();
      open.push(fresh);
      forger.keys.root = fresh.keys.root;
      if (version % 3 === 0) forger.keys.timestamp = fresh.keys.timestamp;
      if (version % 4 === 0) forger.keys.targets = fresh.keys.targets;
      forger.versions.root = version;
      forger.writeRoot(old);
    }
    forger.next("targets").writeAll();
  }

  test("rotated over several versions at once are followed one by one, also after a restart", async () => {
    const { forger, releases, on } = start(stable, A);
    const wanted = { channel: stable, ref: refOf(forger, "stable"), host: A };
    expect(await judge(releases, wanted)).toBe("ok");
    rotate(forger, 2, 7);
    expect(await judge(releases, wanted)).toBe("ok");
    expect(releases.state?.rootVersion).toBe(7);
    rotate(forger, 8, 9);
    const again = on.start(forger.root());
    expect(await judge(again, wanted)).toBe("ok");
    expect(again.state?.rootVersion).toBe(9);
  });

  test("an agent that was off for years starts from a root that has expired, and comes to the newest", async () => {
    const forger = Forger.honest();
    const installed = forger.root();
    for (const role of ["root", "targets", "snapshot", "timestamp", "stable", "edge"] as const)
      forger.days[role] = 365 * 4;
    rotate(forger, 2, 12);
    forger.next("stable", "edge").writeAll();
    const on = signedHost({ channel: stable, host: A }, () => forger.directory);
    open.push(forger, on);
    const wanted = { channel: stable, ref: refOf(forger, "stable"), host: A };
    expect(await judge(on.start(installed), wanted, days(365 * 3))).toBe("ok");
  });

  test("a journal that is gone lets nothing old in: the versions seen lie beside it", async () => {
    const { forger, on, releases } = start(stable, A);
    const old = forger.read("metadata/timestamp.json");
    const wanted = { channel: stable, ref: refOf(forger, "stable"), host: A };
    forger.next("stable").writeAll();
    expect(await judge(releases, wanted)).toBe("ok");
    const again = () => on.start(forger.root());
    for (const name of ["agent.db", "agent.db-wal", "agent.db-shm"])
      rmSync(join(on.stateDir, name), { force: true });
    forger.put("metadata/timestamp.json", old);
    expect(await judge(again(), wanted)).toBe("rollback");
  });

  test("a host that is set back with its trust directory believes what is signed and valid, and no more", async () => {
    const { forger, on, releases } = start(stable, A);
    const old = forger.read("metadata/timestamp.json");
    const wanted = { channel: stable, ref: refOf(forger, "stable"), host: A };
    forger.next("stable").writeAll();
    expect(await judge(releases, wanted)).toBe("ok");
    rmSync(join(on.stateDir, "trust"), { recursive: true });
    forger.put("metadata/timestamp.json", old);
    const again = on.start(forger.root());
    // It can't know better until the older state expires, which is what its validity is for.
    expect(await judge(again, wanted, days(6))).toBe("ok");
    expect(await judge(again, wanted, days(7))).toBe("freeze-expired");
  });
});
