import { type ClosureHash, FIRST_ATTEMPT } from "@nixwave/effects";
import { journal, rollout } from "@nixwave/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { backendOf } from "./backend.ts";
import { Lab } from "./lab.ts";
import type { NspawnHost } from "./nspawnHost.ts";

// One host, and the backend asked from outside; each test has closures and units of its own.

const never = new AbortController().signal;
const lab = new Lab();
let host: NspawnHost;
let base: ClosureHash;
let activation: ReturnType<typeof backendOf>;

beforeAll(async () => {
  await lab.start();
  base = await lab.build({ version: "base" });
  host = await lab.place("one", base);
  await host.boot();
  activation = backendOf(host, lab);
});
afterAll(() => lab.remove());

const realise = (closure: ClosureHash, digest: string | null, signal: AbortSignal) =>
  activation.realise({ closure, digest }, signal);

let units = 0;
function nextUnit() {
  units += 1;
  return {
    rolloutId: rollout("stable@a1"),
    journalId: journal("1"),
    attempt: FIRST_ATTEMPT,
    purpose: "switch",
    tryNo: units,
  } as const;
}

/** Built, pushed and realised. */
async function had(plan: Parameters<Lab["build"]>[0]): Promise<ClosureHash> {
  const closure = await lab.build(plan);
  await lab.push(closure);
  expect(await realise(closure, null, never)).toEqual({ ok: true, value: null });
  return closure;
}

async function switchTo(closure: ClosureHash, deadlineSecs = 60) {
  const unit = nextUnit();
  await activation.setProfile(closure);
  expect(await activation.fire({ unit, closure, deadlineSecs })).toEqual({ ok: true, value: null });
  await activation.ended(unit, never);
  return { unit, seen: await activation.unit(unit) };
}

test("what runs, the profile and the boot entry are read from the machine", async () => {
  expect(await activation.system()).toEqual({ running: base, profile: base, boot: base });
});

test("a switch runs in a unit of its own, and its outcome and output are read back", async () => {
  const closure = await had({ version: "fine", switch: "echo begun; entry; activate; echo done" });
  const { unit, seen } = await switchTo(closure);
  expect(seen).toEqual({ kind: "exited", code: 0 });
  expect(await activation.system()).toEqual({ running: closure, profile: closure, boot: closure });
  expect(await activation.output(unit)).toBe("begun\ndone\n");
  expect(await activation.units()).toContainEqual({ unit, running: false });
});

test.each([1, 2, 3, 4, 100])("exit code %i is told as it is", async (code) => {
  const { seen } = await switchTo(await had({ version: `exit-${code}`, switch: `exit ${code}` }));
  expect(seen).toEqual({ kind: "exited", code });
});

test("a unit fired twice is taken, and runs once; also after systemd has forgotten it", async () => {
  const closure = await had({ version: "twice", switch: "echo run >> /srv/runs" });
  const { unit } = await switchTo(closure);
  const again = () => activation.fire({ unit, closure, deadlineSecs: 60 });
  expect(await again()).toMatchObject({ ok: false, error: { kind: "taken" } });
  // The next fire cleans up; what the unit came to is still known.
  await switchTo(await had({ version: "next" }));
  expect(await activation.unit(unit)).toEqual({ kind: "exited", code: 0 });
  expect(await again()).toMatchObject({ ok: false, error: { kind: "taken" } });
  expect(host.readText("/srv/runs")).toBe("run\n");
});

test("a switch that hangs ends at its deadline as killed, whatever it does about TERM", async () => {
  const script = "activate; trap 'exit 0' TERM; while :; do sleep 0.1; done";
  const { seen, unit } = await switchTo(await had({ version: "hangs", switch: script }), 1);
  expect(seen).toEqual({ kind: "killed" });
  await switchTo(await had({ version: "next" }));
  expect(await activation.unit(unit), "after the clean-up").toEqual({ kind: "killed" });
});

test("a running unit is seen running, is stopped with all its processes, and reads as killed", async () => {
  const closure = await had({ version: "long", switch: "sleep 1000 & sleep 1000; wait" });
  const unit = nextUnit();
  await activation.fire({ unit, closure, deadlineSecs: 60 });
  await expect.poll(() => activation.unit(unit)).toEqual({ kind: "running" });
  expect(await activation.stop(unit, never)).toBe(true);
  expect(await activation.unit(unit)).toEqual({ kind: "killed" });
  expect(await host.run(["pgrep", "-f", "sleep 1000"])).toMatchObject({ stdout: "" });
});

test("a failed unit of ours is no failed unit of the host at the next switch (hazard 58)", async () => {
  await switchTo(await had({ version: "fails", switch: "exit 1" }));
  await switchTo(await had({ version: "next" }));
  expect(await host.must("systemctl", "--failed", "--plain", "--no-legend")).not.toContain(
    "nixwave",
  );
});

test("outcomes survive a reload and a re-execution of systemd", async () => {
  const script = "systemctl daemon-reload; systemctl daemon-reexec; entry; activate; exit 4";
  const { seen } = await switchTo(await had({ version: "reload", switch: script }));
  expect(seen).toEqual({ kind: "exited", code: 4 });
});

test("unsigned, foreign-signed and a dependency unsigned are refused for good, naming the path", async () => {
  const unsigned = await lab.build({ version: "unsigned" });
  await lab.push(unsigned, "nobody");
  const foreign = await lab.build({ version: "foreign" });
  await lab.push(foreign, "foreign");
  const dependency = await lab.build({ version: "dependency" });
  await lab.push(dependency, "nobody");
  const needs = await lab.build({ version: "needs", dependency });
  await lab.push(needs);
  for (const [closure, words] of [
    [unsigned, `^unsigned: nobody has signed /nix/store/${unsigned}`],
    [foreign, `^foreign signature: /nix/store/${foreign} is signed by foreign-1, which`],
    [needs, `^unsigned: nobody has signed /nix/store/${dependency}`],
  ] as const) {
    const refused = await realise(closure, null, never);
    expect(refused).toMatchObject({ ok: false, error: { final: true } });
    expect(refused.ok ? "" : refused.error.message).toMatch(new RegExp(words));
  }
});

test("a tampered archive is refused for good", async () => {
  const closure = await lab.build({ version: "tampered" });
  await lab.push(closure);
  lab.tamper(closure);
  const refused = await realise(closure, null, never);
  expect(refused).toMatchObject({ ok: false, error: { final: true } });
  expect(refused.ok ? "" : refused.error.message).toMatch(/^tampered: /);
});

test("a wrong digest is refused for good, and the right one is not", async () => {
  const closure = await lab.build({ version: "digest" });
  await lab.push(closure);
  const refused = await realise(closure, "0".repeat(64), never);
  expect(refused).toMatchObject({ ok: false, error: { final: true } });
  expect(refused.ok ? "" : refused.error.message).toMatch(/^wrong digest: /);
  expect(await realise(closure, await lab.digest(closure), never)).toMatchObject({
    ok: true,
  });
});

test("what is not pushed yet, and a cache that is down, are tried again; both are had a moment later", async () => {
  const closure = await lab.build({ version: "late" });
  const absent = await realise(closure, null, never);
  expect(absent).toMatchObject({ ok: false, error: { final: false } });
  expect(absent.ok ? "" : absent.error.message).toMatch(/^no cache has all of /);
  await lab.push(closure);
  lab.cache("down");
  const down = await realise(closure, null, never);
  lab.cache("serve");
  expect(down).toMatchObject({ ok: false, error: { final: false } });
  expect(down.ok ? "" : down.error.message).toMatch(/^no cache answers for /);
  expect(await realise(closure, null, never)).toMatchObject({ ok: true });
});

test("a slow download is given up when it is called off", async () => {
  const closure = await lab.build({
    version: "slow",
    extra: "head -c 200000 /dev/zero > $out/big",
  });
  await lab.push(closure);
  lab.cache("slow");
  const realised = await realise(closure, null, AbortSignal.timeout(2000));
  lab.cache("serve");
  expect(realised).toMatchObject({ ok: false, error: { final: false } });
});

test("pins keep a closure from garbage collection, and are read back", async () => {
  const kept = await had({ version: "kept" });
  const lost = await had({ version: "lost" });
  await activation.pin("known-good", kept);
  // `realised` is the newest root; another realise replaces it.
  await had({ version: "after" });
  await host.must("nix-store", "--gc");
  expect(host.readText(`/nix/store/${kept}/nixos-version`)).toBe("kept");
  expect(host.readText(`/nix/store/${lost}/nixos-version`)).toBe(null);
  expect(await activation.pinned("known-good")).toBe(kept);
  expect(await activation.pinned("rollback")).toBe(null);
  await expect(activation.pin("rollback", lost)).rejects.toThrow(lost);
});

test("check refuses before anything has changed, and a script without it is told apart (hazard 55)", async () => {
  const refuses = await had({ version: "refuses", check: "echo no room for it >&2; exit 3" });
  expect(await activation.check(refuses, never)).toEqual({
    kind: "refused",
    exitCode: 3,
    stderrTail: "no room for it",
  });
  const old = await had({ version: "old", check: 'echo "Usage: $0 switch|boot|test" >&2; exit 1' });
  expect(await activation.check(old, never)).toEqual({ kind: "unsupported" });
  expect(await activation.check(base, never)).toEqual({ kind: "passed" });
});

test("a kernel of another version needs a boot, and a rebuild of the same one does not", async () => {
  const kernel = (version: string) => `mkdir -p $out/kernel-modules/lib/modules/${version}`;
  const running = await had({ version: "k1", extra: kernel("6.6.1") });
  await switchTo(running);
  const rebuilt = await had({ version: "k1-again", extra: kernel("6.6.1") });
  const newer = await had({ version: "k2", extra: kernel("6.6.2") });
  expect(await activation.needsBoot(rebuilt)).toBe(null);
  expect(await activation.needsBoot(newer)).toBe("kernel");
});

test("staging a boot is verified by its entry, and the reboot runs it", async () => {
  const lies = await had({ version: "lies", boot: ":" });
  const { running } = await activation.system();
  expect(await activation.stageBoot(lies, never)).toMatchObject({ ok: false });
  const staged = await had({ version: "staged" });
  expect(await activation.stageBoot(staged, never)).toEqual({ ok: true, value: null });
  expect(await activation.system()).toEqual({ running, profile: staged, boot: staged });
  const before = await activation.bootId();
  await host.reboot();
  expect(await activation.bootId()).not.toBe(before);
  expect((await activation.system()).running).toBe(staged);
});

test("a switch of somebody else is waited for; the lock's file alone is none (hazard 57)", async () => {
  await host.must("sh", "-c", "mkdir -p /run/nixos; : > /run/nixos/switch-to-configuration.lock");
  expect(await activation.preflight(base)).toEqual({ ok: true, value: null });
  const held = "flock /run/nixos/switch-to-configuration.lock sleep 1000 & sleep 0.2";
  await host.must("systemd-run", "--quiet", "--unit=held", "sh", "-c", `${held}; wait`);
  await expect
    .poll(() => activation.preflight(base))
    .toMatchObject({ ok: false, error: { final: false } });
  await host.must("systemctl", "stop", "held");
  expect(await activation.preflight(base)).toEqual({ ok: true, value: null });
});
