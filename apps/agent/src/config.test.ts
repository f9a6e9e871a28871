import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { wrongActivation } from "./activation/choose.ts";
import { readConfig, redactor } from "./config.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-config-"));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

const USUAL = {
  host: "web-1",
  channel: "stable",
  controlPlane: "http://127.0.0.1:8080",
  insecureLoopback: true,
  stateDir: "/var/lib/nixwave",
  root: "/etc/nixwave/root.json",
  activation: { backend: "directory", root: "/srv/root", closures: "/srv/closures" },
};

const PROFILE = {
  backend: "profile",
  profile: "/nix/var/nix/profiles/nixwave/ann",
  active: "/var/lib/nixwave/active",
};

function read(over: Readonly<Record<string, unknown>>) {
  const file = join(dir, "agent.json");
  writeFileSync(file, JSON.stringify({ ...USUAL, ...over }));
  return readConfig(file);
}

test("what is left out has a written default", () => {
  expect(read({})).toMatchObject({
    ok: true,
    value: {
      heartbeatSecs: 60,
      pollWaitSecs: 60,
      redact: [],
      metrics: null,
      activation: { cache: null },
    },
  });
});

test.each([
  [{ host: "Web_1" }, "config.host: expected a host name"],
  [{ channel: "Stable!" }, "config.channel: expected a channel"],
  [
    { controlPlane: "http://10.0.0.1:8080" },
    "config.controlPlane: expected https://HOST:PORT: without TLS an agent talks to its own machine only",
  ],
  [{ controlPlane: "http://127.0.0.1.example.org" }, "config.controlPlane: expected https://"],
  [{ controlPlane: "ftp://cp.example.org" }, "config.controlPlane: expected https://"],
  [
    { controlPlane: "https://cp.example.org" },
    "config.insecureLoopback: expected http://127.0.0.1",
  ],
  [{ authority: "/etc/nixwave/ca.pem" }, "config.authority: expected https://"],
  [{ controlPlaneName: "cp-1" }, "config.controlPlaneName: expected https://"],
  [{ enrolment: { tokenFile: "/run/token" } }, "config.enrolment: expected https://"],
  [{ insecureLoopback: undefined }, "config.insecureLoopback: expected true"],
  [{ controlPlane: "http://127.0.0.1:80/path" }, "config.controlPlane: expected"],
  [{ insecureLoopback: false }, "config.insecureLoopback: expected true"],
  [{ stateDir: "state" }, "config.stateDir: expected an absolute path"],
  [{ heartbeatSecs: 0 }, "config.heartbeatSecs: expected at least 1 second"],
  [{ pollWaitSecs: 121 }, "config.pollWaitSecs: expected at most 120 seconds"],
  [{ redact: ["("] }, "config.redact[0]: expected a regular expression"],
  [{ pollWait: 3 }, "pollWait"],
  [
    { activation: { ...PROFILE, profile: "/home/ann/.local/state/nix/profiles/home-manager" } },
    "config.activation.profile: expected a profile of Nixwave's own",
  ],
  [{ activation: { ...PROFILE, script: "../activate" } }, "config.activation.script: expected"],
  [{ activation: { ...PROFILE, user: "Ann" } }, "config.activation.user: expected a user's name"],
  [
    { activation: { ...PROFILE, units: { kind: "sessions", folder: "units" } } },
    "config.activation.units.folder: expected an absolute path",
  ],
])("%j is one sentence with the place", (over, sentence) => {
  const config = read(over);
  expect(config).toMatchObject({ ok: false, error: expect.stringContaining(sentence) });
});

test("a profile is activated by `activate`, as root, in a unit of systemd's", () => {
  expect(read({ activation: PROFILE })).toMatchObject({
    ok: true,
    value: {
      activation: { script: "activate", args: [], user: null, units: { kind: "systemd" } },
    },
  });
});

test("sessions under systemd are refused: they would end with the agent", () => {
  const units = { kind: "sessions", folder: "/var/lib/nixwave/units" };
  const config = read({ activation: { ...PROFILE, units } });
  if (!config.ok) throw new Error(config.error);
  const { activation } = config.value;
  expect(wrongActivation(activation, {})).toEqual([]);
  expect(wrongActivation(activation, { INVOCATION_ID: "1" })).toEqual([
    expect.stringContaining("activation.units: systemd runs this agent"),
  ]);
  const usual = read({ activation: PROFILE });
  if (!usual.ok) throw new Error(usual.error);
  expect(wrongActivation(usual.value.activation, { INVOCATION_ID: "1" })).toEqual([]);
});

const SECURE = {
  controlPlane: "https://cp.example.org:8460",
  insecureLoopback: undefined,
  authority: "/etc/nixwave/ca.pem",
};

test.each([
  [
    {},
    {
      authority: "/etc/nixwave/ca.pem",
      controlPlaneName: "cp.example.org",
      enrolBy: { kind: "ssh", path: "/etc/ssh/ssh_host_ed25519_key" },
    },
  ],
  [
    { controlPlane: "https://[::1]:8460", enrolment: { sshHostKey: "/keys/host" } },
    {
      authority: "/etc/nixwave/ca.pem",
      controlPlaneName: "::1",
      enrolBy: { kind: "ssh", path: "/keys/host" },
    },
  ],
  [
    { controlPlaneName: "cp-1", enrolment: { tokenFile: "/run/token" } },
    {
      authority: "/etc/nixwave/ca.pem",
      controlPlaneName: "cp-1",
      enrolBy: { kind: "token", path: "/run/token" },
    },
  ],
])("over TLS, %j", (over, tls) => {
  expect(read({ ...SECURE, ...over })).toMatchObject({ ok: true, value: { tls } });
});

test.each([
  [{ authority: undefined }, "config.authority: expected the path of the CA's certificate"],
  [{ authority: "ca.pem" }, "config.authority: expected an absolute path"],
  [{ controlPlaneName: "two words" }, "config.controlPlaneName: expected a name such as"],
  [{ enrolment: { token: "secret" } }, 'config.enrolment: expected { "sshHostKey": PATH }'],
  [{ enrolment: { sshHostKey: "/a", tokenFile: "/b" } }, "config.enrolment: expected {"],
])("over TLS, %j is one sentence with the place", (over, sentence) => {
  expect(read({ ...SECURE, ...over })).toMatchObject({
    ok: false,
    error: expect.stringContaining(sentence),
  });
});

test("a file that is missing or no JSON is named", () => {
  expect(readConfig(join(dir, "none.json"))).toMatchObject({
    ok: false,
    error: expect.stringMatching(/none\.json can't be read .*--config FILE/),
  });
  writeFileSync(join(dir, "broken.json"), "{");
  expect(readConfig(join(dir, "broken.json"))).toMatchObject({
    ok: false,
    error: expect.stringContaining("broken.json is no JSON"),
  });
});

test("what the patterns match leaves no trace", () => {
  const redact = redactor(["token=\\S+", "hunter2"]);
  expect(redact("token=abc said hunter2, token=def")).toBe(
    "[redacted] said [redacted], [redacted]",
  );
});
