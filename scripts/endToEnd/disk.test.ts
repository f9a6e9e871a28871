import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { instant } from "@nixwave/effects";
import { generateKey, initRepository, keySigner } from "@nixwave/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Ended, type StartedProcess, startCommand } from "../demo/process.ts";
import { ROOT } from "../source.ts";

// The control plane on a disk that is full or read-only: a 4 MiB tmpfs in a mount namespace of the test's own. It says so in one
// line that names the path, answers 503, commits nothing, and goes on without a restart when there is room again. The agent's
// tests do the same to its journal (apps/agent/src/main.test.ts).

const CP = join(ROOT, "apps/cp/bin/nixwave-cp.mjs");
const WAIT_MS = 120_000;

let folder: string;
let cp: StartedProcess | null = null;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-disk-"));
  mkdirSync(join(folder, "data"));
  const signer = keySigner(generateKey(), "ops");
  if (!signer.ok) throw new Error(signer.error);
  const hands = {
    directory: join(folder, "releases"),
    signers: [signer.value],
    now: instant(Date.now()),
  };
  const made = await initRepository(hands, { channels: [], hosts: new Map() });
  if (!made.ok) throw new Error(made.error.reason);
});

afterEach(async () => {
  cp?.signal("SIGKILL");
  await cp?.ended;
  rmSync(folder, { recursive: true, force: true });
});

const data = (): string => join(folder, "data");
const log = (): string => readFileSync(join(folder, "cp.log"), "utf8");

/** The folder as the process sees it, through its root: the mount is in its namespace alone. */
const inside = (...path: readonly string[]): string =>
  join("/proc", String(cp?.pid), "root", data(), ...path);

/** Mounts, runs `prepare` and becomes the control plane, all in a mount namespace of its own. */
function serve(prepare: string, mount = `mount -t tmpfs -o size=4m tmpfs ${data()}`): void {
  const releases = join(folder, "releases");
  const repository = `--repository ${releases} --root ${join(releases, "metadata/1.root.json")}`;
  const listen = "--listen 127.0.0.1:0 --insecure-loopback";
  const script = `
    ${mount}
    ${process.execPath} ${CP} init --data ${data()}
    ${prepare}
    exec ${process.execPath} ${CP} serve --data ${data()} ${repository} ${listen}`;
  cp = startCommand({
    name: "cp",
    command: "unshare",
    args: ["-m", "sh", "-ec", script],
    cwd: folder,
    logFile: join(folder, "cp.log"),
  });
}

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const giveUpAt = performance.now() + WAIT_MS;
  for (;;) {
    const seen = await look().catch(() => null);
    if (seen !== null) return seen;
    if (performance.now() > giveUpAt)
      throw new Error(`${what} was not reached; the log:\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const said = (words: RegExp): Promise<true> =>
  until(`a line ${words}`, async () => (words.test(log()) ? true : null));
const lines = (words: RegExp): number =>
  log()
    .split("\n")
    .filter((line) => words.test(line)).length;

const url = (): Promise<string> =>
  until("an address", async () => /"url":"([^"]+)"/.exec(log())?.[1] ?? null);

const HEADERS = {
  "nixwave-protocol": "1",
  "nixwave-operator": "ops-1",
  "content-type": "application/json",
};

/** Something that has to be committed. */
async function freeze(address: string): Promise<Response> {
  const body = JSON.stringify({ scope: { kind: "all" }, reason: "r".repeat(400), until: null });
  return fetch(`${address}/v1/freezes`, { method: "POST", headers: HEADERS, body });
}

async function freezes(address: string): Promise<number> {
  const answer = await fetch(`${address}/v1/freezes`, { headers: HEADERS });
  const page: { readonly items: readonly unknown[] } = JSON.parse(await answer.text());
  return page.items.length;
}

/** Runs in the namespace of the process that serves. */
const nsenter = (...command: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const args = ["-m", "-t", String(cp?.pid), ...command];
    execFile("nsenter", args, (cause) => (cause === null ? resolve() : reject(cause)));
  });

const image = (): string => join(folder, "disk.ext4");
const mountImage = (): string => `mount -o loop,errors=remount-ro ${image()} ${data()}`;

const remountWritable = (): Promise<void> => nsenter("mount", "-o", "remount,rw", data());

describe("a control plane that can't write", { timeout: 600_000 }, () => {
  test("a disk that fills up: 503, one line, nothing half done; room again: on it goes", async () => {
    serve("");
    const address = await url();
    expect((await freeze(address)).status).toBe(200);
    expect(() => writeFileSync(inside("ballast"), Buffer.alloc(8 << 20))).toThrow(/ENOSPC/);
    // What SQLite has allocated already may take some commits more.
    await until("a 503", async () => ((await freeze(address)).status === 503 ? true : null));
    const refused = await freeze(address);
    expect(refused.headers.get("retry-after")).not.toBeNull();
    expect(await refused.json()).toMatchObject({
      code: "not-stored",
      detail: expect.stringContaining("cp.db"),
    });
    const before = await freezes(address);
    expect((await freeze(address)).status).toBe(503);
    expect(await freezes(address)).toBe(before);
    expect(lines(/cp\.db can't be written/)).toBe(1);
    expect((await fetch(`${address}/readyz`)).status).toBe(503);
    rmSync(inside("ballast"));
    await until("a commit", async () => ((await freeze(address)).status === 200 ? true : null));
    expect(await freezes(address)).toBe(before + 1);
    await said(/cp\.db can be written again/);
    expect(await check()).toMatchObject({ code: 0 });
  });

  // What a kernel does to a disk that fails. A remount by hand is refused with EBUSY while the database is open, and tmpfs can't fail.
  test("a disk that turns read-only while it serves: 503, one line, reads go on; what was acknowledged is there again", async () => {
    serve("", `truncate -s 24m ${image()}; mke2fs -q -F -t ext4 ${image()}; ${mountImage()}`);
    const address = await url();
    expect((await freeze(address)).status).toBe(200);
    await nsenter("mount", "-o", "remount,abort", data());
    expect(() => writeFileSync(inside("ballast"), "x")).toThrow(/EROFS/);
    const refused = await freeze(address);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: "not-stored" });
    expect((await freeze(address)).status).toBe(503);
    expect(await freezes(address)).toBe(1);
    expect(lines(/cp\.db can't be written/)).toBe(1);
    expect((await fetch(`${address}/readyz`)).status).toBe(503);
    cp?.signal("SIGKILL");
    await cp?.ended;
    const again = startCommand({
      name: "check",
      command: "unshare",
      args: [
        "-m",
        "sh",
        "-ec",
        `${mountImage()}; ${process.execPath} ${CP} check --data ${data()}`,
      ],
      cwd: folder,
      logFile: join(folder, "check.log"),
    });
    expect(await again.ended).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, "check.log"), "utf8")).toMatch(/clean: [1-9]/);
  });

  test.each([
    [
      "full at its start",
      'dd if=/dev/zero of="$PWD/data/ballast" bs=64k 2>/dev/null || true',
      async () => rmSync(inside("ballast")),
    ],
    ["read-only at its start", "mount -o remount,ro $PWD/data", remountWritable],
  ] as const)("%s: it waits at the door, and comes in by itself", async (_, prepare, mend) => {
    serve(prepare);
    await said(/data can't be written/);
    expect(lines(/can't be written/)).toBe(1);
    expect(log()).toContain(data());
    await mend();
    const address = await url();
    await until("a commit", async () => ((await freeze(address)).status === 200 ? true : null));
    expect(lines(/can't be written/)).toBe(1);
  });
});

/** `nixwave-cp check` inside the namespace, while it serves. */
async function check(): Promise<Ended> {
  const checking = startCommand({
    name: "check",
    command: "nsenter",
    args: ["-m", "-t", String(cp?.pid), process.execPath, CP, "check", "--data", data()],
    cwd: dirname(folder),
    logFile: join(folder, "check.log"),
  });
  return checking.ended;
}
