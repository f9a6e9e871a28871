import { appendFileSync, chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type ClosureHash, FIRST_ATTEMPT } from "@nixwave/effects";
import { journal, rollout } from "@nixwave/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backendOf, profileBackendOf } from "./backend.ts";
import { Lab } from "./lab.ts";
import type { NspawnHost } from "./nspawnHost.ts";

// Profiles on one host, with its systemd, its Nix daemon and a user of its own; the backend is asked from outside.

const never = new AbortController().signal;
const lab = new Lab();
let host: NspawnHost;
const UID = 1000;

beforeAll(async () => {
  await lab.start();
  host = await lab.place("one", await lab.build({ version: "base" }));
  appendFileSync(join(host.root, "etc/passwd"), `ann:x:${UID}:${UID}::/home/ann:/bin/sh\n`);
  appendFileSync(join(host.root, "etc/group"), `ann:x:${UID}:\n`);
  mkdirSync(join(host.root, "home/ann"));
  chownSync(join(host.root, "home/ann"), UID, UID);
  await host.boot();
  // A user's Nix asks the daemon, as on every machine that has users.
  await host.must("systemd-run", "--quiet", "--unit=nix-daemon", "nix-daemon");
});
afterAll(() => lab.remove());

const ANN = {
  profile: "/nix/var/nix/profiles/nixwave/ann",
  script: "activate",
  args: [],
  user: "ann",
  active: "/var/lib/nixwave/ann",
} as const;
const SYSTEM_MANAGER = {
  profile: "/nix/var/nix/profiles/system-manager-profiles/system-manager",
  script: "bin/activate",
  args: [],
  user: null,
  active: "/var/lib/nixwave/system-manager",
} as const;
const SYSTEMD = { kind: "systemd" } as const;

/** What home-manager's does, in small: its checks, its Nix, its own profile, and links that follow what has changed. */
const HOME_MANAGER = `#!/bin/sh
set -eu
[ "$USER" = ann ] && [ "$HOME" = /home/ann ] || { echo "USER is $USER, HOME is $HOME" >&2; exit 1; }
cd "$HOME"
nix-build --quiet --expr '{}' --no-out-link
own=$HOME/.local/state/nix/profiles/home-manager
mkdir -p "\${own%/*}"
old=$(readlink -e "$own") || old=
echo "from \${old:-nothing}"
if [ -n "$old" ] && [ "$old" != @out@ ]; then
  for file in "$old"/home-files/*; do [ -e "@out@/home-files/\${file##*/}" ] || rm "$HOME/\${file##*/}"; done
fi
for file in @out@/home-files/*; do ln -sfn "$file" "$HOME/\${file##*/}"; done
[ "$old" = @out@ ] || nix-env --quiet --profile "$own" --set @out@
`;
const HOME_FILES = 'mkdir "$out/home-files"; : > "$out/home-files/of-$version"';

let made = 0;
/** Built, pushed and realised by `by`. */
async function had(
  by: ReturnType<typeof profileBackendOf>,
  plan: { readonly activate: string; readonly script?: string; readonly version?: string },
): Promise<ClosureHash> {
  made += 1;
  const { script = "activate", activate, version = `${made}` } = plan;
  const extra = `version=${version}; ${HOME_FILES}`;
  const closure = await lab.buildProfile({ name: "generation", version, script, activate, extra });
  await lab.push(closure);
  expect(await by.realise({ closure, digest: null }, never)).toEqual({ ok: true, value: null });
  return closure;
}

let units = 0;
const nextUnit = () => {
  units += 1;
  return {
    rolloutId: rollout("stable@a1"),
    journalId: journal("1"),
    attempt: FIRST_ATTEMPT,
    purpose: "switch",
    tryNo: units,
  } as const;
};

async function activate(
  by: ReturnType<typeof profileBackendOf>,
  closure: ClosureHash,
  deadlineSecs = 60,
) {
  const unit = nextUnit();
  await by.setProfile(closure);
  expect(await by.fire({ unit, closure, deadlineSecs })).toEqual({ ok: true, value: null });
  await by.ended(unit, never);
  return { unit, seen: await by.unit(unit), output: await by.output(unit) };
}

const everywhere = (closure: ClosureHash) => ({
  running: closure,
  profile: closure,
  boot: closure,
});

test("home-manager: from no generation to the first and the second, as its user, with its own profile left to it", async () => {
  const by = profileBackendOf(host, lab, { ...ANN, units: SYSTEMD });
  expect(await by.system()).toEqual({ running: null, profile: null, boot: null });
  const first = await had(by, { activate: HOME_MANAGER, version: "first" });
  await by.pin("target", first);
  expect(await activate(by, first)).toMatchObject({
    seen: { kind: "exited", code: 0 },
    output: expect.stringContaining("from nothing"),
  });
  expect(await by.system()).toEqual(everywhere(first));
  expect(await host.must("stat", "-c", "%U", "/home/ann/of-first")).toBe("ann\n");
  const second = await had(by, { activate: HOME_MANAGER, version: "second" });
  // It finds the generation before this one, because the profile that was set already is not its own.
  expect((await activate(by, second)).output).toContain(`from /nix/store/${first}`);
  expect(await by.system()).toEqual(everywhere(second));
  expect(await host.must("ls", "/home/ann")).toBe("of-second\n");
  const own = "/home/ann/.local/state/nix/profiles/home-manager";
  expect((await host.must("readlink", "-f", own)).trim()).toBe(`/nix/store/${second}`);
  expect(await host.must("stat", "-c", "%U", own)).toBe("ann\n");
});

test("system-manager: bin/activate, as root, in its own folder of profiles", async () => {
  const by = profileBackendOf(host, lab, { ...SYSTEM_MANAGER, units: SYSTEMD });
  const text = `#!/bin/sh
at=$(dirname "$(realpath "$(dirname "$0")")")
echo "$(id -un) $at"`;
  const closure = await had(by, { script: "bin/activate", activate: text });
  expect((await activate(by, closure)).output).toBe(`root /nix/store/${closure}\n`);
  expect(await by.system()).toEqual(everywhere(closure));
  // Another agent's profile on the same host is another one's.
  const ann = profileBackendOf(host, lab, { ...ANN, units: SYSTEMD });
  expect((await ann.system()).running).not.toBe(closure);
  await by.pin("known-good", closure);
  expect(await by.pinned("known-good")).toBe(closure);
  expect(await ann.pinned("known-good")).toBe(null);
});

test("what lacks the script, and what nobody signed, is refused before anything changes", async () => {
  const by = profileBackendOf(host, lab, { ...SYSTEM_MANAGER, units: SYSTEMD });
  const plan = { name: "generation", version: "foreign", activate: "exit 0", script: "activate" };
  const other = await lab.buildProfile(plan);
  await lab.push(other);
  expect(await by.realise({ closure: other, digest: null }, never)).toMatchObject({
    ok: false,
    error: { final: true, message: expect.stringContaining("/bin/activate is not there") },
  });
  const unsigned = await lab.buildProfile({ ...plan, version: "unsigned", script: "bin/activate" });
  await lab.push(unsigned, "nobody");
  expect(await by.realise({ closure: unsigned, digest: null }, never)).toMatchObject({
    ok: false,
    error: { final: true, message: expect.stringContaining("unsigned: ") },
  });
});

test("a user that is not there fails, and what was active stays so", async () => {
  const by = profileBackendOf(host, lab, { ...SYSTEM_MANAGER, script: "activate", units: SYSTEMD });
  const fine = await had(by, { activate: "#!/bin/sh" });
  await activate(by, fine);
  const gone = profileBackendOf(host, lab, {
    ...SYSTEM_MANAGER,
    script: "activate",
    user: "bob",
    units: SYSTEMD,
  });
  const { seen, output } = await activate(gone, await had(gone, { activate: "#!/bin/sh\n:" }));
  expect(seen).toEqual({ kind: "exited", code: 1 });
  expect(output).toContain("bob");
  expect((await gone.system()).running).toBe(fine);
});

describe.each([SYSTEMD, { kind: "sessions", folder: "/var/lib/nixwave/units" } as const])(
  "in units of $kind",
  (kind) => {
    const profile = {
      ...SYSTEM_MANAGER,
      profile: `/nix/var/nix/profiles/nixwave/${kind.kind}`,
      script: "activate",
      args: ["$HOME", "--driver-version", "1"],
      active: `/var/lib/nixwave/active/${kind.kind}`,
      units: kind,
    };
    const backend = () => profileBackendOf(host, lab, profile);
    const good = '#!/bin/sh\necho "$@"';

    test("arguments come as they are written, and the link tells what is active", async () => {
      const closure = await had(backend(), { activate: good });
      const { seen, output } = await activate(backend(), closure);
      expect([seen, output]).toEqual([{ kind: "exited", code: 0 }, "$HOME --driver-version 1\n"]);
      expect(await backend().system()).toEqual(everywhere(closure));
    });

    test("a script that fails leaves nothing active; the rollback runs the exact closure before it, without a network", async () => {
      const by = backend();
      const log = (name: string) => `#!/bin/sh\necho ${name} >> /srv/${kind.kind}`;
      const prior = await had(by, { activate: log("prior") });
      const between = await had(by, { activate: log("between") });
      const bad = await had(by, { activate: `${log("bad")}; exit 7` });
      await activate(by, between);
      await activate(by, prior);
      await by.pin("rollback", prior);
      expect((await activate(by, bad)).seen).toEqual({ kind: "exited", code: 7 });
      // Half of it may have been done: nothing that is known is active, so that the rollback can't be taken for done already.
      expect(await by.system()).toEqual({ running: null, profile: bad, boot: bad });
      await host.must("nix-store", "--gc", "--quiet");
      lab.cache("down");
      try {
        expect(await by.realise({ closure: prior, digest: null }, never)).toMatchObject({
          ok: true,
        });
        await by.setProfile(prior);
        expect(await by.system(), "the profile alone").toMatchObject({ running: null });
        expect((await activate(by, prior)).seen).toEqual({ kind: "exited", code: 0 });
      } finally {
        lab.cache("serve");
      }
      expect(await by.system()).toEqual(everywhere(prior));
      expect(host.readText(`/srv/${kind.kind}`)).toBe("between\nprior\nbad\nprior\n");
    });

    test.each([4, 100])("exit code %i is no word of NixOS here: it is a failure", async (code) => {
      const closure = await had(backend(), { activate: `#!/bin/sh\nexit ${code}` });
      const { seen, output } = await activate(backend(), closure);
      expect(seen).toEqual({ kind: "exited", code: 1 });
      expect(output).toContain(`activate ended with ${code}`);
    });

    test("a script that hangs past its deadline is ended with all that it started, and reads as killed", async () => {
      // systemd's own grace is thirty seconds, and is tested with NixOS' script.
      const deaf = kind.kind === "sessions" ? "trap '' TERM; " : "";
      const activate_ = `#!/bin/sh\n${deaf}sleep 7777 & sleep 7777`;
      const closure = await had(backend(), { activate: activate_ });
      expect((await activate(backend(), closure, 1)).seen).toEqual({ kind: "killed" });
      expect((await backend().system()).running).toBe(null);
      const left = async () => (await host.run(["pgrep", "-f", "sleep 7777"])).stdout;
      await expect.poll(left).toBe("");
    });

    test("an agent that comes back finds the unit running, stops it, or reads what it came to", async () => {
      const closure = await had(backend(), {
        activate: "#!/bin/sh\nsleep 8888 & sleep 8888; wait",
      });
      const unit = nextUnit();
      const run = { unit, closure, deadlineSecs: 60 };
      await backend().fire(run);
      await expect.poll(() => backend().unit(unit)).toEqual({ kind: "running" });
      expect(await backend().fire(run)).toMatchObject({ ok: false, error: { kind: "taken" } });
      expect(await backend().stop(unit, never)).toBe(true);
      expect(await backend().unit(unit)).toEqual({ kind: "killed" });
      expect((await host.run(["pgrep", "-f", "sleep 8888"])).stdout).toBe("");
      expect(await backend().units()).toContainEqual({ unit, running: false });
    });
  },
);

test("after a power cut, what was active is told still; what ran is unknown, and does not read as done", async () => {
  const units_ = { kind: "sessions", folder: "/var/lib/nixwave/units" } as const;
  const by = profileBackendOf(host, lab, { ...SYSTEM_MANAGER, script: "activate", units: units_ });
  const fine = await had(by, { activate: "#!/bin/sh\n: fine" });
  await activate(by, fine);
  await host.powerCut();
  await host.boot();
  expect(await by.system()).toEqual(everywhere(fine));
  const slow = await had(by, { activate: "#!/bin/sh\nsleep 9999" });
  const unit = nextUnit();
  await by.setProfile(slow);
  await by.fire({ unit, closure: slow, deadlineSecs: 60 });
  await expect.poll(async () => (await by.system()).running).toBe(null);
  await host.powerCut();
  await host.boot();
  expect(await by.unit(unit)).toEqual({ kind: "unknown" });
  expect(await by.system()).toEqual({ running: null, profile: slow, boot: slow });
});

test("nixos with the loader `profile`: the next boot is what the profile names, whatever lies in /boot", async () => {
  const by = backendOf(host, lab, [lab.trustedKey], "profile");
  const before = await by.system();
  expect(before.boot).toBe(before.profile);
  const next = await lab.build({ version: "by-profile", boot: ":" });
  await lab.push(next);
  expect(await by.realise({ closure: next, digest: null }, never)).toMatchObject({ ok: true });
  expect(await by.stageBoot(next, never)).toEqual({ ok: true, value: null });
  expect(await by.system()).toEqual({ running: before.running, profile: next, boot: next });
});
