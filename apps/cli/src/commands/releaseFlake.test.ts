import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addSecs } from "@nixwave/effects";
import { expect, test, vi } from "vitest";
import { type FlakeFolder, flakeFolder } from "../flake/flake.fixture.ts";
import { type Ran, runCli, TEST_NOW } from "../run.fixture.ts";

// Each release starts Nix many times, and Nix starts slowly on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

const NIX_FILES = join(import.meta.dirname, "../../../../nix");

/** Three hosts whose systems are made by a shell: real derivations, a dependency each, and no nixpkgs. */
const flake = (versions: { web: string; db: string }) => `{
  outputs = { self }:
    let
      nixwave = import ./nix/lib;
      made = name: text: derivation {
        inherit name text;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-c" "echo building $name >&2; echo $text > $out" ];
      };
      host = name: version: {
        pkgs.stdenv.hostPlatform.system = "x86_64-linux";
        config.system.build.toplevel = made "nixos-system-\${name}-1" "\${made "openssl-\${version}" version}";
      };
    in
    {
      fleet = nixwave.mkFleet {
        nixosConfigurations = {
          web-1 = host "web-1" "${versions.web}";
          web-2 = host "web-2" "${versions.web}";
          db-1 = host "db-1" "${versions.db}";
        };
        hosts.web-1 = { channel = "stable"; tags = [ "web" ]; };
        hosts.web-2 = { channel = "stable"; tags = [ "web" ]; };
        hosts.db-1.channel = "stable";
        channels.stable.waves = [ { select.all = true; soakSecs = 60; } ];
      };
    };
}`;

async function initialised(text: string): Promise<FlakeFolder> {
  const made = flakeFolder(text);
  cpSync(NIX_FILES, join(made.folder, "nix"), { recursive: true });
  expect(await runCli(["init", "."], { cwd: made.folder })).toMatchObject({ code: 0 });
  return made;
}

/** Each a minute after the one before it: a release is newer than what is current. */
let releases = 0;
const releaseFlake = (folder: string, ...typed: string[]): Promise<Ran> => {
  releases += 1;
  const argv = ["release", "--flake", `path:${folder}#fleet`, "--yes", ...typed];
  return runCli(argv, { cwd: folder, now: addSecs(TEST_NOW, 60 * releases) });
};

const released = (ran: Ran) => {
  const json: unknown = JSON.parse(ran.data);
  return json;
};

test("release --flake: evaluates, builds, digests, pushes, then signs; the next one says what changes on whom", async () => {
  const { folder, write } = await initialised(flake({ web: "3.0.14", db: "3.0.14" }));
  const pushed = join(folder, "pushed");
  const push = ["--push-cmd", `printf '%s\\n' >> ${pushed}`];
  const dry = await releaseFlake(folder, "--dry-run", ...push);
  expect(dry.talk).toContain("building nixos-system-web-1");
  expect(dry.code).toBe(0);
  expect(existsSync(pushed)).toBe(false);

  const first = await releaseFlake(folder, ...push);
  expect(first.talk).toContain("Released stable@");
  expect(first.code).toBe(0);
  const paths = readFileSync(pushed, "utf8").trim().split("\n");
  expect(paths.map((path) => path.replace(/^\/nix\/store\/[^-]+-/, "")).sort()).toEqual([
    "nixos-system-db-1-1",
    "nixos-system-web-1-1",
    "nixos-system-web-2-1",
  ]);
  // What the agents will compare: the release covers closures by digest.
  const targets = join(folder, "releases/targets/stable");
  const files = readdirSync(targets).map((name) => readFileSync(join(targets, name), "utf8"));
  const digests = files.flatMap((text) => text.match(/"closureDigest":"[0-9a-f]{64}"/g) ?? []);
  expect(new Set(digests).size).toBe(3);

  write("flake.nix", flake({ web: "3.0.15", db: "3.0.14" }));
  const second = await releaseFlake(folder, "--note", "openssl");
  expect(second.data).toContain("web-1, web-2  at most");
  expect(second.data).toContain("openssl 3.0.14 → 3.0.15");
  expect(second.data).not.toContain("db-1  at most");
});

test("release --flake --hosts: the others keep the closure of the release before", async () => {
  const { folder, write } = await initialised(flake({ web: "1", db: "1" }));
  const early = await releaseFlake(folder, "--hosts", "@web");
  expect(early).toMatchObject({ code: 1, talk: expect.stringContaining("leaves out db-1") });
  expect((await releaseFlake(folder)).code).toBe(0);
  write("flake.nix", flake({ web: "2", db: "2" }));
  const some = await releaseFlake(folder, "--hosts", "@web", "--json");
  expect(some.talk).toContain("Selected 2 of 3 hosts (@web)");
  expect(released(some)).toMatchObject({
    releases: [{ moved: [{ host: "web-1" }, { host: "web-2" }] }],
  });
});

test("release --flake: what fails names the place and the remedy, and nothing is released", async () => {
  const { folder, write } = await initialised(flake({ web: "1", db: "1" }));
  const unbuilt = await releaseFlake(folder, "--no-build");
  expect(unbuilt).toMatchObject({
    code: 1,
    talk: expect.stringContaining("is not in this machine's store"),
  });
  const failing = await releaseFlake(folder, "--push-cmd", "echo the cache is away >&2; false");
  expect(failing).toMatchObject({ code: 1, talk: expect.stringContaining("the cache is away") });
  expect(failing.talk).toContain("nothing was released");
  write(
    "flake.nix",
    flake({ web: "1", db: "1" }).replace('channel = "stable"; tags', 'chanel = "stable"; tags'),
  );
  const refused = await releaseFlake(folder);
  expect(refused).toMatchObject({
    code: 1,
    talk: expect.stringContaining("Did you mean channel?"),
  });
  const absent = await releaseFlake(folder, "--flake", `path:${folder}#fleets`);
  expect(absent).toMatchObject({
    code: 1,
    talk: expect.stringContaining("does not provide attribute"),
  });
});

test("release --flake: who can't sign is told before anything is evaluated or built", async () => {
  const { folder, store } = await initialised(flake({ web: "1", db: "1" }));
  const made = async (...typed: string[]): Promise<void> => {
    expect(await runCli(["key", "generate", ...typed], { cwd: folder })).toMatchObject({ code: 0 });
  };
  await made("stranger.key");
  const passphrase = join(folder, "passphrase");
  writeFileSync(passphrase, "correct horse\n", { mode: 0o600 });
  await made("sealed.key", "--passphrase-file", passphrase);
  const add = ["key", "add", "stable", "sealed.pub"];
  expect(await runCli(add, { cwd: folder })).toMatchObject({ code: 0 });
  const wrong = join(folder, "wrong");
  writeFileSync(wrong, "battery staple\n", { mode: 0o600 });
  for (const [typed, said] of [
    [["--key", "absent.key"], "absent.key"],
    [["--key", "sealed.key"], "sealed.key takes a passphrase"],
    [["--key", "sealed.key", "--passphrase-file", wrong], "sealed.key"],
    [["--key", "stranger.key"], "may not sign stable: that is for"],
    [["--key", "stranger.key", "--channel", "stable"], "may not sign stable: that is for"],
  ] as const) {
    const refused = await releaseFlake(folder, ...typed);
    expect(refused, typed.join(" ")).toMatchObject({
      code: 1,
      talk: expect.stringContaining(said),
    });
    expect(refused.talk).not.toContain("Evaluating");
  }
  expect(readdirSync(store)).toEqual([]);
  const fine = ["--key", "sealed.key", "--passphrase-file", passphrase];
  expect((await releaseFlake(folder, ...fine, "--dry-run", "--key", "absent.key")).code).toBe(0);
  // The fleet's hosts are new, and only the first key may say who is who.
  const both = await releaseFlake(folder, ...fine, "--key", "keys/ops-2.key");
  expect(both.talk).toContain("Released stable@");
});

test("release --flake: of two channels, the one that the key may not sign is told before it is built", async () => {
  const two = flake({ web: "1", db: "1" })
    .replace('hosts.db-1.channel = "stable"', 'hosts.db-1.channel = "edge"')
    .replace(
      "channels.stable",
      "channels.edge.waves = [ { select.all = true; } ]; channels.stable",
    );
  const { folder } = await initialised(two);
  for (const argv of [
    ["channel", "add", "edge"],
    ["key", "generate", "ci.key"],
    ["key", "add", "stable,targets,snapshot,timestamp", "ci.pub"],
  ]) {
    expect(await runCli(argv, { cwd: folder }), argv.join(" ")).toMatchObject({ code: 0 });
  }
  const refused = await releaseFlake(folder, "--key", "ci.key");
  expect(refused.talk).toContain("Evaluating");
  expect(refused).toMatchObject({
    code: 1,
    talk: expect.stringMatching(/ci \([0-9a-f]{12}\) may not sign edge: that is for ops-2/),
  });
  expect(refused.talk).not.toContain("building nixos-system");
  const one = await releaseFlake(folder, "--key", "ci.key", "--channel", "stable");
  expect(one.talk).toContain("Released stable@");
});
