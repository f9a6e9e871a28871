import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { near, timed } from "@nixwave/protocol/fuzz.fixture";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "./connect.ts";
import { credentialsOf } from "./credentials.ts";
import { readDescribed } from "./flake/declaration.ts";
import { evaluateToplevels } from "./flake/evaluate.ts";
import { jsonOf } from "./flake/nix.ts";
import { readSource } from "./import/source.ts";
import { Refusal } from "./refusal.ts";
import { parseDuration } from "./render/duration.ts";
import { settingsIn } from "./signing/settings.ts";

// Whatever a file, an address or a tool says, the command line answers with a value or with a refusal in one sentence. What is signed,
// declared or sent has its fuzz tests in packages/protocol.

let cwd: string;
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), "nixwave-fuzz-"));
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const RUNS = { numRuns: 300 };

const judged = (act: () => unknown): Promise<void> =>
  timed(async () => {
    try {
      await act();
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause;
      expect(cause.message.length).toBeLessThan(8192);
    }
  });

test("nixwave.json", async () => {
  const good = { fleet: "fleet.yaml", repository: "releases", keys: ["keys/ops-1.key"] };
  writeFileSync(join(cwd, "nixwave.json"), JSON.stringify(good));
  expect(settingsIn({ cwd })).toEqual(good);
  await fc.assert(
    fc.asyncProperty(near(good), async (text) => {
      writeFileSync(join(cwd, "nixwave.json"), text);
      await judged(() => {
        const { fleet = "x", repository = "x", keys = [] } = settingsIn({ cwd });
        expect([fleet, repository, ...keys].every((each) => each.length > 0)).toBe(true);
      });
    }),
    RUNS,
  );
});

test("what a flake evaluates to: fleet, systems, another tool's hosts", async () => {
  const system = { derivation: "/nix/store/x.drv", output: "/nix/store/y" };
  await fc.assert(
    fc.asyncProperty(
      near({ hosts: { "web-1": { channel: "stable", tags: ["web"] } }, channels: {} }),
      async (text) => {
        await judged(() => jsonOf(text, ".#fleet"));
        await judged(() => readDescribed(text, ".#fleet"));
      },
    ),
    RUNS,
  );
  await fc.assert(
    fc.asyncProperty(near({ "web-1": system, "web-2": system }), (text) =>
      judged(() => evaluateToplevels(async () => text, ".#fleet", [])),
    ),
    RUNS,
  );
  await fc.assert(
    fc.asyncProperty(near({ "web-1": { tags: ["web"], leftOut: [] } }), (text) =>
      judged(() => readSource(async () => text, "colmena", ".")),
    ),
    RUNS,
  );
});

test("the address of the control plane, from the command line or the environment", async () => {
  const credentials = { kind: "plain" } as const;
  const { signal } = new AbortController();
  const address = fc.oneof(fc.string(), fc.webUrl(), fc.constantFrom("https://", "http://[::1"));
  await fc.assert(
    fc.asyncProperty(address, (text) =>
      judged(() => connect({ address: text, operator: "ann", credentials, stop: signal })),
    ),
    RUNS,
  );
});

test("credentials: whatever the files hold, no secret is in a refusal", async () => {
  const file = join(cwd, "secret");
  const bytes = fc.uint8Array({ minLength: 24, maxLength: 400 });
  const mode = fc.constantFrom(0o600, 0o644);
  await fc.assert(
    fc.asyncProperty(bytes, mode, async (content, bits) => {
      rmSync(file, { force: true });
      writeFileSync(file, content, { mode: bits });
      const surroundings = { cwd, env: {} };
      await judged(() => {
        try {
          credentialsOf(surroundings, { cp: "https://x", authority: file, tokenFile: file });
        } catch (cause) {
          const said = cause instanceof Error ? cause.message : "";
          expect(said).not.toContain(Buffer.from(content).toString("utf8").trim());
          throw cause;
        }
      });
    }),
    RUNS,
  );
});

test("a duration is a number of seconds, or none", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{0,9} ?[a-z]{0,3}$/)), (text) => {
      const secs = parseDuration(text);
      expect(secs === null || (Number.isSafeInteger(secs) && secs > 0)).toBe(true);
    }),
    RUNS,
  );
});
