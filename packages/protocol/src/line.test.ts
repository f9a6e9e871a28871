import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EVENT_KINDS, EVENT_SCHEMAS, envelopeSchema } from "./event.ts";
import { sha256 } from "./hash.ts";
import {
  BATCH_BYTES_MAX,
  BATCH_LINES_MAX,
  decodeLine,
  encodeLine,
  LINE_BYTES_MAX,
  splitBatch,
} from "./line.ts";
import { wireOf } from "./wire.fixture.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const good = {
  host: "web-1",
  rolloutId: `stable@${"9f3c2ab0".repeat(5)}`,
  seq: 7,
  prev: "ab".repeat(32),
  event: { kind: "RollbackStarted", startedAt: "2026-11-24T13:00:00.000Z" },
};
const { seq: _seq, ...numberless } = good;

test("a line is read with its instants as milliseconds, and written again byte for byte", () => {
  const line = decodeLine(JSON.stringify(good));
  expect(line).toMatchObject({
    ok: true,
    value: { seq: 7, event: { startedAt: Date.UTC(2026, 10, 24, 13) } },
  });
  if (line.ok) expect(encodeLine(line.value)).toBe(JSON.stringify(good));
});

test.each(EVENT_KINDS)("%s: decode, encode, decode (hazard 9)", (kind) => {
  fc.assert(
    fc.property(
      wireOf(envelopeSchema.unwrap().shape.host),
      wireOf(EVENT_SCHEMAS[kind]),
      (host, event) => {
        const text = JSON.stringify({ ...good, host, event });
        fc.pre(bytes(text).length <= LINE_BYTES_MAX);
        const first = decodeLine(bytes(text));
        if (!first.ok) throw new Error(first.error.reason);
        const written = encodeLine(first.value);
        expect(decodeLine(written)).toEqual(first);
        expect(encodeLine(first.value)).toBe(written);
      },
    ),
    { numRuns: 40 },
  );
});

const failing = (stderrTail: string) => ({
  ...good,
  event: {
    kind: "ActivationFailed",
    phase: "switch",
    untouched: false,
    exitCode: 1,
    stderrTail,
    failedAt: good.event.startedAt,
  },
});
const paddedTo = (padding: string): string =>
  JSON.stringify({ ...good, event: { ...good.event, unknown: padding } });

test.each([
  ["half a surrogate pair", JSON.stringify(failing("?")).replace("?", "\uD83D")],
  ["a pair", paddedTo("\u{1F600}")],
  ["a byte order mark", `\uFEFF${JSON.stringify(good)}`],
  [
    "as long as a line may be, in ASCII",
    paddedTo("x").replace("x", "x".repeat(LINE_BYTES_MAX - paddedTo("").length)),
  ],
  [
    "one byte longer",
    paddedTo("x").replace("x", "x".repeat(LINE_BYTES_MAX - paddedTo("").length + 1)),
  ],
  ["a third of the characters, three bytes each", paddedTo("\u20AC".repeat(LINE_BYTES_MAX / 3))],
])("a line is the same as text and as the bytes of that text: %s", (_, text) => {
  expect(decodeLine(text)).toEqual(decodeLine(bytes(text)));
});

const withEvent = (event: unknown) => JSON.stringify({ ...good, event });

describe("what is wrong is told apart, and what is unknown is refused (hazard 76)", () => {
  test.each([
    ["no JSON", "bad-line", "{", "not JSON"],
    ["no object", "bad-line", "null", "envelope: "],
    [
      "no number",
      "bad-line",
      JSON.stringify(numberless),
      "envelope.seq: expected a whole number from 1",
    ],
    ["number 0", "bad-line", JSON.stringify({ ...good, seq: 0 }), "envelope.seq"],
    [
      "a number beyond what is exact",
      "bad-line",
      JSON.stringify({ ...good, seq: 2 ** 53 }),
      "envelope.seq",
    ],
    ["a host in capitals", "bad-line", JSON.stringify({ ...good, host: "WEB-1" }), 'not "WEB-1"'],
    ["a short hash", "bad-line", JSON.stringify({ ...good, prev: "ab" }), "envelope.prev"],
    ["no event", "bad-event", withEvent(undefined), "event"],
    ["an event without a kind", "bad-event", withEvent({}), "event.kind: expected the kind"],
    [
      "a kind of a later release",
      "unknown-kind",
      withEvent({ kind: "Rebooted" }),
      'not "Rebooted"',
    ],
    ["a kind that every object has", "unknown-kind", withEvent({ kind: "__proto__" }), "unknown"],
    ["another that every object has", "unknown-kind", withEvent({ kind: "constructor" }), "kind"],
    [
      "a missing field",
      "bad-event",
      withEvent({ kind: "RollbackStarted" }),
      "RollbackStarted.startedAt",
    ],
    [
      "an instant in another spelling",
      "bad-event",
      withEvent({ kind: "RollbackStarted", startedAt: "2026-11-24T13:00:00Z" }),
      "expected an instant such as",
    ],
    [
      "an instant that is a number",
      "bad-event",
      withEvent({ kind: "RollbackStarted", startedAt: 1 }),
      "RollbackStarted.startedAt",
    ],
  ])("%s: %s", (_, code, line, reason) => {
    const read = decodeLine(line);
    if (read.ok) throw new Error("it was taken for an event");
    expect(read.error.code).toBe(code);
    if (code !== "unknown-kind") expect(read.error.reason).toContain(reason);
    // With a readable address a refused line consumes its number; without one it can't.
    expect("seq" in read.error).toBe(code !== "bad-line");
    if ("seq" in read.error)
      expect(read.error).toMatchObject({ host: "web-1", seq: 7, prev: good.prev });
  });

  test("bytes that are not UTF-8, and a byte order mark", () => {
    expect(decodeLine(new Uint8Array([0xff, 0xfe]))).toMatchObject({ error: { code: "bad-line" } });
    expect(decodeLine(`\uFEFF${JSON.stringify(good)}`)).toMatchObject({
      error: { code: "bad-line" },
    });
  });

  test("a line of 16 KiB is read, one of a byte more is not", () => {
    const fill = (length: number) => {
      const empty = JSON.stringify({ ...good, later: "" });
      return JSON.stringify({ ...good, later: "x".repeat(length - empty.length) });
    };
    expect(decodeLine(fill(LINE_BYTES_MAX)).ok).toBe(true);
    expect(decodeLine(fill(LINE_BYTES_MAX + 1))).toMatchObject({ error: { code: "bad-line" } });
  });
});

describe("whatever comes, decodeLine answers and never throws", () => {
  const refusals = ["bad-line", "bad-event", "unknown-kind"];
  const judge = (line: Uint8Array | string) => {
    const read = decodeLine(line);
    if (!read.ok) expect(refusals).toContain(read.error.code);
  };

  test("bytes", () => fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), judge)));
  test("JSON", () => fc.assert(fc.property(fc.json(), judge)));
  test("an event with one value replaced", () => {
    const event = fc.oneof(...EVENT_KINDS.map((kind) => wireOf(EVENT_SCHEMAS[kind])));
    fc.assert(
      fc.property(event, fc.jsonValue(), fc.nat(), (wire, value, at) => {
        const parts = Object.entries(Object(wire));
        const changed = parts.map(([key, old], index) => [
          key,
          index === at % parts.length ? value : old,
        ]);
        judge(JSON.stringify({ ...good, event: Object.fromEntries(changed) }));
      }),
    );
  });
  test("a line that was cut", () =>
    fc.assert(fc.property(fc.nat(), (at) => judge(JSON.stringify(good).slice(0, at % 200)))));
});

describe("a batch", () => {
  const lines = (body: string) => {
    const split = splitBatch(bytes(body));
    return split.ok ? split.value.map((line) => new TextDecoder().decode(line)) : split.error;
  };
  test("is cut at newlines, a last one or not", () => {
    expect(lines("a\nb\n")).toEqual(["a", "b"]);
    expect(lines("a\n\nb")).toEqual(["a", "b"]);
    expect(lines("")).toEqual([]);
  });
  test("has a limit of lines and of bytes", () => {
    expect(lines("x\n".repeat(BATCH_LINES_MAX))).toHaveLength(BATCH_LINES_MAX);
    expect(lines("x\n".repeat(BATCH_LINES_MAX + 1))).toContain("more than 256 lines");
    expect(lines("x".repeat(BATCH_BYTES_MAX + 1))).toContain("of at most 1048576");
  });
});

test("a stream's hash is over a line's bytes without its newline", () => {
  expect(sha256("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(sha256("ä")).toBe(sha256(bytes("ä")));
});
