import { spawnSync } from "node:child_process";
import { ROOT } from "../source.ts";

export interface Evaluated {
  /** What the expression is, read from JSON; null where the evaluation ended with an error. */
  readonly value: unknown;
  /** Warnings and the error as a person sees them, without Nix' own trace of where it was. */
  readonly said: readonly string[];
}

/** Evaluates with the machine's own Nix; `nixwave` (the library) and `root` (the repository) are in scope. */
export function evaluate(expression: string): Evaluated {
  const scope = `let root = ${ROOT}; nixwave = import ${ROOT}/nix/lib; in ${expression}`;
  const args = ["--eval", "--strict", "--json", "--option", "build-users-group", "", "-E", scope];
  const { status, stdout, stderr, error } = spawnSync("nix-instantiate", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (error !== undefined) throw error;
  const value: unknown = status === 0 ? JSON.parse(stdout) : null;
  return { value, said: [...warningsIn(stderr), ...(status === 0 ? [] : errorIn(stderr))] };
}

const warningsIn = (stderr: string): string[] =>
  stderr
    .split("\n")
    .filter((line) => line.startsWith("trace: nixwave: "))
    .map((line) => line.slice("trace: nixwave: ".length));

/** Nix ends with it whatever was thrown. */
const HINT = "(use '--show-trace' to show detailed location information)";

/** From `error: nixwave: …` up to the next blank line; all of it where the error is not ours. */
function errorIn(stderr: string): string[] {
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== HINT);
  const from = lines.findIndex((line) => line.startsWith("error: nixwave: "));
  if (from < 0) return [stderr.trim()];
  const ours = lines.slice(from).map((line) => line.replace(/^error: nixwave: /, ""));
  const end = ours.indexOf("");
  return end < 0 ? ours : ours.slice(0, end);
}
