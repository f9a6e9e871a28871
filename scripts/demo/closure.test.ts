import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { isClosureHash } from "@nixwave/effects";
import { PROBE_FILE, readProbeFile } from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ClosurePlan, makeClosure } from "./closure.ts";
import { startService } from "./service.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-closure-"));
  mkdirSync(join(folder, "root/service"), { recursive: true });
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const plan = (more: Partial<ClosurePlan> = {}): ClosurePlan => ({
  host: "web-1",
  version: "app-1",
  ailment: null,
  service: { address: "127.0.0.1", port: 8080 },
  probeIntervalSecs: 1,
  switchSecs: 0,
  ...more,
});

const switchTo = (closure: string, word: string): string =>
  execFileSync(join(folder, closure, "bin/switch-to-configuration"), [word], {
    env: { PATH: process.env["PATH"], NIXWAVE_ROOT: join(folder, "root") },
    encoding: "utf8",
    stdio: "pipe",
  });
const linked = (name: string): string => basename(readlinkSync(join(folder, "root", name)));

test("the same plan gives the same closure, another host another one", () => {
  const closure = makeClosure(folder, plan());
  expect(isClosureHash(closure)).toBe(true);
  expect(makeClosure(folder, plan())).toBe(closure);
  expect(makeClosure(folder, plan({ host: "web-2" }))).not.toBe(closure);
});

test("its probes are ones that an agent reads", () => {
  const closure = makeClosure(folder, plan());
  const read = readProbeFile(readFileSync(join(folder, closure, PROBE_FILE)));
  expect(read.ok && read.value.map(({ name, kind, mode }) => `${name} ${kind} ${mode}`)).toEqual([
    "http-app http enforce",
    "tcp-app tcp observe",
  ]);
});

test("a switch moves the links and the service's health, a boot only the boot default", async () => {
  const well = makeClosure(folder, plan());
  const sick = makeClosure(folder, plan({ version: "app-2", ailment: "no 'migration' $HOME" }));
  const service = await startService((host) => (host === "web-1" ? join(folder, "root") : null));
  const health = async (host: string): Promise<string> => {
    const answer = await fetch(`http://${service.address}:${service.port}/${host}/health`);
    return `${answer.status} ${(await answer.text()).trim()}`;
  };
  try {
    expect(await health("web-1")).toBe("503 not started");
    switchTo(well, "switch");
    expect(await health("web-1")).toBe("200 ok");
    expect([linked("current-system"), linked("boot")]).toEqual([well, well]);
    switchTo(sick, "boot");
    expect([linked("current-system"), linked("boot")]).toEqual([well, sick]);
    switchTo(sick, "switch");
    expect(await health("web-1")).toBe("503 no 'migration' $HOME");
    expect(await health("web-2")).toBe("503 no such host");
    expect(() => switchTo(well, "dance")).toThrow(/usage:/);
    expect(switchTo(well, "check")).toBe("");
  } finally {
    await service.stop();
  }
});
