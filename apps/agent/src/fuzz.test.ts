import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAttempt } from "@nixwave/effects";
import { sentence } from "@nixwave/protocol";
import { near, timed } from "@nixwave/protocol/fuzz.fixture";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bootDefault } from "./activation/bootLoader.ts";
import { endedUnit, readUnit } from "./activation/systemdState.ts";
import { parseUnitName, unitName } from "./activation/unit.ts";
import { reachTargets, readConfig } from "./config.ts";
import { parseDurationSecs, replySchema, requestSchema } from "./console/request.ts";
import { readAuthorities, readHostKey, readToken } from "./identity/evidence.ts";
import { decodeIdentity } from "./identity/file.ts";
import { consolePath, serveConsole } from "./inbound/console.ts";
import { readRoot } from "./inbound/root.ts";
import { callConsole } from "./perform/consoleCall.ts";
import { execCheck } from "./probes/execCheck.ts";

// Whatever a file, a command, a unit or a person at the console says, the agent answers with a value or with a sentence. What comes over the
// network and what is signed has its fuzz tests in packages/protocol, and inbound/attack.test.ts.

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-fuzz-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const NO_DISK = { writeAtomically: () => undefined, remove: () => undefined, freeBytes: () => 0 };
const RUNS = { numRuns: 200 };
/** Lines as programs write them, with words of the good ones in any place. */
const lines = (words: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 20 })), { maxLength: 30 })
    .map((parts) => parts.join(""));

test("the configuration file", async () => {
  const file = join(dir, "agent.json");
  const good = {
    host: "web-1",
    channel: "stable",
    controlPlane: "https://cp.example.org:8460",
    authority: "/etc/nixwave/ca.pem",
    enrolment: { tokenFile: "/etc/nixwave/token" },
    stateDir: "/var/lib/nixwave",
    root: "/etc/nixwave/root.json",
    activation: { backend: "directory", root: "/srv/root", closures: "/srv/closures" },
    redact: ["secret=\\S+"],
    anchors: ["192.0.2.7:22"],
  };
  writeFileSync(file, JSON.stringify(good));
  expect(readConfig(file)).toMatchObject({ ok: true });
  await fc.assert(
    fc.asyncProperty(near(good), async (text) => {
      writeFileSync(file, text);
      await timed(() => {
        const read = readConfig(file);
        if (!read.ok) expect(read.error).toContain(file);
        else void reachTargets(read.value);
      });
    }),
    RUNS,
  );
});

test("identity.json: a value, or a sentence that holds nothing of the file", async () => {
  const good = { schemaVersion: 1, held: null, kept: null, unheard: null };
  expect(decodeIdentity(JSON.stringify(good)).ok).toBe(true);
  await fc.assert(
    fc.asyncProperty(near(good), (text) =>
      timed(() => {
        const read = decodeIdentity(text);
        if (!read.ok) expect(read.error.length).toBeLessThan(4096);
      }),
    ),
    RUNS,
  );
  const secret = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJsecret\n-----END";
  for (const held of [{ key: secret, certificate: "x" }, secret]) {
    const read = decodeIdentity(JSON.stringify({ ...good, held }));
    expect(read.ok ? "" : read.error).not.toMatch(/secret|^$/);
  }
});

test("the files of enrolment and trust: CA, join token, root.json", async () => {
  const pem = fc
    .base64String({ maxLength: 400 })
    .map((body) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`);
  const text = fc.oneof(
    pem,
    fc.array(pem).map((all) => all.join("")),
    fc.string(),
    fc.json(),
  );
  await fc.assert(
    fc.asyncProperty(fc.option(text), (content) =>
      timed(() => {
        const disk = { ...NO_DISK, readText: () => content };
        expect(readAuthorities("/ca.pem", disk).ok).toBe(false);
        expect(readRoot("/root.json", disk).ok).toBe(false);
        const key = readHostKey("/ssh_host_ed25519_key", disk);
        expect(key).toMatchObject({
          ok: false,
          error: expect.stringContaining("/ssh_host_ed25519_key"),
        });
        const token = readToken("/token", disk);
        if (!token.ok) expect(token.error).toContain("/token");
      }),
    ),
    RUNS,
  );
});

test("what systemd and its units say: never a success that was not said", async () => {
  const words = [
    ..."LoadState= ActiveState= Result= ExecMainCode= ExecMainStatus= Job= \n".split(/(?<==) /),
    ..."loaded not-found active inactive activating success timeout 0 1 2 3".split(" "),
    "\n",
    "exited ",
  ];
  await fc.assert(
    fc.asyncProperty(lines(words), (text) =>
      timed(() => {
        for (const unit of [readUnit(text), endedUnit(text)]) {
          if (unit.kind !== "exited") continue;
          expect(Number.isSafeInteger(unit.code)).toBe(true);
          expect(text).toContain(String(unit.code));
        }
      }),
    ),
    { numRuns: 2000 },
  );
  const ended = "LoadState=loaded\nActiveState=failed\nResult=success\nExecMainCode=1\n";
  expect(readUnit(`${ended}ExecMainStatus=0\n`)).toEqual({ kind: "exited", code: 0 });
  for (const cut of ["", "ExecMainStatus=", "ExecMainStatus=\n", "ExecMainStatus=zero"])
    expect(readUnit(`${ended}${cut}`)).toEqual({ kind: "killed" });
});

test("names of units: ours come back as they were, others are nobody's", () => {
  const digits = fc.stringMatching(/^\d{1,20}$/);
  const name = fc
    .tuple(fc.constantFrom("switch", "rollback", "x"), fc.string({ maxLength: 8 }), digits, digits)
    .map(
      ([purpose, channel, attempt, tryNo]) =>
        `nixwave-${purpose}-${channel}.${"a".repeat(40)}-${"0".repeat(32)}-${attempt}-${tryNo}`,
    );
  fc.assert(
    fc.property(fc.oneof(name, fc.string()), (text) => {
      const read = parseUnitName(text);
      if (read === null) return;
      expect(isAttempt(read.attempt)).toBe(true);
      expect(parseUnitName(unitName(read))).toEqual(read);
    }),
    { numRuns: 1000 },
  );
});

test("boot loaders' files: a closure, or a sentence", async () => {
  const words = [
    "default ",
    "set default=",
    "menuentry 'x' {",
    "}",
    "\n",
    "LABEL ",
    "init=/nix/store/",
    "/init",
    "$x",
  ];
  const loader = fc.constantFrom("systemd-boot", "grub", "extlinux", "auto");
  await fc.assert(
    fc.asyncProperty(lines(words), loader, (text, chosen) =>
      timed(() => {
        const disk = { ...NO_DISK, readText: () => text };
        try {
          bootDefault({ loader: chosen, folder: "/boot" }, disk);
        } catch (cause) {
          expect(cause instanceof Error ? cause.constructor : cause).toBe(Error);
        }
      }),
    ),
    RUNS,
  );
});

test("what a probe's command prints: sub-results, or a failed probe with its reason", async () => {
  const good = { controlId: "CC-1", status: "pass", framework: "soc2" };
  const printed = near(good).map((text) => `[${text}]`);
  const check = { argv: ["x"], exitCode: 0, results: "json", mode: "enforce" } as const;
  await fc.assert(
    fc.asyncProperty(fc.oneof(printed, near(good)), (stdout) =>
      timed(async () => {
        const end = { kind: "exited", code: 0 } as const;
        const process = { run: async () => ({ end, stdout, stderr: "" }) };
        const run = execCheck({ ...check, timeoutSecs: 1 }, { process, env: {} });
        const outcome = await run(new AbortController().signal);
        if (outcome.status === "fail") expect(outcome.failureReason).toMatch(/^x printed /);
      }),
    ),
    RUNS,
  );
});

test("the console: whatever is written to its socket, one line of JSON comes back, or the connection ends", async () => {
  const path = consolePath(dir);
  const asked: unknown[] = [];
  const mailbox = { submit: async (input: unknown) => void asked.push(input) };
  const server = await serveConsole(path, {
    mailbox: mailbox as never,
    status: () => {
      throw new Error("no status in this test");
    },
    enrol: null,
  });
  const say = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = "";
      const socket = connect(path, () => socket.end(text));
      socket.on("data", (bytes) => (answer += bytes.toString()));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(answer));
    });
  const good = { command: "rollback", reason: "it is slow" };
  const line = fc.oneof(near(good), near({ command: "hold", secs: 60, reason: "x" }));
  await fc.assert(
    fc.asyncProperty(line, async (text) => {
      const answer = await say(`${text}\n`);
      if (answer !== "") expect(replySchema.safeParse(JSON.parse(answer)).success).toBe(true);
    }),
    { numRuns: 150 },
  );
  expect(await say("x".repeat(5000))).toBe("");
  server.close();
});

test("the console's answer, and what is typed for it", async () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const read = requestSchema.safeParse(value);
      if (!read.success) expect(sentence(read.error, "request")).toMatch(/^request/);
    }),
    RUNS,
  );
  expect((await callConsole(join(dir, "nobody.sock"), { command: "status" })).kind).not.toBe(
    "answered",
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const secs = parseDurationSecs(text);
      expect(secs === null || Number.isSafeInteger(secs)).toBe(true);
    }),
    RUNS,
  );
});
