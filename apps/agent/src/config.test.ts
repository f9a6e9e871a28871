import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
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
  activation: { backend: "directory", root: "/srv/root", closures: "/srv/closures" },
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
    "config.controlPlane: expected http://127.0.0.1:PORT: without TLS",
  ],
  [
    { controlPlane: "https://cp.example.org" },
    "config.controlPlane: expected http://127.0.0.1:PORT",
  ],
  [{ controlPlane: "http://127.0.0.1.example.org" }, "config.controlPlane: expected"],
  [{ controlPlane: "http://127.0.0.1:80/path" }, "config.controlPlane: expected"],
  [{ insecureLoopback: false }, "config.insecureLoopback: expected true"],
  [{ stateDir: "state" }, "config.stateDir: expected an absolute path"],
  [{ heartbeatSecs: 0 }, "config.heartbeatSecs: expected at least 1 second"],
  [{ pollWaitSecs: 121 }, "config.pollWaitSecs: expected at most 120 seconds"],
  [{ redact: ["("] }, "config.redact[0]: expected a regular expression"],
  [{ pollWait: 3 }, "pollWait"],
])("%j is one sentence with the place", (over, sentence) => {
  const config = read(over);
  expect(config).toMatchObject({ ok: false, error: expect.stringContaining(sentence) });
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
