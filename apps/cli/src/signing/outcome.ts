import type { Hands, RepositoryOutcome, RepositoryProblem, Waiting } from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { Refusal } from "../refusal.ts";
import { counted } from "../render/name.ts";
import { harmless } from "../render/style.ts";
import type { Place } from "./settings.ts";
import { type SignersTyped, signersOf } from "./signers.ts";

/** What a change of a repository is made with. Keys are opened here: a passphrase may be asked for. */
export const handsOf = async (
  { surroundings }: Desk,
  place: Place,
  typed: SignersTyped,
): Promise<Hands> => ({
  directory: place.path,
  signers: await signersOf(surroundings, typed),
  now: surroundings.now(),
});

/** The outcome, or the problem as the sentence that a person gets. */
export async function must<T>(
  found: Promise<{ ok: true; value: T } | { ok: false; error: RepositoryProblem }>,
): Promise<T> {
  const result = await found;
  if (result.ok) return result.value;
  throw new Refusal(`${result.error.reason}.`);
}

/** Says what went live and what waits for whom. Where a person has to sign, the exit code is theirs. */
export function report(desk: Desk, { live, waiting }: RepositoryOutcome): ExitCode {
  if (desk.json) {
    print(desk, [JSON.stringify({ live: Object.fromEntries(live), waiting })]);
  } else if (live.size > 0) {
    say(desk, `Live: ${[...live].map(([role, version]) => `${role} ${version}`).join(", ")}.`);
  }
  if (waiting.length === 0) return EXIT.fine;
  sayWaiting(desk, waiting);
  say(desk, "next, with one of their keys: nixwave sign");
  return EXIT.person;
}

export function sayWaiting(desk: Desk, waiting: readonly Waiting[]): void {
  for (const one of waiting) say(desk, waitingLine(one));
}

/** `stable 2 waits for 1 more signature of ops-2, ops-3 (signed by ops-1; 1 of 2)`. */
function waitingLine({ role, version, threshold, signedBy, missing }: Waiting): string {
  const has = signedBy.length === 0 ? "nobody signed it yet" : `signed by ${signedBy.join(", ")}`;
  const need = threshold - signedBy.length;
  const line =
    need <= 0
      ? `${role} ${version} is complete (${has}) and waits for the others.`
      : `${role} ${version} waits for ${counted(need, "more signature")} of ${missing.join(", ")} (${has}; ${signedBy.length} of ${threshold}).`;
  return harmless(line);
}

/** What is done to a repository is asked once where somebody can answer; whether it was. */
export async function agreed(desk: Desk, question: string, yes: boolean): Promise<boolean> {
  const { terminal } = desk.surroundings;
  if (yes || !terminal.interactive) return false;
  const answer = await terminal.ask(`${question} [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return true;
  throw new Refusal("Nothing was done.");
}
