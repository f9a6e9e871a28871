import { describe, expect, test } from "vitest";
import {
  derBits,
  derBoolean,
  derInstant,
  derInteger,
  derItems,
  derUnsigned,
  oneDer,
  TAG,
} from "./der.ts";
import { reading } from "./malformed.ts";

const hex = (text: string) => Buffer.from(text, "hex");
const accepts = (read: () => unknown): boolean => reading(read).ok;

describe("DER has one writing per value", () => {
  test.each([
    ["a whole value", "3003020101", true],
    ["a length in the long form that fits the short one", "308103020101", false],
    ["a length in three bytes", "30830000030201 01".replace(" ", ""), false],
    ["an indefinite length", "30800201010000", false],
    ["something after it", "300302010100", false],
    ["less than it says", "3004020101", false],
    ["a tag above 30", "3f1f00", false],
    ["nothing", "", false],
    ["a tag alone", "30", false],
    ["a length of one byte that leads nowhere", "3081", false],
    ["a length of two bytes that leads nowhere", "308201", false],
    ["a length of two bytes that fits one", `308200ff${"00".repeat(255)}`, false],
  ])("%s", (_, text, expected) => {
    expect(accepts(() => oneDer(hex(text), TAG.sequence))).toBe(expected);
  });

  test.each([
    ["zero", "020100", true],
    ["127", "02017f", true],
    ["128, with its sign byte", "02020080", true],
    ["128 without it, so -128", "020180", false],
    ["127 with a needless zero", "0202007f", false],
    ["no digits", "0200", false],
    ["another type", "0a0101", false],
  ])("a number: %s", (_, text, expected) => {
    const [read] = derItems(
      oneDer(
        hex(`30${text.length === 4 ? "02" : text.length === 6 ? "03" : "04"}${text}`),
        TAG.sequence,
      ),
      TAG.sequence,
    );
    expect(accepts(() => derUnsigned(read))).toBe(expected);
  });

  test("numbers come back without their sign byte", () => {
    for (const text of ["00", "01", "7f", "80", "ff00", "0080"]) {
      const written = derInteger(hex(text));
      const number = derUnsigned(oneDer(written, TAG.integer));
      expect(BigInt(`0x${Buffer.from(number).toString("hex")}`)).toBe(BigInt(`0x${text}`));
    }
  });

  test("times are of whole seconds, in UTC, and exist", () => {
    const at = (tag: number, text: string) => {
      const read = reading(() =>
        derInstant(
          oneDer(Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]), tag),
        ),
      );
      return read.ok ? new Date(read.value).toISOString() : "refused";
    };
    expect([
      at(TAG.utcTime, "261124130000Z"),
      at(TAG.utcTime, "491231235959Z"),
      at(TAG.utcTime, "700101000000Z"),
      at(TAG.utcTime, "500101000000Z"),
      at(TAG.generalizedTime, "20560101000000Z"),
      at(TAG.utcTime, "260230130000Z"),
      at(TAG.utcTime, "2611241300Z"),
      at(TAG.utcTime, "261124130000+0100"),
      at(TAG.generalizedTime, "20261124130000.5Z"),
    ]).toEqual([
      "2026-11-24T13:00:00.000Z",
      "2049-12-31T23:59:59.000Z",
      "1970-01-01T00:00:00.000Z",
      "refused",
      "2056-01-01T00:00:00.000Z",
      ...Array.from({ length: 4 }, () => "refused"),
    ]);
  });

  test("bit strings are of whole bytes, booleans are 00 or ff", () => {
    expect(accepts(() => derBits(oneDer(hex("030200aa"), TAG.bitString)))).toBe(true);
    expect(accepts(() => derBits(oneDer(hex("030204a0"), TAG.bitString)))).toBe(false);
    expect(accepts(() => derBits(oneDer(hex("0300"), TAG.bitString)))).toBe(false);
    expect(derBoolean(oneDer(hex("0101ff"), TAG.boolean))).toBe(true);
    expect(accepts(() => derBoolean(oneDer(hex("010101"), TAG.boolean)))).toBe(false);
  });

  test("limits hold: bytes in all, values in one", () => {
    expect(accepts(() => oneDer(new Uint8Array(20_000).fill(0x30), TAG.sequence))).toBe(false);
    const many = Buffer.concat([hex("30820400"), Buffer.alloc(1024, hex("0500"))]);
    expect(accepts(() => derItems(oneDer(many, TAG.sequence), TAG.sequence))).toBe(false);
  });
});
