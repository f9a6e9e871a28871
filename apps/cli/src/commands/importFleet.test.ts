import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { flakeFolder } from "../flake/flake.fixture.ts";
import { runCli } from "../run.fixture.ts";

const FLAKE = `{
  outputs = { self }: {
    nixosConfigurations = { web-1 = { }; web-2 = { }; Old_host = { }; };
    colmenaHive.nodes = {
      web-1.config.deployment = { tags = [ "web" "a b" ]; targetHost = "10.0.0.1"; keys.token = { }; };
      db-1.config.deployment = { tags = [ "db" ]; targetHost = null; keys = { }; };
      db-2.config.deployment.tags = [ ];
    };
    deploy.nodes.web-1 = { hostname = "web"; magicRollback = true; profiles = { system = { }; home = { }; }; };
  };
}`;

test("import colmena: hosts, tags and a canary are taken over, and the rest is said", async () => {
  const { folder } = flakeFolder(FLAKE);
  const { code, talk } = await runCli(["import", "colmena", "--flake", `path:${folder}`], {
    cwd: folder,
  });
  expect(talk).toContain("Wrote fleet.nix: 3 hosts on channel stable.");
  expect(code).toBe(0);
  expect(talk.split("\n").filter((line) => line.startsWith("note: "))).toEqual([
    'note: web-1: tag "a b" was left out: expected letters, digits, dots, _ and -',
    "note: deployment.targetHost of web-1 was left out: agents pull, and need no address",
    "note: deployment.keys of web-1 was left out: secrets go by sops-nix, agenix or the like",
  ]);
  expect(readFileSync(join(folder, "fleet.nix"), "utf8")).toContain(`
  hosts = {
    "db-1" = { channel = "stable"; tags = [ "db" ]; };
    "db-2" = { channel = "stable"; };
    "web-1" = { channel = "stable"; tags = [ "web" ]; };
  };

  channels.stable.waves = [
    { description = "canary"; select.hosts = [ "db-1" ]; soakSecs = 600; }
    { description = "everything else"; select.not.hosts = [ "db-1" ]; soakSecs = 600; }
  ];
`);
});

test("import nixos-configurations and deploy-rs: a dry run prints what it would write", async () => {
  const { folder } = flakeFolder(FLAKE);
  const typed = ["--flake", `path:${folder}`, "--dry-run"];
  const plain = await runCli(["import", "nixos-configurations", ...typed], { cwd: folder });
  expect(plain.data).toContain('"web-2" = { channel = "stable"; };');
  expect(plain.data).toContain("{ select.all = true; soakSecs = 600; }");
  expect(plain.talk).toContain("note: Old_host was left out: expected an RFC 1123 name");
  const deploy = await runCli(["import", "deploy-rs", ...typed], { cwd: folder });
  expect(deploy.talk).toContain("note: profiles.home of web-1 was left out");
  expect(deploy.talk).toContain("magicRollback of web-1 was left out: every agent rolls back");
});

test("import: a file that is there is kept, a flake without that output is told what was expected, Nix' own error is shown", async () => {
  const { folder, write } = flakeFolder("{ outputs = { self }: { colmena = { web-1 = { }; }; }; }");
  const flake = ["--flake", `path:${folder}`];
  writeFileSync(join(folder, "fleet.nix"), "mine");
  const kept = await runCli(["import", "colmena", ...flake], { cwd: folder });
  expect(kept).toMatchObject({
    code: 1,
    talk: expect.stringContaining("fleet.nix is there already"),
  });
  expect(readFileSync(join(folder, "fleet.nix"), "utf8")).toBe("mine");
  const none = await runCli(["import", "deploy-rs", ...flake], { cwd: folder });
  expect(none).toMatchObject({ code: 1, talk: expect.stringContaining("has no output deploy") });
  write("flake.nix", "{ outputs = { self }: { colmena = thorw 1; }; }");
  const broken = await runCli(["import", "colmena", ...flake], { cwd: folder });
  expect(broken).toMatchObject({
    code: 1,
    talk: expect.stringContaining("undefined variable 'thorw'"),
  });
});
