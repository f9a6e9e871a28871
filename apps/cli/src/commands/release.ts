import type { RolloutId } from "@nixwave/effects";
import { formatFinding, type RolloutView } from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode, exitCode } from "../exit.ts";
import { Patience } from "../patience.ts";
import { NotThere, Refusal } from "../refusal.ts";
import { type Prepared, prepare, type ReleaseTyped } from "../release/prepare.ts";
import { publish } from "../release/publish.ts";
import { counted, shortRollout } from "../render/name.ts";
import { changesScreen, firstEffects } from "../render/release.ts";
import { seenOf, settled, type Verdict, verdictOf } from "../verdict.ts";
import { LOOK_SECS } from "../watch.ts";
import type { Care } from "./act.ts";

export interface ReleaseOptions extends Care {
  readonly createdBy: string;
  /** After publishing, wait until the control plane has rolled it out, at most so many seconds. */
  readonly waitSecs: number | null;
}

/** Makes a release of every channel, or of one, and puts it in place. Nothing is written before all of it is right. */
export async function release(
  desk: Desk,
  typed: ReleaseTyped,
  options: ReleaseOptions,
): Promise<ExitCode> {
  const { surroundings, style } = desk;
  const now = surroundings.now();
  const prepared = await prepare(typed, {
    cwd: surroundings.cwd,
    createdBy: options.createdBy,
    now,
  });
  for (const warning of prepared.warnings) say(desk, `warning: ${formatFinding(warning)}`);
  if (!desk.json) {
    for (const changes of prepared.changes) print(desk, changesScreen(style, changes));
  }
  if (options.dryRun) {
    if (desk.json) print(desk, [toJson(prepared, true)]);
    else sayDryRun(desk, prepared, typed.to);
    return EXIT.fine;
  }
  await agreed(desk, prepared, options);
  publish(
    prepared.folder,
    prepared.releases.map(({ files }) => files),
  );
  if (desk.json) print(desk, [toJson(prepared, false)]);
  for (const { release: made } of prepared.releases) {
    say(desk, `Released ${shortRollout(made.rolloutId)} to ${typed.to}.`);
  }
  if (options.waitSecs === null) return EXIT.fine;
  return waitFor(
    desk,
    prepared.releases.map(({ release: made }) => made.rolloutId),
    options.waitSecs,
  );
}

function sayDryRun(desk: Desk, { releases }: Prepared, to: string): void {
  const listener = { now: desk.surroundings.now(), timeZone: desk.style.timeZone };
  say(desk, `Dry run: nothing was written to ${to}. If nothing held it, the control plane`);
  for (const { release: made } of releases) {
    for (const line of firstEffects(made, listener)) say(desk, line);
  }
}

async function agreed(desk: Desk, { releases }: Prepared, { yes }: Care): Promise<void> {
  const { terminal } = desk.surroundings;
  if (yes || !terminal.interactive) return;
  const answer = await terminal.ask(`Release ${counted(releases.length, "channel")}? [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Refusal("Nothing was released.");
}

/** `--json`: what changes, with full ids. */
const toJson = ({ changes, warnings }: Prepared, dryRun: boolean): string =>
  JSON.stringify({ dryRun, releases: changes, warnings: warnings.map(formatFinding) });

async function waitFor(desk: Desk, ids: readonly RolloutId[], waitSecs: number): Promise<ExitCode> {
  const { surroundings } = desk;
  const startedAt = surroundings.now();
  const patience = new Patience(desk);
  let verdicts: readonly Verdict[] = [];
  for (;;) {
    verdicts = (await patience.ask(() => verdictsOn(desk, ids))) ?? verdicts;
    if (verdicts.length > 0 && settled(verdicts)) return exitCode(seenOf(verdicts));
    if (surroundings.stop.aborted) return exitCode(seenOf(verdicts));
    if (surroundings.now() - startedAt >= waitSecs * 1000) return exitCode(seenOf(verdicts, true));
    await surroundings.wait(LOOK_SECS);
  }
}

async function verdictsOn(desk: Desk, ids: readonly RolloutId[]): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const id of ids) verdicts.push(await verdictOn(desk, id));
  return verdicts;
}

/** A release that the control plane has not read yet is one that will move. */
async function verdictOn(desk: Desk, rolloutId: RolloutId): Promise<Verdict> {
  try {
    const view: RolloutView = await desk.ask("getRollout", { params: { rolloutId } });
    return verdictOf(view);
  } catch (cause) {
    if (cause instanceof NotThere) return "moving";
    throw cause;
  }
}
