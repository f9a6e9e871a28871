import fc from "fast-check";
import { expect, test } from "vitest";
import { closureDigestOf, readStoreDump } from "./closureDigest.ts";
import { cpuMs } from "./cpu.fixture.ts";
import { sha256 } from "./hash.ts";

const [HASH_A, HASH_B] = ["a".repeat(64), "b".repeat(64)];
const B = `/nix/store/b-lib\n${HASH_B}\n120\n\n0\n`;
const A = `/nix/store/a-system\n${HASH_A}\n4096\n/nix/store/a-system.drv\n2\n/nix/store/a-system\n/nix/store/b-lib\n`;
const digest = sha256(`/nix/store/a-system ${HASH_A} 4096\n/nix/store/b-lib ${HASH_B} 120\n`);

test("it covers path, hash and size of every path, in whatever order they come", () => {
  expect(closureDigestOf(A + B)).toEqual({ ok: true, value: digest });
  expect(closureDigestOf(B + A)).toEqual({ ok: true, value: digest });
});

test("another size, another hash and a path less are other digests", () => {
  const digests = [
    A + B,
    A.replace("4096", "4097") + B,
    A.replaceAll("a".repeat(64), "c".repeat(64)) + B,
    A,
  ];
  expect(new Set(digests.map((dump) => JSON.stringify(closureDigestOf(dump)))).size).toBe(4);
});

test.each([
  ["nothing", ""],
  ["a hash that is none", A.replace(HASH_A, "sha256:0abc")],
  ["references that are missing", A.replace("\n2\n", "\n9\n")],
  ["a size that no number holds", A.replace("4096", "9".repeat(30))],
  ["what is no path", `warning: x\n${B}`],
])("%s is an error", (_, dump) => {
  expect(closureDigestOf(dump)).toMatchObject({ ok: false });
});

test("whatever is printed instead is paths, or a sentence that says in which line it goes wrong", () => {
  const word = fc.oneof(
    fc.constantFrom(...`${A}${B}`.split("\n"), "9".repeat(30), "-1", "0x10", "1e9", "3"),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), fc.boolean(), (words, isPrinted) => {
      const dump = `${isPrinted ? A : ""}${words.join("\n")}`;
      const read = readStoreDump(dump);
      if (!read.ok) {
        expect(read.error).toMatch(/^line \d+ of nix-store|printed no store path$/);
        return;
      }
      for (const { path, narHash, narSize } of read.value) {
        expect(dump).toContain(`${path}\n${narHash}\n`);
        expect(Number.isSafeInteger(narSize)).toBe(true);
      }
    }),
  );
  const long = A.replace("\n2\n", `\n${200_002}\n`) + "/nix/store/x\n".repeat(200_000);
  const began = cpuMs();
  expect(readStoreDump(long + B.repeat(20_000))).toMatchObject({ ok: true });
  expect(cpuMs() - began).toBeLessThan(2000);
});
