import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { CommanderError } from "@commander-js/extra-typings";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_CRASH } from "../crashPoint.ts";
import { type Folder, makeFolder } from "../endToEnd/process.fixture.ts";
import { rootFileIn, signedRepository } from "../endToEnd/releaseFolder.fixture.ts";
import { realClock, realTimer } from "../realPorts.ts";
import { createProgram } from "./argv.ts";
import { createCommands } from "./commands.ts";
import { lockDataDir } from "./processLock.ts";

let folder: Folder;
beforeEach(async () => {
  folder = makeFolder();
  await signedRepository(folder.releases, realClock.now());
});
afterEach(() => folder.remove());

/** The command line in this process: what it wrote and ended in. A serve that comes up is told to stop at once. */
async function run(...args: readonly string[]) {
  const ended = { code: -1, stdout: "", stderr: "" };
  const writeOut = (text: string): void => {
    ended.stdout += text;
  };
  const writeErr = (text: string): void => {
    ended.stderr += text;
  };
  const world = () => ({
    clock: realClock,
    timer: realTimer,
    random: { bytes: (count: number) => randomBytes(count) },
    crash: NO_CRASH,
    log: { log: () => undefined },
    version: "0.0.0",
  });
  const toldToStop = () => Promise.resolve("the test");
  const commands = createCommands({ world, writeOut, writeErr, toldToStop });
  const exit = (code: number): void => {
    ended.code = code;
  };
  try {
    await createProgram({ commands, version: "0.0.0", writeOut, writeErr, exit }).parseAsync(args, {
      from: "user",
    });
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    ended.code = cause.exitCode;
  }
  return ended;
}

const root = () => ["--root", rootFileIn(folder.releases)];
const where = () => ["--data", folder.data, "--repository", folder.releases, ...root()];
const loopback = () => [...where(), "--listen", "127.0.0.1:0", "--insecure-loopback"];

describe("a mistake gets one sentence on stderr, nothing on stdout, and exit code 1 (hazard 99)", () => {
  it.each<[string, () => readonly string[], RegExp]>([
    ["no data directory named", () => ["serve"], /^No data directory: add --data DIR/],
    [
      "no name where it listens on every address",
      () => ["serve", ...where(), "--listen", "0.0.0.0:1"],
      /add --name with the one name by which agents reach it/,
    ],
    [
      "an address beyond the loopback",
      () => ["serve", ...loopback(), "--listen", "0.0.0.0:1"],
      /serves the loopback only/,
    ],
    [
      "no such data directory",
      () => ["serve", ...loopback()],
      /^Data directory .*: there is none\. Make .* nixwave-cp init/,
    ],
    [
      "no config file",
      () => ["serve", "--config", "nowhere.json"],
      /^nowhere\.json: the config file can't be read \(ENOENT\)/,
    ],
    [
      "check without a database",
      () => ["check", "--data", folder.root],
      /^There is no database at .*cp\.db: make one/,
    ],
    [
      "rebuild without a data directory",
      () => ["rebuild", "--data", join(folder.root, "no")],
      /cp\.lock: the lock file can't be written/,
    ],
  ])("%s", async (_what, args, sentence) => {
    const ended = await run(...args());
    expect(ended.stderr.trimEnd()).toMatch(sentence);
    expect(ended.stderr.trimEnd()).not.toContain("\n");
    expect(ended).toMatchObject({ code: 1, stdout: "" });
  });

  it("a database without its folder of releases, a second init, a foreign file", async () => {
    expect(await run("init", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
    const again = await run("init", "--data", folder.data);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("is there already") });
    const nowhere = join(folder.root, "nowhere");
    const unread = await run(
      "serve",
      "--data",
      folder.data,
      "--repository",
      nowhere,
      "--root",
      rootFileIn(folder.releases),
      "--insecure-loopback",
    );
    expect(unread).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Repository .*: there is none/),
    });
    writeFileSync(join(folder.root, "cp.db"), "no database");
    const foreign = await run("check", "--data", folder.root);
    expect(foreign.code).toBe(1);
    expect(foreign.stderr.trimEnd()).not.toContain("\n");
  });

  it("an unknown flag is named, with what was probably meant", async () => {
    const ended = await run("serve", "--repositry", "x");
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("unknown option '--repositry'");
    expect(ended.stderr).toContain("--repository");
  });
});

it("check-config says what serve would do, and what is missing (hazard 99)", async () => {
  const config = join(folder.root, "cp.json");
  writeFileSync(
    config,
    JSON.stringify({
      data: "data",
      repository: "releases",
      root: "releases/metadata/1.root.json",
      insecureLoopback: true,
    }),
  );
  const before = await run("check-config", "--config", config);
  expect(before.code).toBe(1);
  expect(before.stdout).toContain(`data       ${join(folder.data, "cp.db")}`);
  expect(before.stderr).toMatch(/nixwave-cp init/);
  await run("init", "--config", config);
  expect(await run("check-config", "--config", config)).toMatchObject({ code: 0, stderr: "" });
});

it("a ready file that can't be written stops what was started, in one sentence", async () => {
  await run("init", "--data", folder.data);
  const ended = await run("serve", ...loopback(), "--ready-file", join(folder.root, "no", "ready"));
  expect(ended.stderr.trimEnd()).toMatch(
    /^--ready-file .*: it can't be written .*Name another file\.$/,
  );
  expect(ended.code).toBe(1);
  expect(await run("rebuild", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
});

describe("one process per database", () => {
  it("a second serve and a rebuild are refused, reads are not", async () => {
    await run("init", "--data", folder.data);
    const lock = lockDataDir(folder.data);
    const busy = /another nixwave-cp works on this data directory\. Stop it first/;
    expect((await run("serve", ...loopback())).stderr).toMatch(busy);
    expect((await run("rebuild", "--data", folder.data)).stderr).toMatch(busy);
    expect(await run("check", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
    if (lock.ok) lock.value.release();
    expect(await run("rebuild", "--data", folder.data)).toMatchObject({ code: 0, stderr: "" });
  });

  it("an address that is taken is one sentence, and lets go of the database", async () => {
    await run("init", "--data", folder.data);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const listen = ["--listen", `127.0.0.1:${port}`];
    const ended = await run("serve", ...where(), ...listen, "--insecure-loopback");
    other.close();
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(
      `--listen 127.0.0.1:${port}: the address can't be had (EADDRINUSE)`,
    );
  });
});

describe("what a backup does not hold", () => {
  const backup = () => join(folder.root, "cp.db");
  it("is the CA: help, backup and restore name its files", async () => {
    await run("init", "--data", folder.data);
    const without = await run("backup", backup(), "--data", folder.data);
    expect(without.stdout).not.toContain("ca.key");
    await run("ca", "--data", folder.data);
    const withCa = await run("backup", join(folder.root, "2.db"), "--data", folder.data);
    expect(withCa).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("the CA is not in it"),
    });
    expect(withCa.stdout).toContain(join(folder.data, "tls", "ca.key"));
    const anew = join(folder.root, "anew");
    const restored = await run("restore", backup(), "--data", anew);
    expect(restored).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("there is no CA in"),
    });
    expect(restored.stdout).toContain(join(anew, "tls", "ca.key"));
    const help = await run("backup", "--help");
    expect(help.stdout).toContain("tls/ca.key");
  });

  it("and serve --help names every key of the config file", async () => {
    const { stdout } = await run("serve", "--help");
    for (const key of ["caCert", "caKey", "caSignCmd", "serverCert", "name", "allowTokenAdmin"])
      expect(stdout).toContain(key);
  });
});
