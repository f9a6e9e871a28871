import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addSecs } from "@nixwave/effects";
import { expect, test } from "vitest";
import { type FlakeFolder, flakeFolder } from "../flake/flake.fixture.ts";
import { type Ran, runCli, TEST_NOW } from "../run.fixture.ts";

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
