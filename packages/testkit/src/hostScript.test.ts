import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { hostScript } from "./hostScript.ts";
import { checkTranscript } from "./transcript.ts";

const folder = new URL("./testdata/host/", import.meta.url);

for (const file of readdirSync(folder)) {
  test(`transcript ${file}`, () => {
    const { expected, actual } = checkTranscript(new URL(file, folder).pathname, hostScript());
    expect(actual).toBe(expected);
    expect(actual).not.toContain("PARITY BROKEN");
  });
}
