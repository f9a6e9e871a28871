import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addSecs, type Channel, type Instant, instant, type Release } from "@nixwave/effects";
import { afterEach, describe, expect, test } from "vitest";
import { encodeRevocations } from "../identity/fleetEnrolment.ts";
import { publicHalf } from "../identity/publicKey.ts";
import { formatSshPublicKey } from "../identity/sshKey.ts";
import * as ids from "../ids.ts";
import { content, host } from "../release.fixture.ts";
import { writeRelease } from "../releaseFiles.ts";
import { audit } from "./audit.ts";
import { trustClient } from "./client.ts";
import { openRepository } from "./draft.ts";
import { fetchFromDirectory } from "./fetchFile.ts";
import { encodeFleetHosts } from "./fleetHosts.ts";
import { initRepository } from "./initRepository.ts";
import { addKey, changeKeys, removeKey, rotateKey, setThreshold } from "./keyChanges.ts";
import { generateKey } from "./keyFile.ts";
import { metadataBytes } from "./layout.ts";
import { decodeMetadata } from "./metadata.ts";
import { keyIdOf } from "./publicKey.ts";
import {
  addChannel,
  addRelease,
  dropPending,
  HELD_RELEASES_MAX,
  refreshRepository,
  seenPending,
  setFleetFiles,
  signRepository,
} from "./repository.ts";
import type { Found } from "./repositoryState.ts";
import { scratchFolder } from "./scratch.fixture.ts";
import { keySigner, type Signer } from "./signer.ts";
import { expiriesOf, isDue, versionsOf } from "./trusted.ts";
import { TrustedReleases } from "./trustedReleases.ts";

const NOW = instant(Date.parse("2026-11-24T12:00:00Z"));
const later = (days: number) => addSecs(NOW, days * 86_400);
const stable = ids.channel.parse("stable");
const edge = ids.channel.parse("edge");
const folders: string[] = [];
const folder = () => {
  const made = scratchFolder();
  folders.push(made);
  return made;
};
afterEach(() => {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true, force: true });
});

function person(name: string): Signer {
  const signer = keySigner(generateKey(), name);
  if (!signer.ok) throw new Error(signer.error);
  return signer.value;
}
async function must<T>(found: Found<T>): Promise<T> {
  const result = await found;
  if (!result.ok) throw new Error(result.error.reason);
  return result.value;
}
const SSH_KEY = formatSshPublicKey(publicHalf(generateKey()));
const hosts = new Map([
  [ids.hostName.parse("a"), { channel: stable, sshHostKey: SSH_KEY }],
  [ids.hostName.parse("b"), { channel: stable, sshHostKey: null }],
  [ids.hostName.parse("c"), { channel: edge, sshHostKey: null }],
]);

async function start(owner = person("ops-1")) {
  const directory = folder();
  const hands = (signers: Signer[], now: Instant = NOW) => ({ directory, signers, now });
  await must(initRepository(hands([owner]), { channels: [stable, edge], hosts }));
  const root = readFileSync(join(directory, "metadata/1.root.json"));
  const client = (memory = folder()) =>
    trustClient({ directory: memory, root, fetch: fetchFromDirectory(directory), channels: "all" });
  return { directory, owner, hands, client, root };
}
const release = (channel: Channel, at: number, more: Partial<Release> = {}) =>
  writeRelease(
    content(channel === stable ? [host("a", 1), host("b", 1)] : [host("c", 1)], {
      channel,
      createdAt: instant(NOW - 1_000_000 + at),
      ...more,
    }),
  );

/** What a client that asks now takes for current, or the code of its refusal. */
async function currentBy(
  client: ReturnType<typeof trustClient>,
  from: string,
  channel = stable,
  now = NOW,
) {
  const trusted = await client.refresh(now);
  if (!trusted.ok) return trusted.error.code;
  const releases = new TrustedReleases(trusted.value, fetchFromDirectory(from));
  const ref = await releases.currentRef(channel);
  if (!ref.ok) return ref.error.code;
  const read = await releases.release({ channel, ref: ref.value }, now);
  return read.ok ? read.value.value.ref : read.error.code;
}

test("one key for every role: made, released, verified", async () => {
  const { directory, hands, owner, client } = await start();
  const first = release(stable, 1);
  const outcome = await must(addRelease(hands([owner]), stable, first.files));
  expect([...outcome.live]).toEqual([
    ["stable", 2],
    ["snapshot", 2],
    ["timestamp", 2],
  ]);
  expect(outcome.waiting).toEqual([]);
  expect(await currentBy(client(), directory)).toBe(first.release.ref);
  const refreshed = await client().refresh(NOW);
  if (!refreshed.ok) throw new Error(refreshed.error.reason);
  const days = expiriesOf(refreshed.value).map(({ role, expiresAt }) => [
    role,
    (expiresAt - NOW) / 86_400_000,
  ]);
  expect(Object.fromEntries(days)).toEqual({
    timestamp: 7,
    snapshot: 7,
    targets: 90,
    stable: 90,
    edge: 90,
    root: 365,
  });
  expect(readdirSync(join(directory, "pending"))).toEqual([]);
  // Plain names beside the hashed ones, for people and for readers that know no TUF.
  expect(readFileSync(join(directory, "targets/stable/current.json"), "utf8")).toContain(
    first.release.ref,
  );
});

test("init refuses a second time, and a channel with a name of its own", async () => {
  const { hands, owner } = await start();
  const again = await initRepository(hands([owner]), { channels: [stable], hosts });
  expect(again).toMatchObject({
    error: { reason: expect.stringContaining("holds a repository already") },
  });
  for (const name of ["root", "fleet", "timestamp", "constructor"]) {
    const other = { directory: folder(), signers: [owner], now: NOW };
    const made = await initRepository(other, { channels: [ids.channel.parse(name)], hosts });
    expect(made).toMatchObject({ error: { code: "refused" } });
    expect(readdirSync(other.directory)).toEqual([]);
  }
});

test("two of three people sign: the release goes live with the second signature, and says for whom it waits", async () => {
  const { directory, hands, owner, client } = await start();
  const [ann, bob, cyd] = [person("ann"), person("bob"), person("cyd")];
  for (const { publicKey: key } of [ann, bob, cyd])
    await must(addKey(hands([owner]), { role: "stable", key }));
  // The owner still signs for the channel until the threshold asks for people.
  await must(setThreshold(hands([owner, ann]), { role: "stable", threshold: 2 }));
  await must(removeKey(hands([owner, ann, bob]), { role: "stable", keyId: owner.keyId }));
  const mine = client();
  const next = release(stable, 1);
  const half = await must(addRelease(hands([owner, ann]), stable, next.files));
  expect(half.live.size).toBe(0);
  expect(half.waiting).toMatchObject([
    {
      role: "stable",
      threshold: 2,
      signedBy: [expect.stringContaining("ann")],
      missing: [expect.stringContaining("bob"), expect.stringContaining("cyd")],
    },
  ]);
  expect(await currentBy(mine, directory)).toBe("missing");
  // A stranger's signature, and the same person's again, change nothing.
  for (const signer of [person("eve"), ann]) {
    expect((await must(signRepository(hands([signer])))).live.size).toBe(0);
  }
  // Cyd has no online key: the release is complete, and waits for whoever renews the timestamp.
  const complete = await must(signRepository(hands([cyd])));
  expect(complete.live.size).toBe(0);
  expect(await currentBy(mine, directory)).toBe("missing");
  const live = await must(refreshRepository(hands([owner])));
  expect(live.waiting).toEqual([]);
  expect([...live.live.keys()]).toEqual(["stable", "snapshot", "timestamp"]);
  expect(await currentBy(mine, directory)).toBe(next.release.ref);
});

test("a release that nobody wanted to sign is not signed along with the next one", async () => {
  const { directory, hands, owner, client } = await start();
  const [ann, bob] = [person("ann"), person("bob")];
  for (const { publicKey: key } of [ann, bob])
    await must(addKey(hands([owner]), { role: "stable", key }));
  await must(setThreshold(hands([owner, ann]), { role: "stable", threshold: 2 }));
  const unwanted = release(stable, 1);
  await must(addRelease(hands([ann]), stable, unwanted.files));
  const wanted = release(stable, 2);
  await must(addRelease(hands([ann]), stable, wanted.files));
  await must(signRepository(hands([bob, owner])));
  expect(await currentBy(client(), directory)).toBe(wanted.release.ref);
  const trusted = await client().refresh(NOW);
  if (!trusted.ok) throw new Error(trusted.error.reason);
  const held = new TrustedReleases(trusted.value, fetchFromDirectory(directory)).heldRefs(stable);
  expect(held).toEqual({ ok: true, value: [wanted.release.ref] });
});

test("nobody signs what others made by doing something else", async () => {
  const { directory, hands, owner } = await start();
  const [ann, bob] = [person("ann"), person("bob")];
  for (const { publicKey: key } of [ann, bob])
    await must(addKey(hands([owner]), { role: "stable", key }));
  await must(setThreshold(hands([owner, ann]), { role: "stable", threshold: 2 }));
  await must(addRelease(hands([ann]), stable, release(stable, 1).files));
  // The owner's key could complete it: neither cron nor a release of another channel may.
  await must(refreshRepository(hands([owner])));
  await must(addRelease(hands([owner]), edge, release(edge, 1).files));
  await must(signRepository(hands([owner]), ["edge"]));
  const opened = await must(openRepository(directory));
  expect(opened.waiting).toMatchObject([
    { role: "stable", signedBy: [expect.stringContaining("ann")] },
  ]);
  expect(await refreshRepository(hands([owner]), ["stable"])).toMatchObject({
    error: { reason: expect.stringContaining("waits for signatures") },
  });
  // Nor a change of keys on top of another's.
  const eve = person("eve");
  await must(addKey(hands([eve]), { role: "root", key: eve.publicKey }));
  const onTop = await setThreshold(hands([owner]), { role: "timestamp", threshold: 1 });
  expect(onTop).toMatchObject({ error: { reason: expect.stringContaining("or drop it") } });
  expect((await must(dropPending(hands([owner]), ["root", "stable"]))).waiting).toEqual([]);
  expect((await setThreshold(hands([owner]), { role: "timestamp", threshold: 1 })).ok).toBe(true);
});

test("online keys of two people: snapshot first, then the timestamp over it", async () => {
  const { directory, hands, owner, client } = await start();
  const bob = person("bob");
  for (const role of ["snapshot", "timestamp"]) {
    await must(addKey(hands([owner]), { role, key: bob.publicKey }));
    await must(setThreshold(hands([owner, bob]), { role, threshold: 2 }));
  }
  const next = release(stable, 1);
  expect(
    (await must(addRelease(hands([owner]), stable, next.files))).waiting.map(({ role }) => role),
  ).toEqual(["stable", "snapshot"]);
  expect((await must(signRepository(hands([bob])))).waiting.map(({ role }) => role)).toEqual([
    "stable",
    "snapshot",
    "timestamp",
  ]);
  expect((await must(signRepository(hands([owner])))).waiting).toEqual([]);
  expect(await currentBy(client(), directory)).toBe(next.release.ref);
});

describe("keys", () => {
  test.each(["root", "targets", "snapshot", "timestamp", "stable"])(
    "%s: rotated, and clients of before and of now go on",
    async (role) => {
      const { directory, hands, owner, client } = await start();
      const first = release(stable, 1);
      await must(addRelease(hands([owner]), stable, first.files));
      const before = client();
      expect(await currentBy(before, directory)).toBe(first.release.ref);
      const next = person("next");
      const outcome = await must(
        rotateKey(hands([owner, next]), { role, keyId: owner.keyId, key: next.publicKey }),
      );
      expect(outcome.waiting).toEqual([]);
      expect(await currentBy(before, directory)).toBe(first.release.ref);
      expect(await currentBy(client(), directory)).toBe(first.release.ref);
      const second = release(stable, 2);
      await must(addRelease(hands([owner, next]), stable, second.files));
      expect(await currentBy(before, directory)).toBe(second.release.ref);
      // The old key alone does not reach this role any more.
      const opened = await must(openRepository(directory));
      const keys =
        role === "stable"
          ? opened.live.targets.signed.delegations?.roles.find(({ name }) => name === role)?.keyids
          : undefined;
      const top =
        role === "stable"
          ? keys
          : opened.live.root.signed.roles[
              role === "root" || role === "targets" || role === "snapshot" ? role : "timestamp"
            ].keyids;
      expect(top).toEqual([next.keyId]);
    },
  );

  test("a root rotated many times at once is followed by a client that missed them all", async () => {
    const { directory, hands, owner, client } = await start();
    const old = client();
    expect(await currentBy(old, directory)).toBe("missing");
    let last = owner;
    for (let turn = 0; turn < 5; turn += 1) {
      const next = person(`root-${turn}`);
      await must(
        rotateKey(hands([owner, last, next]), {
          role: "root",
          keyId: last.keyId,
          key: next.publicKey,
        }),
      );
      last = next;
    }
    expect(
      readdirSync(join(directory, "metadata")).filter((name) => name.endsWith(".root.json")),
    ).toHaveLength(6);
    const trusted = await old.refresh(NOW);
    if (!trusted.ok) throw new Error(trusted.error.reason);
    expect(versionsOf(trusted.value).get("root")).toBe(6);
  });

  test("a new root waits for old and new keys, and nothing of it is live before", async () => {
    const { directory, hands, owner, client } = await start();
    const next = person("next");
    const half = await must(
      rotateKey(hands([owner]), { role: "root", keyId: owner.keyId, key: next.publicKey }),
    );
    expect(half.live.size).toBe(0);
    expect(half.waiting).toMatchObject([{ role: "root", version: 2 }]);
    expect(readdirSync(join(directory, "metadata"))).not.toContain("2.root.json");
    // Releases go on meanwhile.
    const first = release(stable, 1);
    await must(addRelease(hands([owner]), stable, first.files));
    expect(await currentBy(client(), directory)).toBe(first.release.ref);
    expect((await must(signRepository(hands([next])))).waiting).toEqual([]);
    expect(readdirSync(join(directory, "metadata"))).toContain("2.root.json");
  });

  test("a new root by its new keys alone waits for the old ones", async () => {
    const { directory, hands, owner, client } = await start();
    const next = person("next");
    const change = { role: "root", keyId: owner.keyId, key: next.publicKey };
    const half = await must(rotateKey(hands([next]), change));
    expect(half.live.size).toBe(0);
    expect(half.waiting).toMatchObject([
      { role: "root", signedBy: [], missing: [expect.stringContaining("ops-1")] },
    ]);
    expect((await must(signRepository(hands([owner])))).live.get("root")).toBe(2);
    expect(await currentBy(client(), directory)).toBe("missing");
  });

  test.each([
    [
      "the last key",
      (hands: Hands, owner: Signer) => removeKey(hands, { role: "stable", keyId: owner.keyId }),
      "lower the threshold, or add a key first",
    ],
    [
      "a key that is not there",
      (hands: Hands) => removeKey(hands, { role: "stable", keyId: "f".repeat(64) }),
      "has no key",
    ],
    [
      "a key twice",
      (hands: Hands, owner: Signer) => addKey(hands, { role: "root", key: owner.publicKey }),
      "already",
    ],
    [
      "a threshold above the keys",
      (hands: Hands) => setThreshold(hands, { role: "edge", threshold: 2 }),
      "from 1 to 1",
    ],
    [
      "a role that is none",
      (hands: Hands) => setThreshold(hands, { role: "lab", threshold: 1 }),
      "expected one of root, targets, snapshot, timestamp, stable, edge",
    ],
    [
      "a key that is none",
      (hands: Hands) =>
        addKey(hands, {
          role: "root",
          key: { keytype: "ed25519", scheme: "ed25519", keyval: { public: "00".repeat(32) } },
        }),
      "a weak one that everybody can sign with",
    ],
  ])("refused, and nothing is written: %s", async (_, act, sentence) => {
    const { directory, hands, owner } = await start();
    const before = filesOf(directory);
    const outcome = await act(hands([owner]), owner);
    expect(outcome).toMatchObject({
      ok: false,
      error: { reason: expect.stringContaining(sentence) },
    });
    expect(filesOf(directory)).toEqual(before);
  });
});
type Hands = Parameters<typeof signRepository>[0];

test("a new channel, under keys of its own, waits until they sign", async () => {
  const { directory, hands, owner, client } = await start();
  const [lab, ann] = [ids.channel.parse("lab"), person("ann")];
  const half = await must(
    addChannel(hands([owner]), { channel: lab, keys: [ann.publicKey], threshold: 1 }),
  );
  expect(half.waiting.map(({ role }) => role).sort()).toEqual(["lab", "targets"]);
  expect(await currentBy(client(), directory, lab)).toBe("unknown-role");
  await must(signRepository(hands([ann, owner])));
  expect(await currentBy(client(), directory, lab)).toBe("missing");
});

test("refresh signs the timestamp anew; without it everything ends after seven days", async () => {
  const { directory, hands, owner, client } = await start();
  const first = release(stable, 1);
  await must(addRelease(hands([owner]), stable, first.files));
  expect(await currentBy(client(), directory, stable, later(8))).toBe("freeze-expired");
  const before = await client().refresh(NOW);
  if (!before.ok) throw new Error(before.error.reason);
  const due = expiriesOf(before.value).filter((expiry) => isDue(expiry, later(5.5)));
  expect(due.map(({ role }) => role).sort()).toEqual(["snapshot", "timestamp"]);
  expect(expiriesOf(before.value).filter((expiry) => isDue(expiry, later(5)))).toEqual([]);
  await must(refreshRepository(hands([owner], later(6))));
  expect(await currentBy(client(), directory, stable, later(8))).toBe(first.release.ref);
  const all = await must(
    refreshRepository(hands([owner], later(10)), ["root", "targets", "stable", "edge"]),
  );
  expect([...all.live.keys()].sort()).toEqual([
    "edge",
    "root",
    "snapshot",
    "stable",
    "targets",
    "timestamp",
  ]);
});

test("fleet files are the targets role's: replaced as a whole, checked before", async () => {
  const { directory, hands, owner, client } = await start();
  const bytes = encodeRevocations(
    new Map([[ids.hostName.parse("a"), { before: null, reason: "sold" }]]),
  );
  await must(setFleetFiles(hands([owner]), new Map([["revocations.json", bytes]])));
  const trusted = await client().refresh(NOW);
  if (!trusted.ok) throw new Error(trusted.error.reason);
  const releases = new TrustedReleases(trusted.value, fetchFromDirectory(directory));
  const read = await releases.fleetFile("revocations.json");
  expect(read.ok && Buffer.from(read.value?.value ?? []).equals(bytes)).toBe(true);
  expect(await releases.fleetFile("enrolment.json")).toEqual({ ok: true, value: null });
  const before = filesOf(directory);
  const a = { channel: "stable", sshHostKey: "ssh-ed25519 AAAA a" };
  for (const [file, text] of [
    ["hosts.json", "{}"],
    ["hosts.json", JSON.stringify({ schemaVersion: 1, hosts: { a } })],
    ["enrolment.json", "[]"],
    ["revocations.json", '{"schemaVersion":1,"hosts":{"A b":null}}'],
  ] as const) {
    const wrong = await setFleetFiles(hands([owner]), new Map([[file, Buffer.from(text)]]));
    expect(wrong).toMatchObject({ error: { reason: expect.stringContaining(`fleet/${file}`) } });
  }
  expect(filesOf(directory)).toEqual(before);
});

test("a host can't be taken from a channel whose current release still lists it", async () => {
  const { directory, hands, owner, client } = await start();
  const first = release(stable, 1);
  await must(addRelease(hands([owner]), stable, first.files));
  const moved = new Map(hosts).set(ids.hostName.parse("b"), { channel: edge, sshHostKey: null });
  const move = () =>
    setFleetFiles(hands([owner]), new Map([["hosts.json", encodeFleetHosts(moved)]]));
  expect(await move()).toMatchObject({
    error: { reason: expect.stringContaining("release stable without it first") },
  });
  const without = release(stable, 2, { hosts: [host("a", 1)] });
  await must(addRelease(hands([owner]), stable, without.files));
  await must(move());
  expect(await currentBy(client(), directory)).toBe(without.release.ref);
});

test.each([
  ["another channel's host", [host("c", 1)], "gives to channel edge"],
  ["a host that nobody declared", [host("z", 1)], "does not have"],
])("a release that lists %s is not even made", async (_, listed, sentence) => {
  const { directory, hands, owner } = await start();
  const before = filesOf(directory);
  const made = await addRelease(
    hands([owner]),
    stable,
    release(stable, 1, { hosts: listed }).files,
  );
  expect(made).toMatchObject({
    ok: false,
    error: { code: "refused", reason: expect.stringContaining(sentence) },
  });
  const files = writeRelease(content(listed, { createdAt: NOW })).files;
  expect(await addRelease(hands([owner]), stable, files)).toMatchObject({
    error: { reason: expect.stringContaining(sentence) },
  });
  expect(filesOf(directory)).toEqual(before);
});

test("killed at any write: clients of before and new ones see the old state or the new, never half", async () => {
  const { directory, hands, owner, root } = await start();
  const first = release(stable, 1);
  await must(addRelease(hands([owner]), stable, first.files));
  const next = person("next");
  const changes: [string, () => Promise<{ live: ReadonlyMap<string, number> }>, boolean][] = [
    ["release", () => must(addRelease(hands([owner]), stable, release(stable, 2).files)), true],
    [
      "timestamp key",
      () =>
        must(
          rotateKey(hands([owner, next]), {
            role: "timestamp",
            keyId: owner.keyId,
            key: next.publicKey,
          }),
        ),
      true,
    ],
    [
      "targets key",
      () =>
        must(
          rotateKey(hands([owner, next]), {
            role: "targets",
            keyId: owner.keyId,
            key: next.publicKey,
          }),
        ),
      true,
    ],
  ];
  for (const [what, act, whole] of changes) {
    const [before, old] = [folder(), folder()];
    cpSync(directory, before, { recursive: true });
    const fetch = fetchFromDirectory(before);
    const knows = trustClient({ directory: old, root, fetch, channels: "all" });
    expect((await knows.refresh(NOW)).ok).toBe(true);
    const { live } = await act();
    const paths = [...live].map(([role, version]) =>
      role === "timestamp" ? "metadata/timestamp.json" : `metadata/${version}.${role}.json`,
    );
    const known = filesOf(before);
    const targets = Object.keys(filesOf(directory)).filter(
      (path) => path.startsWith("targets/") && known[path] === undefined,
    );
    expect(targets.length + paths.length).toBeGreaterThan(1);
    for (const path of [...targets, ...paths]) {
      mkdirSync(dirname(join(before, path)), { recursive: true });
      writeFileSync(join(before, path), readFileSync(join(directory, path)));
      const fresh = trustClient({ directory: folder(), root, fetch, channels: "all" });
      for (const client of [fresh, knows]) {
        expect((await currentBy(client, before)).length === 40, `${what}, up to ${path}`).toBe(
          whole,
        );
      }
    }
  }
});

test("a change that nobody present may sign is refused, and does not stand in anybody's way", async () => {
  const { directory, hands, owner } = await start();
  const eve = hands([person("eve")]);
  const root = { role: "root", key: person("eve's").publicKey };
  for (const refused of [
    addRelease(eve, stable, release(stable, 1).files),
    addKey(eve, { ...root, role: "stable" }),
    setFleetFiles(eve, new Map([["hosts.json", encodeFleetHosts(hosts)]])),
    refreshRepository(eve, ["root"]),
  ]) {
    expect(await refused).toMatchObject({
      error: {
        reason: expect.stringMatching(/^eve \([0-9a-f]{12}\) may not sign \w+: that is for/),
      },
    });
  }
  expect((await must(openRepository(directory))).waiting).toEqual([]);
  await must(addRelease(hands([owner]), stable, release(stable, 1).files));
});

test("thresholds of several roles at once: what is only signed anew for them waits with them, and then all of it is live", async () => {
  const { hands, owner, client, directory } = await start();
  const other = person("ops-2");
  const roles = ["root", "targets", "stable", "snapshot", "timestamp"];
  const adds = roles.map((role) => ({ kind: "add", role, key: other.publicKey }) as const);
  await must(changeKeys(hands([owner]), adds));
  const raised = ["root", "targets", "stable"].map(
    (role) => ({ kind: "threshold", role, threshold: 2 }) as const,
  );
  const first = await must(changeKeys(hands([owner]), raised));
  expect(first.live).toEqual(new Map());
  expect(first.waiting.map(({ role }) => role).sort()).toEqual(["root", "stable", "targets"]);
  const second = await must(signRepository(hands([other])));
  expect([...second.live.keys()].sort()).toEqual([
    "root",
    "snapshot",
    "stable",
    "targets",
    "timestamp",
  ]);
  expect(second.waiting).toEqual([]);
  await must(addRelease(hands([owner]), stable, release(stable, 1).files));
  const released = await must(signRepository(hands([other])));
  expect(released.live.get("stable")).toBe(3);
  expect(await currentBy(client(), directory)).toBe(release(stable, 1).release.ref);
});

test("of several changes of keys one is refused: none is made", async () => {
  const { directory, hands, owner } = await start();
  const add = { kind: "add", role: "stable", key: person("ops-2").publicKey } as const;
  const wrong = { kind: "threshold", role: "root", threshold: 2 } as const;
  expect(await changeKeys(hands([owner]), [add, wrong])).toMatchObject({ ok: false });
  const { live, waiting } = await must(openRepository(directory));
  expect([live.targets.signed.version, waiting]).toEqual([1, []]);
});

test("a clock that is behind signs nothing: it would end sooner than what it replaces", async () => {
  const { hands, owner } = await start();
  const early = hands([owner], addSecs(NOW, -3600));
  expect(await refreshRepository(early)).toMatchObject({
    error: { reason: expect.stringContaining("set the clock, then do it again") },
  });
  await must(refreshRepository(hands([owner], addSecs(NOW, -300))));
});

test("what is signed is what was shown: if something else waits by then, nothing is signed", async () => {
  const { directory, hands, owner } = await start();
  const other = person("ops-2");
  await must(addKey(hands([owner]), { role: "stable", key: other.publicKey }));
  await must(setThreshold(hands([owner, other]), { role: "stable", threshold: 2 }));
  await must(addRelease(hands([owner]), stable, release(stable, 1).files));
  const seen = seenPending((await must(openRepository(directory))).pending);
  await must(addRelease(hands([owner]), stable, release(stable, 2).files));
  expect(await signRepository(hands([other]), ["stable"], seen)).toMatchObject({
    error: { reason: expect.stringContaining("not what was shown any more") },
  });
  const again = seenPending((await must(openRepository(directory))).pending);
  const signed = await must(signRepository(hands([other, owner]), ["stable"], again));
  expect(signed.live.has("stable")).toBe(true);
});

test("what was written but not cleared away before a crash waits no more", async () => {
  const { directory, hands, owner } = await start();
  const other = person("ops-2");
  await must(addKey(hands([owner]), { role: "stable", key: other.publicKey }));
  await must(setThreshold(hands([owner, other]), { role: "stable", threshold: 2 }));
  await must(addRelease(hands([owner]), stable, release(stable, 1).files));
  const saved = readFileSync(join(directory, "pending/stable.json"));
  await must(signRepository(hands([owner, other])));
  writeFileSync(join(directory, "pending/stable.json"), saved);
  expect((await must(openRepository(directory))).waiting).toEqual([]);
});

test("a channel keeps its releases signed, the newest of them, for recovery", async () => {
  const { directory, hands, owner, client } = await start();
  const made = [1, 2, 3].map((at) => release(edge, at));
  for (const { files } of made) await must(addRelease(hands([owner]), edge, files));
  const trusted = await client().refresh(NOW);
  if (!trusted.ok) throw new Error(trusted.error.reason);
  const releases = new TrustedReleases(trusted.value, fetchFromDirectory(directory));
  const held = await releases.held(edge, NOW);
  const refs = made.map((each) => each.release.ref);
  expect(held.ok && held.value.map(({ value }) => value.ref)).toEqual(refs);
  const current = await releases.current(edge, NOW);
  expect(current.ok && current.value.value.ref).toBe(refs[2]);
});

test("of very many releases of a channel the oldest are no longer signed", async () => {
  const { directory, hands, owner, client } = await start();
  // The role as it is after years: a file with as many heads as are kept, signed by its owner.
  const path = join(directory, "metadata/1.edge.json");
  const file = decodeMetadata("targets", readFileSync(path));
  if (!file.ok) throw new Error(file.error);
  const heads = Array.from(
    { length: HELD_RELEASES_MAX },
    (_, at) => `edge/${at.toString(16).padStart(40, "0")}.json`,
  );
  const entry = { length: 1, hashes: { sha256: "0".repeat(64) } };
  const targets = Object.fromEntries(heads.map((head) => [head, entry]));
  const unsigned = { signed: { ...file.value.signed, targets }, signatures: [] };
  writeFileSync(path, metadataBytes(unsigned));
  const next = release(edge, 1);
  await must(addRelease(hands([owner]), edge, next.files));
  const { live } = await must(openRepository(directory));
  const kept = Object.keys(live.channels.get(edge)?.signed.targets ?? {});
  expect(kept).toHaveLength(HELD_RELEASES_MAX + 1);
  expect(kept).not.toContain(heads[0]);
  expect(kept).toContain(heads[1]);
  expect(await currentBy(client(), directory, edge)).toBe(next.release.ref);
});

test("a signer that fails leaves everything as it was", async () => {
  const { directory, hands, owner } = await start();
  const before = filesOf(directory);
  const broken: Signer = {
    ...owner,
    sign: async () => Promise.reject(new Error("the token was pulled")),
  };
  const outcome = await refreshRepository(hands([broken]));
  expect(outcome).toMatchObject({
    error: { code: "not-signed", reason: expect.stringContaining("the token was pulled") },
  });
  expect(filesOf(directory)).toEqual(before);
});

test("audit: who signed what, when it ends, and whether closures are covered by digest", async () => {
  const { directory, hands, owner } = await start();
  const ann = person("ann");
  await must(addKey(hands([owner]), { role: "stable", key: ann.publicKey }));
  const covered = { ...host("a", 1), closureDigest: "a".repeat(64) };
  const files = writeRelease(content([covered, host("b", 1)], { createdAt: NOW })).files;
  await must(addRelease(hands([owner]), stable, files));
  const found = await audit(fetchFromDirectory(directory), null, NOW);
  if (!found.ok) throw new Error(found.error.reason);
  expect(found.value.problems).toEqual([]);
  expect(found.value.channels).toMatchObject([
    { channel: "edge", release: null },
    { channel: "stable", release: { createdBy: "ci", hosts: 2, covered: 1 } },
  ]);
  const role = found.value.roles.find((each) => each.role === "stable");
  expect(role).toMatchObject({
    threshold: 1,
    expired: false,
    keys: [{ name: `ops-1 (${owner.keyId.slice(0, 12)})`, signed: true }, { signed: false }],
  });
  expect(keyIdOf(ann.publicKey)).toBe(role?.keys[1]?.keyId);
  const over = await audit(fetchFromDirectory(directory), null, later(100));
  if (!over.ok) throw new Error(over.error.reason);
  expect(new Set(over.value.problems.map(({ expired }) => expired?.role))).toEqual(
    new Set(["edge", "snapshot", "stable", "targets", "timestamp"]),
  );
  expect(over.value.roles.filter(({ expired }) => expired).map((each) => each.role)).not.toContain(
    "root",
  );
  // Nothing that is not a repository is one.
  expect((await audit(fetchFromDirectory(folder()), null, NOW)).ok).toBe(false);
});

/** Every file with its text. */
function filesOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  const files = names.map((each) => {
    const path = join(each.parentPath, each.name);
    return [path.slice(directory.length + 1), readFileSync(path, "utf8")] as const;
  });
  return Object.fromEntries(files);
}
