import { spawn } from "node:child_process";
import { Refusal, systemCode } from "../refusal.ts";

/** Runs a program of Nix', or the operator's own, without a shell in between. Gives its stdout. */
export type RunTool = (argv: readonly [string, ...string[]], doing: string) => Promise<string>;

export interface ToolOptions {
  readonly cwd: string;
  /** Each line of stderr as it comes: builds and downloads take minutes, and say what they are at. */
  readonly onLine: (line: string) => void;
  readonly stop: AbortSignal;
}

/** What a failure shows of the tool's own words. */
const LAST_LINES = 20;
/** A description of 100,000 hosts, and room. */
const STDOUT_BYTES_MAX = 256 * 1024 * 1024;

const REMEDY = "Mend what it says, then release again: nothing was released.";

/** What `nix eval --json` has printed; of an output of the flake, for the sentence. */
export function jsonOf(text: string, output: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(`${output}: expected JSON from nix, which printed something else.`);
  }
}

/** The first argument is the program; `doing` completes the sentence "could not …". */
export function toolRunner({ cwd, onLine, stop }: ToolOptions): RunTool {
  return ([program, ...args], doing) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], signal: stop });
      const out: Buffer[] = [];
      let bytes = 0;
      const last: string[] = [];
      child.stdout.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > STDOUT_BYTES_MAX) child.kill();
        else out.push(chunk);
      });
      eachLine(child.stderr, (line) => {
        last.push(line);
        if (last.length > LAST_LINES) last.shift();
        onLine(line);
      });
      child.once("error", (cause) => {
        reject(new Refusal(notStarted(program, doing, cause)));
      });
      child.once("close", (code, signal) => {
        if (code === 0) return resolve(Buffer.concat(out).toString("utf8"));
        const end = code === null ? `was ended by ${signal}` : `ended with ${code}`;
        const said = last.map((line) => `\n  ${line}`).join("");
        reject(new Refusal(`could not ${doing}: ${program} ${end}.${said}\n${REMEDY}`));
      });
    });
}

function notStarted(program: string, doing: string, cause: unknown): string {
  return systemCode(cause) === "ENOENT"
    ? `could not ${doing}: there is no program ${program} on the PATH. Install it (Nix: nix-bin, or the installer), or run this where it is.`
    : `could not ${doing}: ${program} could not be started (${systemCode(cause)}).`;
}

function eachLine(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  });
  stream.on("end", () => {
    if (rest !== "") take(rest);
  });
}
