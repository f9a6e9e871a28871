import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RunOptions, runCli } from "../run.fixture.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const run = (args: readonly string[], options: RunOptions = {}) =>
  runCli(args, { cwd: folder, ...options });
const put = (name: string, text: string, mode = 0o600): void =>
  writeFileSync(join(folder, name), text, { mode });

const SIGNER = `
  const { sign, createPrivateKey } = require("node:crypto");
  const { readFileSync } = require("node:fs");
  const key = createPrivateKey(readFileSync(process.argv[2]));
  const hash = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  process.stdout.write(sign(hash, readFileSync(0), key));`;

test.each(["ed25519", "p256"])(
  "--sign-cmd with a %s key makes a repository and signs a release",
  async (kind) => {
    await run(["key", "generate", "hsm.key", "--kind", kind]);
    put("sign.cjs", SIGNER);
    const by = ["--sign-cmd", `${process.execPath} sign.cjs hsm.key`, "--public-key", "hsm.pub"];
    expect(await run(["init", ...by])).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, "nixwave.json"), "utf8")).not.toContain("keys");
    expect(await run(["release", ...by])).toMatchObject({ code: 0 });
    const env = { NIXWAVE_SIGN_CMD: by[1] ?? "", NIXWAVE_PUBLIC_KEY: "hsm.pub" };
    expect(await run(["refresh"], { env })).toMatchObject({ code: 0 });
    expect(await run(["verify", "--root", "root.json"])).toMatchObject({ code: 0 });
  },
);

test.each([
  [
    "signs with another key",
    `${process.execPath} sign.cjs other.key`,
    /what was made is no signature by this key/,
  ],
  ["fails", `${process.execPath} -e process.exit(3)`, /--sign-cmd .* ended with 3/],
  ["is not there", "no-such-program", /--sign-cmd no-such-program could not be run/],
  [
    "gives too much",
    `${process.execPath} -e process.stdout.write("x".repeat(1e6))`,
    /--sign-cmd .* ended with SIGTERM/,
  ],
])(
  "a --sign-cmd that %s: one sentence, and nothing is released (hazard 93)",
  async (_, command, said) => {
    await run(["key", "generate", "hsm.key"]);
    await run(["key", "generate", "other.key"]);
    put("sign.cjs", SIGNER);
    await run(["init", "--key", "hsm.key"]);
    const ran = await run(["release", "--sign-cmd", command, "--public-key", "hsm.pub"]);
    expect(ran.code).toBe(1);
    expect(ran.talk).toMatch(said);
    const verified = await run(["verify", "--root", "root.json", "--json"]);
    expect(JSON.parse(verified.data)).toMatchObject({ sound: true, channels: [{ release: null }] });
  },
);

test("a key under a passphrase: asked for twice when it is made, and then for each signing, or read from a file", async () => {
  const made = await run(["init", "--passphrase"], { secrets: ["correct horse", "correct horse"] });
  expect(made.code).toBe(0);
  expect(readFileSync(join(folder, "keys/ops-2.key"), "utf8")).not.toContain("PRIVATE KEY");
  const asked = await run(["release"], { secrets: ["correct horse"], answer: "y" });
  expect(asked).toMatchObject({ code: 0, talk: expect.stringContaining("Passphrase of ") });
  put("passphrase", "correct horse\n");
  expect(await run(["refresh", "--passphrase-file", "passphrase"])).toMatchObject({ code: 0 });
  const env = { NIXWAVE_PASSPHRASE_FILE: "passphrase" };
  expect(await run(["refresh"], { env })).toMatchObject({ code: 0 });
  for (const { data, talk } of [made, asked]) expect(data + talk).not.toContain("correct horse");
});

test.each<[string, RunOptions, readonly string[], RegExp]>([
  [
    "nobody to ask",
    {},
    [],
    /takes a passphrase: name a file of mode 0600 that holds it with --passphrase-file/,
  ],
  [
    "the wrong one",
    { secrets: ["wrong"], answer: "y" },
    [],
    /the passphrase is wrong, or the file is damaged/,
  ],
  [
    "an open file",
    {},
    ["--passphrase-file", "open"],
    /mode 0644 lets others read it, expected 0600: chmod 600 open/,
  ],
  ["no file", {}, ["--passphrase-file", "gone"], /gone can't be read \(ENOENT\)/],
])("a passphrase, and %s", async (_, options, args, said) => {
  put("passphrase", "correct horse");
  put("open", "correct horse", 0o644);
  expect((await run(["init", "--passphrase-file", "passphrase"])).code).toBe(0);
  const ran = await run(["release", ...args], options);
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(said);
  expect(ran.talk).not.toContain("correct horse");
});

test("two passphrases that differ make no key", async () => {
  const made = await run(["key", "generate", "me.key", "--passphrase"], { secrets: ["a", "b"] });
  expect(made).toMatchObject({ code: 1, talk: expect.stringContaining("nothing was written") });
  expect((await run(["key", "generate", "me.key"])).code).toBe(0);
});

test.each([
  [
    "a key that is not one of the role's",
    ["--key", "mallory.key"],
    /mallory \([0-9a-f]{12}\) may not sign stable: that is for ops-2/,
  ],
  [
    "a key file that others may read",
    ["--key", "open.key"],
    /open\.key: mode 0644 lets others read this private key, expected 0600: chmod 600/,
  ],
  [
    "a key file that is not there",
    ["--key", "gone.key"],
    /gone\.key: the key could not be read: ENOENT/,
  ],
  ["what is no key", ["--key", "fleet.yaml"], /fleet\.yaml/],
  ["a public key", ["--key", "public.key"], /expected one PEM block BEGIN PRIVATE KEY/],
  [
    "--sign-cmd without its public key",
    ["--sign-cmd", "true"],
    /--sign-cmd needs --public-key FILE/,
  ],
])("%s: one sentence, and nothing is released", async (_, args, said) => {
  await run(["init"]);
  await run(["key", "generate", "mallory.key"]);
  await run(["key", "generate", "open.key"]);
  chmodSync(join(folder, "open.key"), 0o644);
  chmodSync(join(folder, "fleet.yaml"), 0o600);
  put("public.key", readFileSync(join(folder, "mallory.pub"), "utf8"));
  const ran = await run(["release", ...args]);
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(said);
  expect(ran.talk.trimEnd().split("\n")).toHaveLength(1);
  const verified = await run(["verify", "--json"]);
  expect(JSON.parse(verified.data)).toMatchObject({ sound: true, channels: [{ release: null }] });
});

test("no private key is in anything that is said, nor in the repository", async () => {
  const made = await run(["init"]);
  const secret = readFileSync(join(folder, "keys/ops-2.key"), "utf8").split("\n")[1] ?? "";
  const ran = [
    made,
    await run(["release", "--json"]),
    await run(["key", "list", "--json"]),
    await run(["verify", "--json"]),
  ];
  expect(secret.length).toBeGreaterThan(40);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const left = files.filter((one) => one.isFile() && one.name !== "ops-2.key");
  for (const { parentPath, name } of left) {
    expect(readFileSync(join(parentPath, name), "utf8"), name).not.toContain(secret);
  }
  for (const { data, talk } of ran) expect(data + talk).not.toContain(secret);
});
