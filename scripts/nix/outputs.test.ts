import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "@nixwave/protocol";
import { expect, test } from "vitest";
import { ROOT } from "../source.ts";
import { evaluate } from "./nix.fixture.ts";

// What is neither a module nor the library: evaluated against as much of nixpkgs as it asks for, because nixpkgs is not here.

/** A derivation is what it was made of; `known` stands for nix/packages/dependencies.nix. */
const PKGS = `let
  lib = { fakeHash = "fake"; getExe = package: "\${package}/bin/main"; licenses.mit = "MIT"; platforms.linux = [ ]; };
  pkgs = {
    inherit lib;
    system = "x86_64-linux";
    path = root + "/scripts/nix/nixpkgs.fixture";
    nodejs = "/nodejs"; pnpm = { fetchDeps = old: { inherit old; }; configHook = "/old-hook"; };
    makeWrapper = "/makeWrapper"; python3 = "/python3"; hello = "/hello"; jq = "/jq";
    stdenv.mkDerivation = made: made;
    runCommand = name: _: command: { inherit name command; };
    writeText = name: text: { inherit name text; };
    formats.json = _: { type = "json"; generate = file: value: "\${file}"; };
    bash = "/bash"; coreutils = "/coreutils"; util-linux = "/util-linux";
  };
in`;

const evaluated = (expression: string): unknown => {
  const { value, said } = evaluate(`${PKGS} ${expression}`);
  expect(said).toEqual([]);
  return value;
};

test("each package is of a program that is there, and a build without the dependencies' hash says what to do", () => {
  const value = evaluated(`let
    packages = import (root + "/nix/packages") { inherit pkgs; source = "/source"; };
  in builtins.mapAttrs (_: package: {
    pname = package.pname or null; install = package.installPhase or null; deps = package.pnpmDeps or package;
  }) packages`);
  const packages = new Map(Object.entries(Object(value)));
  expect([...packages.keys()]).toEqual([
    "nixwave",
    "nixwave-agent",
    "nixwave-cp",
    "nixwave-dependencies",
  ]);
  for (const [name, made] of packages) {
    const { install, deps } = Object(made);
    if (name === "nixwave-dependencies") {
      expect(deps).toMatchObject({ old: { hash: "fake", fetcherVersion: 3, src: "/source" } });
      continue;
    }
    const file = /lib\/nixwave\/(apps\/\w+\/bin\/[a-z-]+\.mjs)/.exec(install)?.[1] ?? "";
    expect(readFileSync(join(ROOT, file), "utf8"), name).toContain("#!");
    expect(deps.command).toContain("nix build .#nixwave-dependencies");
    expect(deps.command).toContain("nix/packages/dependencies.nix");
    expect(deps.command).toContain(sha256(readFileSync(join(ROOT, "pnpm-lock.yaml"))));
  }
});

test("newer nixpkgs, which has the fetcher and its hook beside pnpm, is asked there", () => {
  const value = evaluated(`let
    newer = pkgs // { pnpm = "/pnpm"; fetchPnpmDeps = new: { inherit new; }; pnpmConfigHook = "/new-hook"; };
    packages = import (root + "/nix/packages") { pkgs = newer; source = "/source"; };
  in { deps = packages.nixwave-dependencies; inherit (packages.nixwave-agent) nativeBuildInputs; }`);
  expect(value).toMatchObject({
    deps: { new: { fetcherVersion: 3, pnpm: "/pnpm" } },
    nativeBuildInputs: expect.arrayContaining(["/new-hook"]),
  });
});

test("the checks: a fleet of a configuration with the agent's module, and the health check in its closure", () => {
  const value = evaluated(`let
    checks = import (root + "/nix/checks") { inherit pkgs; };
  in { inherit (checks.health-checks) command; inherit (checks) fleet; }`);
  expect(value).toMatchObject({
    command: expect.stringMatching(
      /checks\[0\]\.name == "tcp-ssh"[^]*\/toplevel-web-1-tcp-ssh\/etc\/nixwave\/agent\/health-checks\.json/,
    ),
    fleet: { name: "fleet.json", text: expect.stringContaining('"web-1":{"channel":"stable"') },
  });
});

test("the flake, and the fleet of its template with that flake as its input", () => {
  const value = evaluated(`let
    nixpkgs = {
      lib = {
        genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
        nixosSystem = import (root + "/scripts/nix/nixpkgs.fixture/nixos/lib/eval-config.nix");
      };
      legacyPackages = { x86_64-linux = pkgs; aarch64-linux = pkgs // { system = "aarch64-linux"; }; };
    };
    flake = import (root + "/flake.nix");
    made = flake.outputs { inherit nixpkgs; self = made // { outPath = "/source"; }; };
    template = (import (made.templates.default.path + "/flake.nix")).outputs;
    own = template { inherit nixpkgs; nixwave = made; self = own; };
  in {
    outputs = builtins.attrNames made;
    packages = builtins.attrNames made.packages.aarch64-linux;
    overlay = builtins.attrNames (made.overlays.default pkgs pkgs);
    checks = builtins.attrNames made.checks.x86_64-linux;
    hosts = builtins.mapAttrs (_: host: host.tags) own.fleet.declaration.hosts;
    toplevels = builtins.attrNames own.fleet.toplevels;
    waves = map (wave: wave.description) own.fleet.declaration.channels.stable.waves;
    missing = builtins.concatMap (host: builtins.filter (one: !one.assertion) host.config.assertions) (builtins.attrValues own.nixosConfigurations);
    disks = builtins.catAttrs "device" (map (host: host.config.fileSystems."/") (builtins.attrValues own.nixosConfigurations));
  }`);
  expect(value).toEqual({
    outputs: ["checks", "lib", "nixosModules", "overlays", "packages", "templates"],
    packages: ["nixwave", "nixwave-agent", "nixwave-cp", "nixwave-dependencies"],
    overlay: ["nixwave", "nixwave-agent", "nixwave-cp", "nixwave-dependencies"],
    checks: ["fleet", "health-checks"],
    hosts: { "canary-1": ["canary"], "web-1": ["web"], "web-2": ["web"] },
    toplevels: ["canary-1", "web-1", "web-2"],
    waves: ["canary", "everything else"],
    missing: [],
    disks: Array.from({ length: 3 }, () => "/dev/disk/by-label/nixos"),
  });
});
