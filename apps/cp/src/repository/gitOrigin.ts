import { spawn } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Instant } from "@nixwave/effects";
import { fetchFromDirectory } from "@nixwave/protocol";
import type { Origin } from "./origin.ts";

/** A remote that answers nothing is given up after this; the next turn begins anew. */
const GIT_MS_MAX = 120_000;
/** Of what git writes to stderr, for the sentence. Characters. */
const SAID_MAX = 500;

/**
 * Nobody is there to be asked for a password, and nothing of the operator's own configuration runs: a repository is not trusted. Its
 * symlinks become plain files, so that none leads out of the checkout.
 */
const SETTINGS = ["core.symlinks=false", "core.hooksPath=/dev/null", "protocol.ext.allow=never"];
const ENVIRONMENT = { GIT_TERMINAL_PROMPT: "0", GIT_ASKPASS: "", GIT_CONFIG_NOSYSTEM: "1" };
const SSH = "ssh -o BatchMode=yes -o ConnectTimeout=20";

interface Remote {
  readonly url: string;
  readonly branch: string | null;
}

/** A git repository: the newest commit alone, fetched once a turn into a checkout of ours. */
export function gitOrigin(
  { url, branch }: Remote,
  { directory, turn }: { readonly directory: string; readonly turn: (now: Instant) => number },
): Origin {
  let seen = { turn: Number.NaN, print: "" };
  const bring = async (): Promise<string> => {
    if (!(await isThere(join(directory, ".git")))) await git(["init", "--quiet", "--", directory]);
    const into = ["-C", directory];
    await git([...into, "fetch", "--quiet", "--depth=1", "--", url, branch ?? "HEAD"]);
    await git([...into, "reset", "--quiet", "--hard", "FETCH_HEAD"]);
    return (await git([...into, "rev-parse", "HEAD"])).trim();
  };
  return {
    fetch: fetchFromDirectory(directory),
    print: async (now) => {
      const at = turn(now);
      // Also after a failure the next turn is waited for: a remote that is away is not asked each second.
      if (at !== seen.turn) seen = { turn: at, print: "" };
      else if (seen.print !== "") return seen.print;
      else throw new Error(`git: ${url} was not reached at the last turn`);
      seen = { turn: at, print: await bring() };
      return seen.print;
    },
  };
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

function git(args: readonly string[]): Promise<string> {
  const settings = SETTINGS.flatMap((setting) => ["-c", setting]);
  const env = { GIT_SSH_COMMAND: SSH, ...process.env, ...ENVIRONMENT };
  return new Promise((resolve, reject) => {
    const child = spawn("git", [...settings, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      // In a group of its own: git's helpers hold the pipes, and end with it.
      detached: true,
    });
    let said = "";
    let out = "";
    const over = setTimeout(() => {
      said = `nothing was heard for ${GIT_MS_MAX / 1000} s`;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, GIT_MS_MAX);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out = (out + text).slice(-SAID_MAX);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-SAID_MAX);
    });
    const ended = (why: string | null): void => {
      clearTimeout(over);
      if (why === null) resolve(out);
      else reject(new Error(`git could not bring the repository (${why}): ${said.trim()}`));
    };
    child.on("error", (cause) => ended(cause.message));
    child.on("close", (code) => ended(code === 0 ? null : `exit ${code}`));
  });
}
