import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Folder, makeFolder, runCp } from "../endToEnd/process.fixture.ts";

let folder: Folder;
beforeEach(async () => {
  folder = makeFolder();
  await runCp("init", "--data", folder.data);
});
afterEach(() => folder.remove());

const data = () => ["--data", folder.data];
const NO_TOKEN = /^(?!.*nwt_)/s;

test("a token alone is on stdout, once; lists and revocations name it by its hash", async () => {
  const ann = ["--name", "ann", "--role", "viewer"];
  const added = await runCp("token", "add", ...data(), ...ann, "--days", "7");
  expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nwt_[\w-]{43}\n$/) });
  expect(added.stderr).toMatch(/^token [0-9a-f]{12} of ann, viewer, until .*shown this once\n$/);
  expect(added.stderr).toMatch(NO_TOKEN);
  const listed = await runCp("token", "list", ...data());
  expect(listed.stdout).toMatch(/^([0-9a-f]{12}) {2}ann {2}viewer {2}until .*never used/);
  const id = listed.stdout.slice(0, 12);
  const revoked = await runCp("token", "revoke", id, ...data());
  expect(revoked.stdout).toBe(`revoked the token ${id} of ann: it is refused from now on\n`);
  expect((await runCp("token", "list", ...data())).stdout).toContain("  revoked ");
  const database = readFileSync(join(folder.data, "cp.db")).toString("latin1");
  expect(database).not.toContain(added.stdout.trim());
});

test("--out writes a new file of mode 0600, and grants nothing where one is", async () => {
  const out = join(folder.root, "ann.token");
  const add = ["token", "add", ...data(), "--name", "ann", "--role", "admin", "--out", out];
  expect(await runCp(...add)).toMatchObject({ code: 0, stdout: expect.stringMatching(NO_TOKEN) });
  expect(statSync(out).mode & 0o777).toBe(0o600);
  expect((await runCp(...add)).stderr).toBe(
    `${out} is there already: name another place with --out.\n`,
  );
  expect((await runCp("token", "list", ...data())).stdout.trim().split("\n")).toHaveLength(1);
});

test.each([
  [["token", "add", "--name", "a b", "--role", "viewer"], /--name a b: expected 1 to 64 letters/],
  [["token", "add", "--name", "ann", "--role", "root"], /Allowed choices are viewer, operator/],
  [["token", "add", "--name", "ann", "--role", "viewer", "--days", "9999"], /expected 1 to 365/],
  [["token", "revoke", "000000000000"], /There is no token 000000000000/],
  [["operator-certificate", "revoke", "00"], /There is no operator's certificate 00/],
  [["ca", "--ca-key", "x"], /without --ca-cert/],
])("%j is refused with a sentence", async (args, sentence) => {
  const [command = "", ...rest] = args;
  const ended = await runCp(command, ...rest, ...data());
  expect(ended).toMatchObject({ code: 1, stdout: "" });
  expect(ended.stderr).toMatch(sentence);
});

test("an operator's certificate comes with its key of mode 0600, and is listed", async () => {
  const add = ["operator-certificate", "add", ...data(), "--name", "ann", "--role", "admin"];
  const added = await runCp(...add, "--out", folder.root);
  expect(added).toMatchObject({ code: 0, stderr: "" });
  expect(statSync(join(folder.root, "ann.key")).mode & 0o777).toBe(0o600);
  const [, serial = ""] = /serial ([0-9a-f]{32})/.exec(added.stdout) ?? [];
  const listed = await runCp("operator-certificate", "list", ...data());
  expect(listed.stdout).toMatch(new RegExp(`^${serial} {2}ann {2}admin {2}until `));
  const ca = await runCp("ca", ...data());
  expect(ca.stdout).toBe(readFileSync(join(folder.data, "tls", "ca.pem"), "utf8"));
});
