import { type Channel, instant, type Release } from "@nixwave/effects";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256 } from "./hash.ts";
import * as ids from "./ids.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import { readRelease, readReleaseForHost, refuseOlder } from "./readRelease.ts";
import { content, filesOf, host, reading, stable, toText } from "./release.fixture.ts";
import { BUCKET_HOSTS_MAX, headSchema } from "./release.ts";
import { bucketCount, bucketOf, currentPath, headPath, writeRelease } from "./releaseFiles.ts";
import { releaseSource } from "./releaseSource.ts";
import { wireOf } from "./wire.fixture.ts";

describe("a release that is written", () => {
  const sizes = fc.uniqueArray(wireOf(ids.hostName).map(String), { minLength: 1, maxLength: 40 });

  test("is read back as it was, by the CP and by each of its hosts", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 3 }), async (names, waves) => {
        const hosts = names.map((name, at) => host(name, Math.min(at + 1, (at % waves) + 1)));
        const written = writeRelease(content(hosts));
        const { channel, ref } = written.release;
        const read = reading(filesOf(written));
        const whole = await readRelease(read, { channel, ref });
        expect(whole.ok && whole.value.value).toEqual(written.release);
        for (const each of hosts) {
          const own = await readReleaseForHost(read, { channel, ref, host: each.host });
          const { policy, waves: all } = written.release;
          const soakSecs = all[each.wave - 1]?.soakSecs;
          expect(own.ok && own.value.value).toMatchObject({
            rolloutId: written.release.rolloutId,
            closure: each.closure,
            terms: { policy, wave: each.wave, soakSecs },
          });
        }
      }),
      { numRuns: 20 },
    );
  });

  test("has the same bytes whatever the order of its hosts", () => {
    const hosts = ["a", "b", "c", "d"].map((name, at) => host(name, (at % 2) + 1));
    expect(writeRelease(content([...hosts].reverse()))).toEqual(writeRelease(content(hosts)));
  });

  test("says every number of its policy, and is named by its bytes", () => {
    const written = writeRelease(content([host("a", 1)]));
    const head = filesOf(written).get(headPath(stable, written.release.ref));
    expect(
      Object.keys(DEFAULT_POLICY).filter((key) => !toText(head).includes(`"${key}":`)),
    ).toEqual([]);
    expect(sha256(head ?? "").slice(0, 40)).toBe(written.release.ref);
    expect(written.files.at(-1)?.path).toBe(currentPath(stable));
  });

  test("of 1,025 hosts has eight buckets of which none is far from its share", async () => {
    const hosts = Array.from({ length: 1025 }, (_, at) => host(`host-${at}`, 1));
    const written = writeRelease(content(hosts));
    const head = headSchema.parse(
      JSON.parse(toText(filesOf(written).get(headPath(stable, written.release.ref)))),
    );
    expect(head.buckets).toHaveLength(8);
    const sizesOf = Array.from(
      { length: 8 },
      (_, at) => hosts.filter((each) => bucketOf(each.host, 8) === at).length,
    );
    expect(Math.max(...sizesOf)).toBeLessThan(BUCKET_HOSTS_MAX);
    const read = reading(filesOf(written));
    expect((await readRelease(read, written.release)).ok).toBe(true);
  });

  test("lies in the bucket that the first bits of its hosts' hashes say", () => {
    for (const [name, buckets] of [
      ["web-1", 2],
      ["web-2", 16],
      ["db-1", 512],
    ] as const) {
      const bits = BigInt(`0x${sha256(name)}`)
        .toString(2)
        .padStart(256, "0");
      const first = Number.parseInt(bits.slice(0, Math.log2(buckets)), 2);
      expect(bucketOf(ids.hostName.parse(name), buckets)).toBe(first);
    }
    expect(bucketOf(ids.hostName.parse("web-1"), 1)).toBe(0);
  });

  test("has the bytes that it had in the first release: a change here is a change of the format", () => {
    const hosts = [host("a", 1), host("b", 2)];
    expect(writeRelease(content(hosts)).release.ref).toBe(
      "898ddd7b5c0c740966ef1f2d3d9f844ee20ad506",
    );
  });

  test.each([
    [1, 1],
    [256, 1],
    [257, 2],
    [512, 2],
    [513, 4],
    [100_000, 512],
  ])("%d hosts lie in %d buckets", (hosts, buckets) => {
    expect(bucketCount(hosts)).toBe(buckets);
  });
});

describe("what was changed is refused", () => {
  const written = writeRelease(
    content([host("a", 1), host("b", 2)], {
      budgets: [{ name: "web", hosts: [ids.hostName.parse("a")], maxInFlight: 1 }],
      edges: [{ gates: ids.hostName.parse("a"), gated: ids.hostName.parse("b"), reason: "r" }],
    }),
  );
  const { channel, ref } = written.release;

  test("one byte of any file, anywhere (hazard 84)", async () => {
    const files = written.files.filter(({ path }) => path !== currentPath(channel));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async ({ path, bytes }, at, flip) => {
          const changed = bytes.slice();
          changed[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip;
          const read = await readRelease(reading(filesOf(written).set(path, changed)), {
            channel,
            ref,
          });
          expect(read).toMatchObject({
            ok: false,
            error: { code: "wrong-length-or-hash", file: path },
          });
        },
      ),
    );
  });

  test("a file cut short, gone, or not to be read", async () => {
    for (const { path, bytes } of written.files.slice(0, -1)) {
      const cut = reading(filesOf(written).set(path, bytes.slice(0, -1)));
      expect(await readRelease(cut, { channel, ref })).toMatchObject({
        error: { code: "wrong-length-or-hash" },
      });
      const files = filesOf(written);
      files.delete(path);
      expect(await readRelease(reading(files), { channel, ref })).toMatchObject({
        error: { code: "missing", file: path },
      });
    }
    const broken = async () => Promise.reject(new Error("EIO"));
    expect(await readRelease(broken, { channel, ref })).toMatchObject({
      error: { code: "unreadable", reason: expect.stringContaining("EIO") },
    });
  });

  test("an agent does not read what is not its own, and is refused where it is not listed", async () => {
    const paths: string[] = [];
    const read = async (path: string) => {
      paths.push(path);
      return filesOf(written).get(path) ?? null;
    };
    const own = await readReleaseForHost(read, { channel, ref, host: ids.hostName.parse("a") });
    expect(own.ok).toBe(true);
    expect(paths).toHaveLength(2);
    const other = await readReleaseForHost(read, { channel, ref, host: ids.hostName.parse("c") });
    expect(other).toMatchObject({ error: { code: "not-listed" } });
  });
});

describe("a source", () => {
  const older = writeRelease(content([host("a", 1)], { createdAt: instant(1000) }));
  const newer = writeRelease(content([host("a", 1)], { createdAt: instant(2000) }));
  const files = new Map([...filesOf(older), ...filesOf(newer)]);
  const source = releaseSource({
    read: reading(files),
    list: async (folder) =>
      folder === ""
        ? ["stable", "README"]
        : [...files.keys()].map((path) => path.slice(folder.length + 1)),
  });
  const refs = (releases: { value: Release }[]) => releases.map(({ value }) => value.ref);

  test("gives the current release, and all that it holds from the oldest on", async () => {
    expect(await source.channels()).toEqual({ ok: true, value: ["stable"] });
    const current = await source.current(stable);
    expect(current.ok && current.value.value).toEqual(newer.release);
    const held = await source.held(stable);
    expect(held.ok && refs([...held.value])).toEqual([older.release.ref, newer.release.ref]);
  });

  test("says what is missing, of another channel, or not to be listed", async () => {
    const lab: Channel = ids.channel.parse("lab");
    expect(await source.current(lab)).toMatchObject({
      error: { code: "missing", file: "lab/current.json" },
    });
    const moved = releaseSource({
      read: async () => files.get(currentPath(stable)) ?? null,
      list: async () => Promise.reject(new Error("EACCES")),
    });
    expect(await moved.current(lab)).toMatchObject({ error: { code: "wrong-channel" } });
    expect(await moved.held(lab)).toMatchObject({ error: { code: "unreadable" } });
  });
});

test("a release that is no newer than the newest is refused as older", () => {
  const at = (ms: number) => ({ createdAt: instant(ms) });
  expect(refuseOlder(at(2), null)).toBeNull();
  expect(refuseOlder(at(2), instant(1))).toBeNull();
  expect(refuseOlder(at(2), instant(2))).toContain("no later than");
  expect(refuseOlder(at(1), instant(2))).toContain("no later than");
});
