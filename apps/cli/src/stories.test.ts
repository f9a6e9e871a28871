import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { retell } from "./story.fixture.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const STORIES = join(import.meta.dirname, "testdata/stories");

test.each(readdirSync(STORIES))("story %s", async (name) => {
  const path = join(STORIES, name);
  await expect(await retell(readFileSync(path, "utf8"), folder)).toMatchFileSnapshot(path);
});
