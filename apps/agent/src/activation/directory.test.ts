import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { ClosureHash } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { directoryActivation } from "./directory.ts";
import { type TestHost, testHost } from "./host.fixture.ts";

const never = new AbortController().signal;
const wanted = (of: ClosureHash) => ({ closure: of, digest: null });

let host: TestHost;
vi.setConfig({ testTimeout: 30_000 });
beforeEach(() => {
  host = testHost();
});
afterEach(() => host.remove());

test("a host without links runs nothing that we know", async () => {
  expect(await host.activation.system()).toEqual({ running: null, profile: null, boot: null });
});

test("links that name no closure are null, and names are not guessed from paths", async () => {
  const old = host.makeClosure("old");
  host.setLinks(old, "current-system", "boot");
  symlinkSync("/etc/passwd", join(host.root, "profile"));
  expect(await host.activation.system()).toEqual({ running: old, profile: null, boot: old });
});

test("the profile is swapped, and setting it twice changes nothing", async () => {
  const [old, next] = [host.makeClosure("old"), host.makeClosure("next")];
  host.setLinks(old, "profile");
  await host.activation.setProfile(next);
  await host.activation.setProfile(next);
  expect((await host.activation.system()).profile).toBe(next);
  expect(readdirSync(host.root)).toEqual(["profile"]);
});

test("a link that can't be swapped is an error that names it", async () => {
  const next = host.makeClosure("next");
  mkdirSync(join(host.root, "profile", "full"), { recursive: true });
  await expect(host.activation.setProfile(next)).rejects.toThrow(`${host.root}/profile`);
});

test("what is there is realised; what is nowhere is an obstacle that may pass", async () => {
  expect(await host.activation.realise(wanted(host.makeClosure("here")), never)).toMatchObject({
    ok: true,
  });
  const missing = await host.activation.realise(wanted(closure("missing")), never);
  expect(missing).toMatchObject({ ok: false, error: { final: false } });
  expect(missing.ok ? "" : missing.error.message).toContain(closure("missing"));
});

test("a closure that lacks its script is not there", async () => {
  mkdirSync(join(host.dir, "closures", closure("half")), { recursive: true });
  expect(await host.activation.realise(wanted(closure("half")), never)).toMatchObject({
    ok: false,
  });
});

test("realising copies from the cache, over what an interrupted copy left behind", async () => {
  const cached = host.makeClosure("cached", {}, "cache");
  const closures = join(host.dir, "closures");
  // The half of a copy, under the name that this host uses.
  const beside = `.realising-${cached}-${host.root.replaceAll("/", "_").slice(-32)}`;
  cpSync(join(host.dir, "cache", cached), join(closures, beside), { recursive: true });
  chmodSync(join(closures, beside, "bin/switch-to-configuration"), 0o644);
  expect(await host.activation.realise(wanted(cached), never)).toEqual({ ok: true, value: null });
  expect(readdirSync(closures)).toEqual([cached]);
  expect(await host.activation.realise(wanted(cached), never)).toEqual({ ok: true, value: null });
});

test("a copy that is called off leaves nothing under the closure's name", async () => {
  const cached = host.makeClosure("cached", {}, "cache");
  const called = new AbortController();
  called.abort();
  expect(await host.activation.realise(wanted(cached), called.signal)).toMatchObject({ ok: false });
  expect(existsSync(join(host.dir, "closures", cached))).toBe(false);
});

test("room is asked for before a closure is copied", async () => {
  const cached = host.makeClosure("cached", {}, "cache");
  writeFileSync(join(host.dir, "cache", cached, "big"), "x".repeat(100_000));
  const full = directoryActivation(host.config, {
    ...host.ports,
    disk: { ...host.ports.disk, freeBytes: () => 1000 },
  });
  expect(await host.activation.preflight(cached)).toMatchObject({ ok: true });
  expect(await full.preflight(cached)).toMatchObject({ ok: false, error: { final: false } });
});

test("pins are read back by name", async () => {
  const [old, next] = [host.makeClosure("old"), host.makeClosure("next")];
  expect(await host.activation.pinned("known-good")).toBeNull();
  await host.activation.pin("known-good", old);
  await host.activation.pin("target", next);
  await host.activation.pin("target", next);
  expect(await host.activation.pinned("known-good")).toBe(old);
  expect(await host.activation.pinned("target")).toBe(next);
});

test.each([
  ["a check that passes", {}, { kind: "passed" }],
  [
    "a check that refuses",
    { check: "echo no inhibitors please >&2; exit 7" },
    { kind: "refused", exitCode: 7, stderrTail: "no inhibitors please" },
  ],
  [
    "a script from before check",
    { check: 'echo "Usage: $0 [switch|boot]" >&2; exit 1' },
    { kind: "unsupported" },
  ],
  [
    "a check that is killed",
    { check: "kill -9 $$" },
    { kind: "refused", exitCode: null, stderrTail: "killed by SIGKILL" },
  ],
])("%s", async (_, script, expected) => {
  expect(await host.activation.check(host.makeClosure("new", script), never)).toEqual(expected);
});

test("a boot default is staged only if it is there to be seen (hazard 52)", async () => {
  const old = host.makeClosure("old");
  host.setLinks(old, "boot");
  const next = host.makeClosure("next");
  expect(await host.activation.stageBoot(next, never)).toMatchObject({ ok: true });
  expect(host.readLink("boot")).toBe(next);

  const liar = host.makeClosure("liar", { boot: "exit 0" });
  const lied = await host.activation.stageBoot(liar, never);
  expect(lied.ok ? "" : lied.error.stderrTail).toContain(`the boot default is ${next}`);
  const broken = host.makeClosure("broken", { boot: "echo no space >&2; exit 1" });
  expect(await host.activation.stageBoot(broken, never)).toEqual({
    ok: false,
    error: { exitCode: 1, stderrTail: "no space" },
  });
});

test("the boot id is the kernel's, or the file's of a host that a test reboots", async () => {
  expect(await host.activation.bootId()).toMatch(/^[0-9a-f-]{36}$/);
  host.writeFile("boot-id", "second\n");
  expect(await host.activation.bootId()).toBe("second");
  host.writeFile("boot-id", "not a boot id\n");
  await expect(host.activation.bootId()).rejects.toThrow("must hold 1 to 64 letters");
});
