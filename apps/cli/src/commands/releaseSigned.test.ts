import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addSecs, type Instant, instant } from "@nixwave/effects";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EXAMPLE_FLEET } from "../exampleFleet.ts";
import { runCli, TEST_NOW } from "../run.fixture.ts";

let folder = "";
let minutes = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
  minutes = 0;
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const run = (args: readonly string[]) => {
  minutes += 1;
  return runCli(args, { cwd: folder, now: addSecs(TEST_NOW, minutes * 60) });
};
const declare = (text: string): void => writeFileSync(join(folder, "fleet.yaml"), text);
const hostsJson = (): Record<string, unknown> =>
  Object(JSON.parse(readFileSync(join(folder, "releases/targets/fleet/hosts.json"), "utf8"))).hosts;
const verified = async () =>
  JSON.parse((await run(["verify", "--root", "root.json", "--json"])).data);

const WEB_9 = `  web-9:    { system: x86_64-linux, channel: stable, tags: [web], closure: 00000000000000000000000000000009-web-9-os-1 }\n`;
const withWeb9 = EXAMPLE_FLEET.replace("  mail-1:", `${WEB_9}  mail-1:`);
const EDGE = `  edge:
    waves: [{ description: all, select: { all: true } }]
`;
const withEdge = EXAMPLE_FLEET.replace("channels:\n", `channels:\n${EDGE}`).replace(
  "mail-1:   { system: aarch64-linux, channel: stable",
  "mail-1:   { system: aarch64-linux, channel: edge",
);

test("a host that is new is signed into fleet/hosts.json before the release that lists it", async () => {
  await run(["init"]);
  await run(["release"]);
  declare(withWeb9);
  const dry = await run(["release", "--dry-run"]);
  expect(dry.talk).toContain("fleet/hosts.json: web-9 (new, or with another SSH key)");
  expect(hostsJson()).not.toHaveProperty("web-9");
  expect(await run(["release"])).toMatchObject({ code: 0 });
  expect(hostsJson()).toHaveProperty("web-9", { channel: "stable", sshHostKey: null });
  expect(await verified()).toMatchObject({ sound: true, channels: [{ release: { hosts: 9 } }] });
});

test("a key that may not say who is who: nothing is written, and the sentence says who must do what", async () => {
  await run(["init"]);
  await run(["key", "generate", "ci.key"]);
  await run(["key", "add", "stable,snapshot,timestamp", "ci.pub"]);
  declare(withWeb9);
  const ran = await run(["release", "--key", "ci.key"]);
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(
    /fleet\/hosts\.json has to change first \(web-9\), and ci \([0-9a-f]{12}\) may not sign it\. One of ops-2 \([0-9a-f]{12}\) runs: nixwave host add web-9/,
  );
  expect(await verified()).toMatchObject({ sound: true, channels: [{ release: null }] });
  expect(await run(["host", "add", "web-9"])).toMatchObject({ code: 0 });
  expect(await run(["release", "--key", "ci.key"])).toMatchObject({ code: 0 });
  expect(await verified()).toMatchObject({ sound: true, channels: [{ release: { hosts: 9 } }] });
});

test("where two must sign who is who, the release comes after the second signature", async () => {
  await run(["init"]);
  await run(["release"]);
  await run(["key", "generate", "ops-3.key"]);
  await run(["key", "add", "all", "ops-3.pub"]);
  expect(
    await run([
      "key",
      "threshold",
      "targets",
      "2",
      "--key",
      "keys/ops-2.key",
      "--key",
      "ops-3.key",
    ]),
  ).toMatchObject({ code: 0 });
  declare(withWeb9);
  const held = await run(["release"]);
  expect(held.code).toBe(3);
  expect(held.talk).toContain("stable was not released: fleet/hosts.json comes first.");
  expect(await verified()).toMatchObject({ sound: true, channels: [{ release: { hosts: 8 } }] });
  const again = await run(["release"]);
  expect(again.code).toBe(3);
  const signed = await run(["sign", "--key", "ops-3.key"]);
  expect(signed).toMatchObject({
    code: 0,
    data: expect.stringContaining("fleet/hosts.json: web-9 belongs to stable"),
  });
  expect(await run(["release"])).toMatchObject({ code: 0 });
  expect(await verified()).toMatchObject({ sound: true, channels: [{ release: { hosts: 9 } }] });
});

test("a host that goes to another channel: its old one is released without it first, and no client meets a torn state", async () => {
  await run(["init"]);
  await run(["release"]);
  declare(withEdge);
  const unknown = await run(["release"]);
  expect(unknown).toMatchObject({
    code: 1,
    talk: expect.stringContaining(
      "releases has no channel edge: it has stable. Make one with: nixwave channel add edge",
    ),
  });
  expect(await run(["channel", "add", "edge"])).toMatchObject({ code: 0 });
  const alone = await run(["release", "--channel", "edge"]);
  expect(alone).toMatchObject({
    code: 1,
    talk: expect.stringContaining(
      "host mail-1 is in the current release of stable: release stable without it first",
    ),
  });
  expect(await run(["release"])).toMatchObject({ code: 0 });
  expect(hostsJson()).toHaveProperty("mail-1", { channel: "edge", sshHostKey: null });
  expect(await verified()).toMatchObject({
    sound: true,
    channels: [
      { channel: "edge", release: { hosts: 1 } },
      { channel: "stable", release: { hosts: 7 } },
    ],
  });
});

test("an SSH host key of the declaration is signed, and one that only host add said is kept", async () => {
  await run(["init"]);
  const key = (seed: number) =>
    `ssh-ed25519 ${Buffer.concat([Buffer.from("0000000b7373682d6564323535313900000020", "hex"), Buffer.alloc(32, seed)]).toString("base64")}`;
  writeFileSync(join(folder, "web-1.pub"), `${key(9)} root@web-1\n`);
  expect(await run(["host", "add", "web-1", "--ssh-host-key", "web-1.pub"])).toMatchObject({
    code: 0,
  });
  declare(EXAMPLE_FLEET.replace("db-1:     {", `db-1:     { sshHostKey: ${key(5)},`));
  expect(await run(["release"])).toMatchObject({ code: 0 });
  expect(hostsJson()).toHaveProperty("db-1.sshHostKey", key(5));
  expect(hostsJson()).toHaveProperty("web-1.sshHostKey", `${key(9)} root@web-1`);
  const refused = await run(["join-token", "db-1", "--for", "cp"]);
  expect(refused).toMatchObject({
    code: 1,
    talk: expect.stringContaining("db-1 enrols by its SSH host key"),
  });
});

test("a clock that is behind: nothing is released, and the sentence says which clock", async () => {
  await run(["init"]);
  await run(["release"]);
  const ran = await runCli(["release"], { cwd: folder, now: addSecs(TEST_NOW, -7200) });
  expect(ran).toMatchObject({ code: 1, talk: expect.stringContaining("clock") });
  const refreshed = await runCli(["refresh"], { cwd: folder, now: addSecs(TEST_NOW, -7200) });
  expect(refreshed).toMatchObject({
    code: 1,
    talk: expect.stringContaining("set the clock, then do it again"),
  });
  expect(await verified()).toMatchObject({ sound: true });
});

test("no repository, a damaged one: one sentence", async () => {
  declare(EXAMPLE_FLEET);
  expect(await run(["release"])).toMatchObject({
    code: 1,
    talk: expect.stringMatching(/holds no repository .*: run nixwave init\.\n$/),
  });
  await run(["init"]);
  writeFileSync(join(folder, "releases/metadata/timestamp.json"), "{");
  const ran = await run(["release"]);
  expect(ran).toMatchObject({
    code: 1,
    talk: expect.stringMatching(/^nixwave: metadata\/timestamp\.json: [^\n]*\n$/),
  });
  writeFileSync(join(folder, "nixwave.json"), '{ "repositry": "releases" }');
  expect(await run(["release"])).toMatchObject({
    code: 1,
    talk: expect.stringMatching(/^nixwave: nixwave\.json: .*repositry/),
  });
});

// What the real program signs is dated by the machine's clock.
const now = (): Instant => instant(Date.now());
const PROGRAM = join(import.meta.dirname, "../../bin/nixwave.mjs");

test("kill -9 while it releases: what hosts see is the old release or the new one, and the next release mends the rest", async () => {
  const start = (args: readonly string[]) =>
    spawn(process.execPath, [PROGRAM, ...args], { cwd: folder, stdio: "ignore", detached: false });
  const first = start(["init"]);
  await once(first, "close");
  expect(first.exitCode).toBe(0);
  let killed = 0;
  // A release writes about a dozen files, each beside its place and then renamed into it.
  for (const write of [1, 2, 4, 7, 10, 14, 18, 22]) {
    const child = start(["release", "--yes"]);
    const closed = once(child, "close");
    let seen = 0;
    const watcher = watch(join(folder, "releases"), { recursive: true }, () => {
      seen += 1;
      if (seen === write) child.kill("SIGKILL");
    });
    await closed;
    watcher.close();
    if (child.signalCode === "SIGKILL") killed += 1;
    const argv = ["verify", "--root", "root.json", "--json"];
    const looked = await runCli(argv, { cwd: folder, now: now() });
    expect(JSON.parse(looked.data), `killed at write ${write}`).toMatchObject({ sound: true });
  }
  expect(killed).toBeGreaterThan(2);
  const last = await runCli(["release"], { cwd: folder, now: addSecs(now(), 1) });
  expect(last).toMatchObject({ code: 0 });
});
