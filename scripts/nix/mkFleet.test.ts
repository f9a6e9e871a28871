import { readFileSync } from "node:fs";
import { join } from "node:path";
import { instant } from "@nixwave/effects";
import { readFleet, readProbeFile, resolve } from "@nixwave/protocol";
import { expect, test } from "vitest";
import { evaluate } from "./nix.fixture.ts";

const TRANSCRIPT = join(import.meta.dirname, "testdata/mkFleet.txt");

/** What stands above `----` is a Nix expression; what it gives, or what is said of it, is written anew below. */
function say(expression: string): string {
  const { value, said } = evaluate(`let
    configurations = import (root + "/scripts/nix/hosts.fixture.nix");
    channel = select: { waves = [ { inherit select; } ]; };
    everything.stable = channel { all = true; };
  in ${expression}`);
  const shown = value === null ? [] : [JSON.stringify(value, null, 1)];
  return [...shown, ...said].join("\n");
}

function rewrite(transcript: string): string {
  const [preface = "", ...cases] = transcript.split(/^(?=## )/m);
  const written = cases.map((text) => {
    const [above = ""] = text.split(/^----$/m);
    return `${above}----\n${say(above.slice(above.indexOf("\n") + 1))}\n`;
  });
  return preface + written.join("\n");
}

test("transcript mkFleet: what it gives, and every refusal as a sentence", async () => {
  await expect(rewrite(readFileSync(TRANSCRIPT, "utf8"))).toMatchFileSnapshot(TRANSCRIPT);
});

const FLEET = `nixwave.mkFleet {
  nixosConfigurations = import (root + "/scripts/nix/hosts.fixture.nix") [ "canary-1" "db-1" "web-1" "web-2" ];
  hosts.canary-1 = { channel = "stable"; tags = [ "canary" ]; };
  hosts.db-1 = { channel = "stable"; tags = [ "db" ]; system = "aarch64-linux"; };
  hosts.web-1 = { channel = "stable"; tags = [ "web" ]; };
  hosts.web-2 = { channel = "edge"; tags = [ "web" ]; };
  channels.stable = {
    waves = [
      { description = "canary"; select.tags = [ "canary" ]; soakSecs = 600; }
      { select.not.tags = [ "canary" ]; }
    ];
    policy = { maxFailures = 1; onHealthFailure = "halt"; deferredCounts = "done"; };
  };
  channels.edge.waves = [ { select.hosts = [ "web-2" ]; } ];
  budgets = [ { name = "web"; select.or = [ { tags = [ "web" ]; } { hosts = [ "db-1" ]; } ]; maxInFlight = "50%"; } ];
  edges = [ { gates = "db-1"; gated.tags = [ "web" ]; reason = "migrations"; } ];
  channelEdges = [ { gates = "stable"; gated = "edge"; reason = "first the servers"; } ];
  healthChecks.tcp-ssh = { kind = "tcp"; host = "127.0.0.1"; port = 22; };
  tags.web.healthChecks = {
    http-app = { kind = "http"; url = "http://127.0.0.1/"; status = 204; bodyContains = "ok"; mode = "observe"; };
    units = { kind = "systemd"; units = [ "nginx.service" ]; intervalSecs = 0.5; };
    migrated = { kind = "exec"; argv = [ "/bin/true" ]; exitCode = 0; results = "json"; timeoutSecs = 30; };
  };
}`;

test("what mkFleet declares is a fleet file that a release is made of", () => {
  const { value, said } = evaluate(`(${FLEET}).declaration`);
  expect(said).toEqual([]);
  const withClosures = JSON.parse(JSON.stringify(value), (_, part: unknown) =>
    typeof part === "object" && part !== null && "system" in part
      ? { ...part, closure: `${"0".repeat(32)}-system` }
      : part,
  );
  const read = readFleet({ file: "fleet.json", text: JSON.stringify(withClosures) });
  if (!read.ok) throw new Error(JSON.stringify(read.error));
  const about = { revision: null, createdAt: instant(0), createdBy: "ci", note: "" };
  const resolved = resolve(read.value, about);
  expect(resolved).toMatchObject({ ok: true, value: { warnings: [] } });
});

test("every health check that mkFleet takes is one that the agent reads, in the closure", () => {
  const { value } = evaluate(`(${FLEET}).toplevels.web-1.probes`);
  const checks = readProbeFile(new TextEncoder().encode(String(value)));
  if (!checks.ok) throw new Error(checks.error);
  expect(checks.value.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    "http-app http",
    "migrated exec",
    "tcp-ssh tcp",
    "units systemd",
  ]);
});

test("no closure holds what is said about it: other waves, budgets and hosts leave a system as it is (hazard 94)", () => {
  const fleet = (rest: string) => `nixwave.mkFleet {
    nixosConfigurations = import (root + "/scripts/nix/hosts.fixture.nix") [ "web-1" "web-2" ];
    hosts.web-1 = { channel = "stable"; healthChecks.ssh = { kind = "tcp"; host = "127.0.0.1"; port = 22; }; };
    ${rest}
  }`;
  const one = fleet(`channels.stable.waves = [ { select.all = true; soakSecs = 60; } ];`);
  const other = fleet(`hosts.web-2 = { channel = "stable"; tags = [ "web" ]; };
    channels.stable = { waves = [ { select.hosts = [ "web-2" ]; } { select.hosts = [ "web-1" ]; } ]; policy.maxFailures = 3; };
    budgets = [ { name = "web"; select.all = true; maxInFlight = 1; } ];`);
  const [before, after] = [one, other].map((text) => evaluate(`(${text}).toplevels.web-1`).value);
  expect(before).toMatchObject({ probes: expect.stringContaining("ssh") });
  expect(after).toEqual(before);
});

test("a fleet of a thousand hosts is checked within Nix' own limits", () => {
  const { value } = evaluate(`let
    names = builtins.genList (n: "host-\${toString n}") 1000;
    fleet = nixwave.mkFleet {
      nixosConfigurations = import (root + "/scripts/nix/hosts.fixture.nix") names;
      hosts = builtins.listToAttrs (map (name: { inherit name; value.channel = "stable"; }) names);
      channels.stable.waves = [ { select.all = true; } ];
      edges = builtins.genList (n: {
        gates = "host-\${toString n}"; gated = "host-\${toString (n + 1)}"; reason = "in order";
      }) 999;
    };
  in builtins.length (builtins.attrNames fleet.declaration.hosts)`);
  expect(value).toBe(1000);
});
