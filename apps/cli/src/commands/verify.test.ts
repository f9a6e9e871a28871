import {
  cpSync,
  createReadStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addSecs } from "@nixwave/effects";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runCli, TEST_NOW } from "../run.fixture.ts";

let folder = "";
const servers: Server[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
  await runCli(["init"], { cwd: folder });
  await runCli(["release"], { cwd: folder });
  await runCli(["host", "retire", "web-4", "--reason", "stolen"], { cwd: folder });
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = (path: string): string => join(folder, path);
const verify = (args: readonly string[] = []) =>
  runCli(["verify", "--root", "root.json", ...args], { cwd: folder, now: addSecs(TEST_NOW, 60) });

/** Serves the repository as any web server does. */
async function serve(): Promise<string> {
  const server = createServer(({ url = "" }, response) => {
    const file = createReadStream(at(`releases${url}`));
    file.on("error", () => response.writeHead(404).end());
    file.pipe(response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

test("a repository behind a URL is verified like one in a folder", async () => {
  const here = await verify(["--json"]);
  const there = await runCli(["verify", await serve(), "--root", "root.json", "--json"], {
    cwd: folder,
    now: addSecs(TEST_NOW, 60),
  });
  expect(there).toEqual(here);
  expect(JSON.parse(here.data)).toMatchObject({ sound: true });
});

const edit = (path: string, change: (text: string) => string): void => {
  writeFileSync(at(path), change(readFileSync(at(path), "utf8")));
};
const hashed = (folderName: string, ending: string): string => {
  const names = readdirSync(at(`releases/targets/${folderName}`));
  const name = names.find((one) => one.endsWith(ending) && one.length > ending.length + 60);
  return `releases/targets/${folderName}/${name}`;
};

test.each<[string, () => void, string]>([
  [
    "a release was changed",
    () => edit(hashed("stable", ".current.json"), (text) => text.replace("stable", "stible")),
    "wrong-length-or-hash",
  ],
  [
    "who is who was changed",
    () => edit(hashed("fleet", ".hosts.json"), (text) => text.replace("web-1", "web-x")),
    "wrong-length-or-hash",
  ],
  [
    "who is refused was changed",
    () => edit(hashed("fleet", ".revocations.json"), (text) => text.replace("web-4", "web-5")),
    "wrong-length-or-hash",
  ],
  [
    "a role's file was changed",
    () =>
      edit("releases/metadata/timestamp.json", (text) =>
        text.replace('"version": 3', '"version": 9'),
      ),
    "threshold-not-met",
  ],
  [
    "another channel file is named",
    () => cpSync(at("releases/metadata/1.stable.json"), at("releases/metadata/2.stable.json")),
    "mix-and-match",
  ],
])("%s: not sound, by the name of the attack, and exit code 2", async (_, attack, code) => {
  attack();
  const ran = await verify(["--json"]);
  expect(ran.code).toBe(2);
  expect(JSON.parse(ran.data)).toMatchObject({ sound: false, problems: [{ code }] });
  const shown = await verify();
  expect(shown).toMatchObject({ code: 2, talk: expect.stringContaining(`NOT SOUND  ${code}: `) });
});

test("signed by keys that the hosts' root does not know: not sound", async () => {
  const other = mkdtempSync(join(tmpdir(), "nixwave-cli-"));
  await runCli(["init"], { cwd: other });
  cpSync(join(other, "root.json"), at("root.json"));
  rmSync(other, { recursive: true });
  expect((await verify(["--json"])).code).toBe(2);
});

test.each([
  ["nothing there", ["nowhere"], /^nixwave: nowhere: /],
  [
    "nobody listens",
    ["http://127.0.0.1:9"],
    /^nixwave: http:\/\/127\.0\.0\.1:9: .*could not be fetched/,
  ],
  [
    "no such root",
    [".", "--root", "gone.json"],
    /^nixwave: --root gone\.json can't be read \(ENOENT\)/,
  ],
])("%s: it could not be looked at, and exit code 1", async (_, args, said) => {
  const ran = await runCli(["verify", ...args], { cwd: folder });
  expect(ran.code).toBe(1);
  expect(ran.talk).toMatch(said);
});
