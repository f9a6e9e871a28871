import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addSecs } from "@nixwave/effects";
import { runCli, TEST_NOW } from "./run.fixture.ts";

/**
 * For tests: a story as text. `$ nixwave …` runs the real program in one folder; what it said follows, data first, then talk with `| `
 * before it, then its exit code where it is not 0. `# later 3d` moves the clock, `# write FILE TEXT` puts a file, `$ cat FILE` shows one.
 * Ids of keys are different in each run, and left out. The answer is the story with what was said this time.
 */
export async function retell(story: string, folder: string): Promise<string> {
  const said: string[] = [];
  let now = TEST_NOW;
  let env: Record<string, string> = {};
  for (const line of story.split("\n")) {
    const later = /^# later (\d+)(min|d)$/.exec(line);
    if (later !== null) now = addSecs(now, Number(later[1]) * (later[2] === "d" ? 86_400 : 60));
    const as = /^# as (\S+)$/.exec(line);
    if (as !== null) env = { NIXWAVE_OPERATOR: as[1] ?? "" };
    const write = /^# write (\S+) (.*)$/.exec(line);
    if (write !== null)
      writeFileSync(join(folder, write[1] ?? ""), `${write[2]}\n`, { mode: 0o600 });
    const command = /^\$ nixwave (.*)$/.exec(line)?.[1];
    if (line.startsWith("#") || line === "") said.push(line);
    else if (command !== undefined) {
      said.push(line);
      const { code, data, talk } = await runCli(argvOf(command), { cwd: folder, env, now });
      said.push(...linesOf(data), ...linesOf(talk).map((one) => `| ${one}`));
      if (code !== 0) said.push(`→ ${code}`);
    }
    const shown = /^\$ cat (\S+)$/.exec(line)?.[1];
    if (shown !== undefined) said.push(line, ...linesOf(readFileSync(join(folder, shown), "utf8")));
  }
  return said.join("\n").replaceAll(/ \([0-9a-f]{12}\)/g, "");
}

/** Without empty ones: an empty line of a story is the teller's. */
const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** Words, and texts in double quotes. */
const argvOf = (command: string): string[] =>
  (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
