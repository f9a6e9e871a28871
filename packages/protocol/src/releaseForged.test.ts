import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256 } from "./hash.ts";
import * as ids from "./ids.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import { readCurrent, readRelease, readReleaseForHost } from "./readRelease.ts";
import {
  content,
  type Files,
  filesOf,
  host,
  reading,
  stable,
  toBytes,
  toText,
} from "./release.fixture.ts";
import { headSchema } from "./release.ts";
import { currentPath, headPath, partPath, refOf, writeRelease } from "./releaseFiles.ts";
import { wireOf } from "./wire.fixture.ts";

/** A release with its JSON changed before it is hashed: what a wrong or hostile author could have made. */
function forge(change: {
  head?: (head: Record<string, unknown>) => Record<string, unknown>;
  bucket?: (hosts: unknown[]) => unknown[];
  constraints?: Record<string, unknown>;
}) {
  const written = writeRelease(content([host("a", 1), host("b", 2)]));
  const files = filesOf(written);
  const parse = (path: string): Record<string, unknown> =>
    Object(JSON.parse(toText(files.get(path))));
  const put = (value: unknown) => {
    const bytes = toBytes(JSON.stringify(value));
    files.set(partPath(stable, sha256(bytes)), bytes);
    return { length: bytes.length, sha256: sha256(bytes) };
  };
  let head = parse(headPath(stable, written.release.ref));
  if (change.bucket !== undefined) {
    const wire = written.release.hosts.map((each) => ({ ...each }));
    head = { ...head, buckets: [put({ schemaVersion: 1, hosts: change.bucket(wire) })] };
  }
  if (change.constraints !== undefined) {
    head = {
      ...head,
      constraints: put({ schemaVersion: 1, budgets: [], edges: [], ...change.constraints }),
    };
  }
  const bytes = toBytes(JSON.stringify(change.head?.(head) ?? head));
  const ref = refOf(bytes);
  files.set(headPath(stable, ref), bytes);
  return { channel: stable, ref, read: reading(files) };
}

const set = (more: Record<string, unknown>) => ({
  head: (head: Record<string, unknown>) => ({ ...head, ...more }),
});
const edge = (gates: string, gated: string) => ({ gates, gated, reason: "r" });
const wave = (index: number) => ({ index, soakSecs: 60, description: "" });

describe("a release that contradicts itself is refused, with the file", () => {
  test.each([
    ["another version", set({ schemaVersion: 2 }), "malformed", "expected 1"],
    ["no waves", set({ waves: [] }), "malformed", "waves"],
    ["waves out of order", set({ waves: [wave(2), wave(1)] }), "inconsistent", "numbered from 1"],
    [
      "a wave without hosts",
      set({ waves: [wave(1), wave(2), wave(3)] }),
      "inconsistent",
      "wave 3 has no host",
    ],
    ["a host of no wave", set({ waves: [wave(1)] }), "inconsistent", "wave 2 of 1"],
    [
      "a policy with a number left out",
      set({ policy: { ...DEFAULT_POLICY, lostSecs: undefined } }),
      "malformed",
      "policy.lostSecs",
    ],
    [
      "a number of hosts that is not theirs",
      set({ hostCount: 3 }),
      "inconsistent",
      "lists 2 hosts, but says 3",
    ],
    [
      "buckets that the number of hosts does not give",
      set({ hostCount: 300 }),
      "inconsistent",
      "has 1 buckets, expected 2",
    ],
    ["another channel", set({ channel: "lab" }), "wrong-channel", "is of channel lab"],
    [
      "an edge for another channel",
      set({ channelEdges: [edge("stable", "lab")] }),
      "inconsistent",
      "its own channel",
    ],
    [
      "a channel that waits for itself",
      set({ channelEdges: [edge("stable", "stable")] }),
      "inconsistent",
      "wait for itself",
    ],
    [
      "a field that must be understood",
      set({ critical: ["canaryScore"], canaryScore: 3, waves: "later" }),
      "unknown-critical",
      '"canaryScore" must be understood',
    ],
    ["no list of critical fields", set({ critical: undefined }), "malformed", "critical"],
    [
      "a host twice",
      { bucket: (hosts: unknown[]) => [...hosts, hosts[0]] },
      "inconsistent",
      "lists host a twice",
    ],
    [
      "a closure that is a path",
      { bucket: () => [{ ...host("a", 1), closure: "../x" }] },
      "malformed",
      "expected a closure",
    ],
    [
      "a budget twice",
      {
        constraints: {
          budgets: [
            { name: "w", hosts: ["a"], maxInFlight: 1 },
            { name: "w", hosts: ["b"], maxInFlight: 1 },
          ],
        },
      },
      "inconsistent",
      "twice",
    ],
    [
      "a budget of an unknown host",
      { constraints: { budgets: [{ name: "w", hosts: ["z"], maxInFlight: 1 }] } },
      "inconsistent",
      "names host z",
    ],
    [
      "a budget of none",
      { constraints: { budgets: [{ name: "w", hosts: ["a"], maxInFlight: 0 }] } },
      "malformed",
      "maxInFlight",
    ],
    [
      "an edge to an unknown host",
      { constraints: { edges: [edge("a", "z")] } },
      "inconsistent",
      "not in the release",
    ],
    [
      "a gate in a later wave",
      { constraints: { edges: [edge("b", "a")] } },
      "inconsistent",
      "later wave",
    ],
    [
      "a host that waits for itself",
      { constraints: { edges: [edge("a", "a")] } },
      "inconsistent",
      "a → a",
    ],
  ])("%s", async (_, change, code, reason) => {
    const { read, channel, ref } = forge(change);
    const result = await readRelease(read, { channel, ref });
    expect(result).toMatchObject({
      ok: false,
      error: { code, reason: expect.stringContaining(reason) },
    });
    if (!result.ok) expect(result.error.reason.startsWith(`${result.error.file}: `)).toBe(true);
  });

  test("fields that nobody calls critical are ignored, and known ones may be (hazards 84 and 85)", async () => {
    const { read, channel, ref } = forge(set({ later: true, critical: ["policy"] }));
    expect((await readRelease(read, { channel, ref })).ok).toBe(true);
  });

  test("a host outside its bucket", async () => {
    const hosts = Array.from({ length: 300 }, (_, at) => host(`host-${at}`, 1));
    const written = writeRelease(content(hosts));
    const files = filesOf(written);
    const bytes = files.get(headPath(stable, written.release.ref));
    const head = JSON.parse(toText(bytes));
    const swapped = toBytes(JSON.stringify({ ...head, buckets: [...head.buckets].reverse() }));
    files.set(headPath(stable, refOf(swapped)), swapped);
    const where = { channel: stable, ref: refOf(swapped) };
    expect(await readRelease(reading(files), where)).toMatchObject({
      error: { code: "inconsistent", reason: expect.stringContaining("is not of this bucket") },
    });
    const first = hosts[0]?.host ?? ids.hostName.parse("x");
    expect((await readReleaseForHost(reading(files), { ...where, host: first })).ok).toBe(false);
  });

  test("whatever the bytes are, the answer is a release or a typed refusal", async () => {
    const judge = async (bytes: Uint8Array) => {
      const files: Files = new Map([[headPath(stable, refOf(bytes)), bytes]]);
      const result = await readRelease(reading(files), { channel: stable, ref: refOf(bytes) });
      expect(result.ok).toBe(false);
      files.set(currentPath(stable), bytes);
      await readCurrent(reading(files), stable);
    };
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), judge));
    await fc.assert(fc.asyncProperty(fc.json(), (json) => judge(toBytes(json))));
    await fc.assert(
      fc.asyncProperty(wireOf(headSchema), (head) => judge(toBytes(JSON.stringify(head)))),
      { numRuns: 30 },
    );
  });
});
