import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ROOT, repositoryFiles } from "../source.ts";
import { evaluate } from "./nix.fixture.ts";

const NIX_FILES = repositoryFiles().filter((path) => path.endsWith(".nix"));

test("every Nix file is parsed", () => {
  expect(NIX_FILES.length).toBeGreaterThan(10);
  execFileSync("nix-instantiate", ["--parse", ...NIX_FILES.map((path) => join(ROOT, path))], {
    stdio: ["ignore", "ignore", "pipe"],
  });
});

/** The machine's nixpkgs lib if its path is given, and the modules' own needs of it otherwise. */
const LIBRARY = process.env["NIXPKGS_LIB"] ?? join(ROOT, "scripts/nix/nixpkgsLib.fixture.nix");

/** Evaluates a module with this configuration, and shows the option paths that the module sets. */
function module(name: string, configuration: string, shown: string): unknown {
  const { value, said } = evaluate(`let
    lib = import ${LIBRARY};
    any = lib.mkOption { default = { }; type = lib.types.attrsOf lib.types.anything; };
    list = lib.mkOption { default = [ ]; type = lib.types.anything; };
    text = default: lib.mkOption { inherit default; type = lib.types.anything; };
    stubs = { options = {
      assertions = list;
      environment.etc = any; environment.systemPackages = list;
      networking.hostName = text "web-1"; networking.firewall.allowedTCPPorts = list;
      nix.package = text "/nix-package"; systemd.package = text "/systemd-package"; systemd.services = any;
      users.users = any; users.groups = any;
    }; };
    result = lib.evalModules {
      specialArgs.pkgs = {
        nixwave-agent = "/agent"; nixwave-cp = "/cp"; bash = "/bash"; coreutils = "/coreutils"; util-linux = "/util-linux";
        formats.json = _: { type = lib.types.attrsOf lib.types.anything; generate = file: value: "\${file}:\${builtins.toJSON value}"; };
      };
      modules = [ stubs (root + "/nix/modules/${name}.nix") ({ lib, ... }: ${configuration}) ];
    };
    inherit (result) config;
  in ${shown}`);
  expect(said).toEqual([]);
  return value;
}

const commandOf = (name: string) => `config.systemd.services.${name}.serviceConfig.ExecStart`;

test("the agent's module: what is not said has a default, secrets go by credential, checks go into the closure", () => {
  const configuration = `{ services.nixwave-agent = {
    enable = true;
    settings = {
      channel = "stable"; controlPlane = "https://cp:8460"; authority = "/none/authority.pem"; root = "/none/root.json";
      heartbeatSecs = 30; metrics.port = 9101;
    };
    joinTokenFile = "/run/secrets/join";
    openFirewall = true;
    healthChecks.ssh = { kind = "tcp"; host = "127.0.0.1"; port = 22; };
  }; }`;
  const shown = `{
    command = ${commandOf("nixwave-agent")};
    credential = config.systemd.services.nixwave-agent.serviceConfig.LoadCredential;
    ports = config.networking.firewall.allowedTCPPorts;
    checks = builtins.fromJSON config.environment.etc."nixwave/agent/health-checks.json".text;
    holds = builtins.all (one: one.assertion) config.assertions;
  }`;
  const value = module("agent", configuration, shown);
  expect(value).toEqual({
    command: `/agent/bin/nixwave-agent run --config nixwave-agent.json:${JSON.stringify({
      activation: { backend: "nixos" },
      authority: "/none/authority.pem",
      channel: "stable",
      controlPlane: "https://cp:8460",
      enrolment: { tokenFile: "/run/credentials/nixwave-agent.service/join-token" },
      heartbeatSecs: 30,
      host: "web-1",
      metrics: { port: 9101 },
      root: "/none/root.json",
      stateDir: "/var/lib/nixwave-agent",
    })}`,
    credential: ["join-token:/run/secrets/join"],
    ports: [9101],
    checks: {
      schemaVersion: 1,
      checks: [{ host: "127.0.0.1", kind: "tcp", name: "ssh", port: 22 }],
    },
    holds: true,
  });
  // The program knows every key and takes every value: only the files are not on this machine.
  const { stderr } = checked("agent/bin/nixwave-agent", value);
  expect(
    stderr
      .trim()
      .split(/(?<=\.) (?=[A-Zr])/)
      .map((said) => said.replace(/ is not there.*/, "")),
  ).toEqual([
    "nixwave-agent: CONFIG: The CA's certificate /none/authority.pem",
    expect.stringContaining("/run/credentials/nixwave-agent.service/join-token"),
    "root: /none/root.json",
  ]);
});

/** What the program itself says of the configuration that a module made. */
function checked(program: "agent/bin/nixwave-agent" | "cp/bin/nixwave-cp", value: unknown) {
  const command = String(Reflect.get(Object(value), "command"));
  const file = join(mkdtempSync(join(tmpdir(), "nixwave-module-")), "config.json");
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, command.slice(command.indexOf(".json:") + ".json:".length));
  const argv = [join(ROOT, `apps/${program}.mjs`), "check-config", "--config", file];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  return { stdout, stderr: stderr.replaceAll(file, "CONFIG") };
}

test("the agent's module says what is missing, and does nothing where it is not enabled", () => {
  const nothing = `{ services.nixwave-agent.settings = { }; }`;
  expect(module("agent", nothing, "config.systemd.services")).toEqual({});
  expect(module("agent", nothing, "config.environment.etc")).toEqual({});
  const bare = `{ services.nixwave-agent.enable = true; }`;
  const message = "builtins.head (builtins.filter (one: !one.assertion) config.assertions)";
  expect(module("agent", bare, message)).toMatchObject({
    message: expect.stringContaining("expected channel, controlPlane, root, authority too"),
  });
});

test("the control plane's module: a user of its own, secrets by credential, the port if asked for", () => {
  const configuration = `{ services.nixwave-control-plane = {
    enable = true;
    settings = {
      repository = "https://releases/"; root = "/none/root.json"; listen = "[::]:9000"; name = "cp.example.org";
      caCert = "/none/ca.pem";
    };
    secretFiles.caKey = "/run/secrets/ca.pem";
    openFirewall = true;
  }; }`;
  const shown = `{
    command = ${commandOf("nixwave-control-plane")};
    inherit (config.systemd.services.nixwave-control-plane.serviceConfig) User LoadCredential ProtectSystem NoNewPrivileges;
    ports = config.networking.firewall.allowedTCPPorts;
  }`;
  const value = module("control-plane", configuration, shown);
  expect(value).toEqual({
    command: `/cp/bin/nixwave-cp serve --config nixwave-cp.json:${JSON.stringify({
      caCert: "/none/ca.pem",
      caKey: "/run/credentials/nixwave-control-plane.service/caKey",
      data: "/var/lib/nixwave-cp",
      listen: "[::]:9000",
      name: "cp.example.org",
      repository: "https://releases/",
      root: "/none/root.json",
    })}`,
    User: "nixwave-cp",
    LoadCredential: ["caKey:/run/secrets/ca.pem"],
    ProtectSystem: "strict",
    NoNewPrivileges: true,
    ports: [9000],
  });
  const { stdout, stderr } = checked("cp/bin/nixwave-cp", value);
  expect(stdout).toContain(
    "listen     :::9000, TLS 1.3 as cp.example.org\nca         the given certificate and key\n",
  );
  expect(stderr).toMatch(/^Data directory \/var\/lib\/nixwave-cp: there is none\./);
});

test("the control plane's module says what is missing", () => {
  const bare = `{ services.nixwave-control-plane.enable = true; }`;
  const message = "builtins.head (builtins.filter (one: !one.assertion) config.assertions)";
  expect(module("control-plane", bare, message)).toMatchObject({
    message: expect.stringContaining("expected repository, root, name too"),
  });
});
