import { addSecs, instant } from "@nixwave/effects";
import { afterEach, describe, expect, test } from "vitest";
import * as ids from "../ids.ts";
import { host } from "../release.fixture.ts";
import { ATTACKS, isAttack } from "./attack.ts";
import { trustClient } from "./client.ts";
import { fetchFromDirectory } from "./fetchFile.ts";
import { clientOf, edge, Forger, forgeKey, NOW, stable } from "./forger.fixture.ts";
import { stillValid } from "./trusted.ts";
import { TrustedReleases } from "./trustedReleases.ts";

const open: { remove(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.remove();
});
function start() {
  const forger = Forger.honest();
  const client = clientOf(forger);
  open.push(forger, client);
  return { forger, client, judge: client.judge };
}
const later = (days: number) => addSecs(NOW, days * 86_400);

test("an honest repository is trusted, and again with nothing new", async () => {
  const { client, judge } = start();
  expect(await judge()).toBe("ok");
  expect(await judge(edge)).toBe("ok");
  const releases = await client.releases();
  if (!(releases instanceof TrustedReleases)) throw new Error(releases.reason);
  const ref = await releases.currentRef(stable);
  if (!ref.ok) throw new Error(ref.error.reason);
  const own = { channel: stable, ref: ref.value, host: ids.hostName.parse("a") };
  expect(await releases.releaseForHost(own, NOW)).toMatchObject({
    ok: true,
    value: { value: { host: "a", channel: "stable", terms: { wave: 1 } } },
  });
  expect(await releases.hosts()).toMatchObject({ ok: true });
});

test("rollback: an old timestamp, signed once, is refused for ever after", async () => {
  const { forger, judge } = start();
  const old = forger.read("metadata/timestamp.json");
  forger.next("stable").release(stable, [host("a", 1)]);
  forger.writeAll();
  expect(await judge()).toBe("ok");
  forger.put("metadata/timestamp.json", old);
  expect(await judge()).toBe("rollback");
});

test("rollback: the highest versions outlive the process", async () => {
  const { forger, client } = start();
  const old = forger.read("metadata/timestamp.json");
  forger.next("stable").writeAll();
  expect(await client.judge()).toBe("ok");
  forger.put("metadata/timestamp.json", old);
  const fetch = fetchFromDirectory(forger.directory);
  const again = trustClient({
    directory: client.directory,
    root: forger.root(),
    fetch,
    channels: [],
  });
  expect(await again.refresh(NOW)).toMatchObject({ ok: false, error: { code: "rollback" } });
});

test("rollback: a thief of the timestamp's and snapshot's keys can't name an older release", async () => {
  const { forger, judge } = start();
  const before = { ...forger.meta };
  forger.next("stable").release(stable, [host("a", 1)]);
  forger.writeAll();
  expect(await judge()).toBe("ok");
  forger.next();
  Object.assign(forger.meta, before);
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("rollback");
});

test("rollback: a channel that the snapshot no longer names", async () => {
  const { forger, judge } = start();
  expect(await judge()).toBe("ok");
  forger.next();
  delete forger.meta["edge.json"];
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("rollback");
});

test("indefinite freeze: a mirror that holds everything back is found out when the timestamp expires (hazard 82)", async () => {
  const { forger, client, judge } = start();
  expect(await judge(stable, later(6.9))).toBe("ok");
  expect(await client.client.refresh(later(7))).toMatchObject({
    ok: false,
    error: { code: "freeze-expired", expired: { role: "timestamp", expiresAt: later(7) } },
  });
  // What was verified before is still known, and is data: no new activation starts on it, nothing else stops.
  const before = await client.client.refresh(later(6));
  if (!before.ok) throw new Error(before.error.reason);
  expect(stillValid(before.value, stable, later(6)).ok).toBe(true);
  expect(stillValid(before.value, stable, later(7))).toMatchObject({
    error: { role: expect.any(String) },
  });
  forger.days.timestamp = forger.days.snapshot = 20;
  forger.next().writeAll();
  expect(await judge(stable, later(7))).toBe("ok");
});

test.each([
  ["root", 1, "root"],
  ["targets", 1, "targets"],
  ["snapshot", 1, "snapshot"],
  ["stable", 1, "stable"],
] as const)("indefinite freeze: an expired %s is refused, and named", async (role, days, named) => {
  const forger = Forger.honest();
  open.push(forger);
  forger.days[role] = days;
  forger.writeRoot();
  forger.writeAll();
  const client = clientOf(forger);
  open.push(client);
  const trusted = await client.client.refresh(later(2));
  const problem = trusted.ok ? trusted.value.channels.get(stable) : trusted;
  expect(problem).toMatchObject({
    ok: false,
    error: { code: "freeze-expired", expired: { role: named, expiresAt: later(1) } },
  });
  // Another channel's expiry is nobody else's.
  expect(await client.judge(edge, later(2))).toBe(role === "stable" ? "ok" : "freeze-expired");
  expect(await client.judge(stable, instant(later(1) - 1))).toBe("ok");
});

test("mix-and-match: an old file of a channel under a new snapshot's name", async () => {
  const { forger, judge } = start();
  const old = forger.read("metadata/1.stable.json");
  forger.next("stable").release(stable, [host("a", 1)]);
  forger.writeAll();
  forger.put("metadata/2.stable.json", old);
  expect(await judge()).toBe("mix-and-match");
  expect(await judge(edge)).toBe("ok");
});

test("mix-and-match: an old snapshot under a new timestamp", async () => {
  const { forger, judge } = start();
  const old = forger.read("metadata/1.snapshot.json");
  forger.next("stable").writeAll();
  forger.put("metadata/2.snapshot.json", old);
  expect(await judge()).toBe("mix-and-match");
});

test("fast-forward: after the stolen timestamp key is rotated away, lower versions count again", async () => {
  const { forger, judge } = start();
  expect(await judge()).toBe("ok");
  // The thief of both online keys.
  forger.versions.timestamp = forger.versions.snapshot = 2_000_000_000;
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("ok");
  forger.versions.timestamp = forger.versions.snapshot = 1;
  forger.next().writeAll();
  expect(await judge()).toBe("rollback");
  forger.keys.timestamp = [forgeKey()];
  forger.keys.snapshot = [forgeKey()];
  forger.versions.root = 2;
  forger.writeRoot();
  forger.next().writeAll();
  expect(await judge()).toBe("ok");
});

describe("endless data", () => {
  const endless = (at: RegExp, forger: Forger) => {
    let sent = 0;
    const fetch = async (path: string) => {
      if (!at.test(path)) return await fetchFromDirectory(forger.directory)(path);
      return (async function* () {
        for (;;) {
          sent += 65_536;
          yield new Uint8Array(65_536).fill(32);
        }
      })();
    };
    return { fetch, sent: () => sent };
  };
  test.each([
    ["timestamp", /timestamp/, 200_000],
    ["root", /2\.root/, 700_000],
    ["snapshot", /1\.snapshot/, 2_200_000],
    ["channel", /1\.stable/, 5_200_000],
    ["release head", /targets\/stable\/[0-9a-f]{64}\.current/, 300_000],
  ])("%s", async (_, at, most) => {
    const forger = Forger.honest();
    const { fetch, sent } = endless(at, forger);
    const client = clientOf(forger, fetch);
    open.push(forger, client);
    expect(await client.judge()).toBe("endless-data");
    expect(sent()).toBeLessThan(most);
  });
});

test.each([
  ["wrong length", (bytes: Uint8Array) => bytes.subarray(0, -1)],
  ["wrong hash", (bytes: Uint8Array) => bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte))],
  ["something added", (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.from(" ")])],
])("%s of a target or of a named metadata file", async (_, change) => {
  const { forger, judge, client } = start();
  const releases = await client.releases();
  if (!(releases instanceof TrustedReleases)) throw new Error("trusted");
  const entry = forger.targets.stable["stable/current.json"];
  const sha = /"sha256":"(\w+)"/.exec(JSON.stringify(entry))?.[1];
  for (const path of [
    `targets/stable/${sha}.current.json`,
    "metadata/1.stable.json",
    "metadata/1.targets.json",
  ]) {
    const fresh = clientOf(forger);
    open.push(fresh);
    const honest = forger.read(path);
    forger.put(path, change(honest));
    expect(await fresh.judge(), path).toBe("wrong-length-or-hash");
    forger.put(path, honest);
  }
  expect(await judge()).toBe("ok");
});

test("threshold not met: one of two people signed", async () => {
  const { forger, judge } = start();
  forger.keys.stable = [forgeKey(), forgeKey(), forgeKey()];
  forger.thresholds.stable = 2;
  forger.next("targets", "stable");
  forger.writeAll();
  expect(await judge()).toBe("ok");
  forger.next("stable");
  forger.writeChannel("stable", forger.keys.stable.slice(0, 1));
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("threshold-not-met");
});

test("threshold not met: one key twice, under its own and another's id", async () => {
  const { forger, judge } = start();
  const [mine, other] = [forgeKey(), forgeKey()];
  forger.keys.stable = [mine, other];
  forger.thresholds.stable = 2;
  forger.next("targets", "stable");
  forger.writeTargets();
  forger.writeChannel("stable", [mine, { ...mine, id: other.id }]);
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("threshold-not-met");
});

test("malicious mirror: no byte of any metadata file can be changed unseen", async () => {
  const forger = Forger.honest();
  open.push(forger);
  for (const name of ["timestamp", "1.snapshot", "1.targets", "1.stable"]) {
    const path = `metadata/${name}.json`;
    const honest = forger.read(path);
    for (let at = 0; at < honest.length; at += 97) {
      forger.put(
        path,
        honest.map((byte, index) => (index === at ? byte ^ 2 : byte)),
      );
      const client = clientOf(forger);
      expect(await client.judge(), `${path} at ${at}`).not.toBe("ok");
      client.remove();
    }
    forger.put(path, honest);
  }
});

test("malicious mirror: its own keys, all roles signed anew", async () => {
  const { forger, judge } = start();
  const mirror = Forger.honest();
  open.push(mirror);
  for (const name of ["timestamp", "1.snapshot", "1.targets", "1.stable"]) {
    forger.put(`metadata/${name}.json`, mirror.read(`metadata/${name}.json`));
  }
  expect(await judge()).toBe("threshold-not-met");
  mirror.versions.root = 2;
  mirror.writeRoot();
  forger.put("metadata/2.root.json", mirror.read("metadata/2.root.json"));
  expect(await judge()).toBe("threshold-not-met");
});

test("key compromised and rotated away: what it signs counts no more, and what it signed before neither", async () => {
  const { forger, judge } = start();
  const [stolen] = forger.keys.stable;
  if (stolen === undefined) throw new Error("a key");
  forger.keys.stable = [forgeKey()];
  forger.next("targets", "stable").writeAll();
  expect(await judge()).toBe("ok");
  forger.next("stable").release(stable, [host("a", 1)]);
  forger.writeChannel("stable", [stolen]);
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("threshold-not-met");
});

test("root rotation over several versions at once, each signed by the one before", async () => {
  const { forger, judge, client } = start();
  for (let version = 2; version <= 6; version += 1) {
    const old = forger.keys.root;
    forger.keys.root = [forgeKey()];
    if (version === 4) forger.keys.targets = [forgeKey()];
    if (version === 5) forger.keys.timestamp = [forgeKey()];
    forger.versions.root = version;
    forger.writeRoot(old);
  }
  forger.next("targets").writeAll();
  expect(await judge()).toBe("ok");
  const trusted = await client.client.refresh(NOW);
  expect(trusted).toMatchObject({ value: { root: { file: { signed: { version: 6 } } } } });
});

test("root rotation: a root that the old keys did not sign, or that skips a version", async () => {
  const { forger, judge } = start();
  const old = forger.keys.root;
  forger.keys.root = [forgeKey()];
  forger.versions.root = 2;
  forger.writeRoot();
  expect(await judge()).toBe("threshold-not-met");
  forger.versions.root = 3;
  forger.writeRoot(old);
  forger.put("metadata/2.root.json", forger.read("metadata/3.root.json"));
  expect(await judge()).toBe("rollback");
});

test("wrong channel: a channel's key signs for another channel", async () => {
  const { forger, judge } = start();
  forger.next("edge").release(stable, [host("a", 1)], {}, "edge");
  forger.writeAll();
  expect(await judge(edge)).toBe("wrong-channel");
  expect(await judge(stable)).toBe("ok");
});

test("wrong channel: the head of another channel, renamed", async () => {
  const { forger, judge } = start();
  const [path] = Object.keys(forger.targets.stable).filter((each) => !each.includes("current"));
  const base = path?.split("/")[1] ?? "";
  const entry = JSON.stringify(forger.targets.stable[path ?? ""]);
  const sha = /"sha256":"(\w+)"/.exec(entry)?.[1];
  forger.target("edge", `edge/${base}`, forger.read(`targets/stable/${sha}.${base}`));
  const current = JSON.stringify({ channel: "edge", ref: base.replace(".json", "") });
  forger.target("edge", "edge/current.json", Buffer.from(current));
  forger.next("edge").writeAll();
  expect(await judge(edge)).toBe("wrong-channel");
});

test("wrong channel: a release lists another channel's host, for the CP and for that host's agent", async () => {
  const { forger, client, judge } = start();
  const release = forger.next("edge").release(edge, [host("c", 1), host("a", 1)]);
  forger.writeAll();
  expect(await judge(edge)).toBe("wrong-channel");
  const releases = await client.releases();
  if (!(releases instanceof TrustedReleases)) throw new Error("trusted");
  const asked = { channel: edge, ref: release.ref, host: ids.hostName.parse("a") };
  expect(await releases.releaseForHost(asked, NOW)).toMatchObject({
    error: { code: "wrong-channel" },
  });
});

test("wrong channel: a channel's key declares a host's SSH key", async () => {
  const { forger, client, judge } = start();
  const hosts = {
    schemaVersion: 1,
    hosts: { a: { channel: "edge", sshHostKey: "ssh-ed25519 AAAA thief" } },
  };
  forger.target("edge", "fleet/hosts.json", Buffer.from(JSON.stringify(hosts)));
  forger.next("edge").writeAll();
  expect(await judge(edge)).toBe("wrong-channel");
  const releases = await client.releases();
  if (!(releases instanceof TrustedReleases)) throw new Error("trusted");
  const known = await releases.hosts();
  expect(known.ok && known.value.get(ids.hostName.parse("a"))).toMatchObject({
    channel: "stable",
    sshHostKey: "ssh-ed25519 AAAA a",
  });
});

test("wrong channel: the top-level targets sign a release past its channel's keys", async () => {
  const { forger, judge } = start();
  forger.next("targets").release(stable, [host("a", 1)], {}, "targets");
  forger.writeAll();
  expect(await judge()).toBe("wrong-channel");
});

test("unknown role: a channel that nobody delegated to", async () => {
  const { judge } = start();
  expect(await judge(ids.channel.parse("lab"))).toBe("unknown-role");
});

test("unknown role: a delegation beyond the channel's folder", async () => {
  const { forger, judge } = start();
  forger.next("targets");
  const roles = [{ ...forger.role("edge"), name: "edge", terminating: true, paths: ["*/*"] }];
  const keys = Object.fromEntries(forger.keys.edge.map(({ id, json }) => [id, json]));
  const targets = forger.targets.targets;
  forger.writeNamed(
    "targets",
    forger.sign("targets", "targets", { targets, delegations: { keys, roles } }),
  );
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge(edge)).toBe("unknown-role");
});

test("future-dated: a release from a year ahead would be the newest for ever", async () => {
  const { forger, judge } = start();
  forger.next("stable").release(stable, [host("a", 1)], { createdAt: later(365) });
  forger.writeAll();
  expect(await judge()).toBe("future-dated");
});

test("a field that nobody here knows is part of what is signed, and is kept", async () => {
  const { forger, judge } = start();
  forger.next("stable");
  const more = { targets: forger.targets.stable, "x-later": { nested: [1, 'ü \\ "'] } };
  forger.writeNamed("stable", forger.sign("targets", "stable", more));
  forger.writeSnapshot();
  forger.writeTimestamp();
  expect(await judge()).toBe("ok");
});

test("what was verified before something failed is remembered", async () => {
  const { forger, judge } = start();
  const old = forger.keys.root;
  forger.keys.root = [forgeKey()];
  forger.versions.root = 2;
  forger.writeRoot(old);
  forger.next();
  forger.writeSnapshot();
  forger.writeTimestamp();
  forger.put("metadata/2.snapshot.json", "{}");
  expect(await judge()).toBe("wrong-length-or-hash");
  // The timestamp of before is a rollback now, although no refresh has succeeded since.
  forger.versions.snapshot = forger.versions.timestamp = 1;
  forger.writeTimestamp();
  expect(await judge()).toBe("rollback");
});

test("every attack has a code and a sentence", () => {
  expect(Object.keys(ATTACKS).every(isAttack)).toBe(true);
  expect(isAttack("toString")).toBe(false);
});
