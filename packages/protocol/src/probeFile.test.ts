import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PROBE_FILE, readProbeFile } from "./probeFile.ts";

const toBytes = (text: string) => new TextEncoder().encode(text);
const read = (value: unknown) => readProbeFile(toBytes(JSON.stringify(value)));
const file = (...checks: unknown[]) => read({ schemaVersion: 1, checks });
const http = { name: "http-app", kind: "http", url: "http://127.0.0.1:8080/healthz" };

test("a check says only what it means; the rest is written out", () => {
  expect(file(http, { name: "port", kind: "tcp", host: "::1", port: 22, mode: "observe" })).toEqual(
    {
      ok: true,
      value: [
        {
          ...http,
          mode: "enforce",
          intervalSecs: 10,
          timeoutSecs: 5,
          status: 200,
          bodyContains: null,
        },
        {
          name: "port",
          kind: "tcp",
          host: "::1",
          port: 22,
          mode: "observe",
          intervalSecs: 10,
          timeoutSecs: 5,
        },
      ],
    },
  );
  expect(file({ name: "e", kind: "exec", argv: ["/bin/true"] })).toMatchObject({
    value: [{ exitCode: 0, results: null }],
  });
  expect(file({ name: "s", kind: "systemd" })).toMatchObject({ value: [{ units: [] }] });
  expect(file()).toEqual({ ok: true, value: [] });
});

describe("what is not understood is a sentence, never health", () => {
  test.each([
    ["no file's content", readProbeFile(toBytes("")), "is not JSON in UTF-8"],
    ["no UTF-8", readProbeFile(new Uint8Array([0xff])), "is not JSON in UTF-8"],
    ["a file without end", readProbeFile(new Uint8Array(300_000)), "of at most"],
    ["a later version", read({ schemaVersion: 2, checks: [] }), ".schemaVersion: expected 1"],
    ["no list", read({ schemaVersion: 1 }), ".checks"],
    [
      "an unknown kind",
      file({ ...http, kind: "grpc" }),
      ".checks[0].kind: expected a check of kind http, tcp, exec or systemd",
    ],
    ["a kind of every object", file({ ...http, kind: "__proto__" }), "expected a check of kind"],
    [
      "a misspelt condition",
      file({ ...http, bodyContain: "ok" }),
      'unknown key "bodyContain": expected name, mode, intervalSecs, timeoutSecs, kind, url, status, bodyContains. Did you mean bodyContains?',
    ],
    [
      "a name twice",
      file(http, http),
      ".checks[1].name: a probe named http-app is declared before",
    ],
    [
      "a name of the agent's own",
      file({ ...http, name: "system-stable" }),
      "not one of the agent's own probes",
    ],
    ["a name that would vanish", file({ ...http, name: "__proto__" }), "expected a probe name"],
    [
      "an unknown mode",
      file({ ...http, mode: "enforced" }),
      "expected enforce, observe or disabled",
    ],
    ["a hot loop", file({ ...http, intervalSecs: 0 }), ".checks[0].intervalSecs"],
    [
      "another protocol",
      file({ ...http, url: "file:///etc/shadow" }),
      "expected an http or https URL",
    ],
    [
      "a command of nothing",
      file({ name: "e", kind: "exec", argv: [] }),
      "expected a command and its arguments",
    ],
    [
      "a port that is none",
      file({ name: "t", kind: "tcp", host: "::1", port: 0 }),
      ".checks[0].port",
    ],
    [
      "too many",
      file(...Array.from({ length: 63 }, (_, at) => ({ ...http, name: `p${at}` }))),
      ".checks",
    ],
  ])("%s", (_, result, sentence) => {
    expect(result).toEqual({ ok: false, error: expect.stringContaining(sentence) });
    if (!result.ok) expect(result.error.startsWith(PROBE_FILE)).toBe(true);
  });

  test("whatever the bytes are", () => {
    const judge = (bytes: Uint8Array) => {
      const result = readProbeFile(bytes);
      if (!result.ok) expect(result.error).toContain(PROBE_FILE);
    };
    fc.assert(fc.property(fc.uint8Array(), judge));
    fc.assert(fc.property(fc.jsonValue(), (value) => judge(toBytes(JSON.stringify(value)))));
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(http)), fc.jsonValue(), (key, value) =>
        judge(toBytes(JSON.stringify({ schemaVersion: 1, checks: [{ ...http, [key]: value }] }))),
      ),
    );
  });
});
