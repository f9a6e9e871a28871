import { type Channel, isChannel, type RolloutId } from "@nixwave/effects";
import { formatFinding, openRepository, type RolloutView, releaseOf } from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode, exitCode } from "../exit.ts";
import { type Declared, declarationOfFlake, type FlakeTyped } from "../flake/declaration.ts";
import { Patience } from "../patience.ts";
import { NotThere, Refusal } from "../refusal.ts";
import {
  type By,
  declarationOf,
  type Prepared,
  prepare,
  type ReleaseTyped,
} from "../release/prepare.ts";
import {
  type Published,
  publishSigned,
  refuseForeignChannels,
  refuseForeignHosts,
} from "../release/publishSigned.ts";
import { diffScreen } from "../render/closureDiff.ts";
import { counted, listed, shortRollout } from "../render/name.ts";
import { changesScreen, firstEffects } from "../render/release.ts";
import { type HostChanges, hostChanges } from "../signing/declaredHosts.ts";
import { fleetFilesOf } from "../signing/fleetFiles.ts";
import { must, sayWaiting } from "../signing/outcome.ts";
import type { Place } from "../signing/settings.ts";
import { type SignersTyped, signersOf } from "../signing/signers.ts";
import { seenOf, settled, type Verdict, verdictOf } from "../verdict.ts";
import { LOOK_SECS } from "../watch.ts";
import type { Care } from "./act.ts";

export interface ReleaseOptions extends Care {
  readonly createdBy: string;
  /** After publishing, wait until the control plane has rolled it out, at most so many seconds. */
  readonly waitSecs: number | null;
  /** Null for a declaration in a file. */
  readonly flake: FlakeTyped | null;
  readonly place: Place;
  readonly signers: SignersTyped;
}

/** Makes a release of every channel, or of one, and puts it in place. Nothing is written before all of it is right. */
export async function release(
  desk: Desk,
  typed: ReleaseTyped,
  options: ReleaseOptions,
): Promise<ExitCode> {
  const { surroundings } = desk;
  const { place } = options;
  const target = await repositoryIn(desk, options);
  target.refuse(typed.channel === null ? null : new Set([typed.channel].filter(isChannel)));
  const { declaration, groups, push } = await declarationFor(desk, typed, options, target);
  const prepared = await prepare(declaration, typed, {
    createdBy: options.createdBy,
    now: surroundings.now(),
    current: target.current,
  });
  const publish = await target.ready(prepared);
  for (const warning of prepared.warnings) say(desk, `warning: ${formatFinding(warning)}`);
  if (!desk.json) {
    for (const changes of prepared.changes) print(desk, changesScreen(desk.style, changes));
    print(desk, diffScreen(desk.style, groups));
  }
  if (options.dryRun) {
    if (desk.json) print(desk, [toJson(prepared, true, null)]);
    else sayDryRun(desk, prepared, place.shown);
    return EXIT.fine;
  }
  await agreed(desk, prepared, options);
  await push();
  const published = await publish();
  if (desk.json) print(desk, [toJson(prepared, false, published)]);
  for (const { release: made } of published.live) {
    say(desk, `Released ${shortRollout(made.rolloutId)} to ${place.shown}.`);
  }
  if (published.waiting.length > 0) {
    sayNotLive(desk, published);
    return EXIT.person;
  }
  if (options.waitSecs === null) return EXIT.fine;
  const ids = prepared.releases.map(({ release: made }) => made.rolloutId);
  return waitFor(desk, ids, options.waitSecs);
}

async function declarationFor(
  desk: Desk,
  typed: ReleaseTyped,
  { flake }: ReleaseOptions,
  { current, refuse }: Target,
): Promise<Declared> {
  const isMeant = (channel: Channel): boolean =>
    typed.channel === null || typed.channel === channel;
  if (flake !== null) {
    return declarationOfFlake(desk, flake, {
      current,
      refuse: (channels) => refuse(new Set([...channels].filter(isMeant))),
    });
  }
  const declaration = declarationOf(typed.fleet, desk.surroundings.cwd);
  return { declaration, groups: [], push: async () => {} };
}

/** The repository: what is current there, and, once all that can be refused was, the one step that writes. */
interface Target {
  readonly current: By["current"];
  /** Throws for a channel that none of those present may sign; null: if they may sign none at all. */
  readonly refuse: (channels: ReadonlySet<Channel> | null) => void;
  ready(prepared: Prepared): Promise<() => Promise<Published>>;
}

/** Keys are opened first: a passphrase that nobody knows is found out before hours of building. A dry run needs none. */
async function repositoryIn(
  desk: Desk,
  { place, signers: typed, dryRun }: ReleaseOptions,
): Promise<Target> {
  const { surroundings } = desk;
  const { live, pending } = await must(openRepository(place.path));
  const signers = dryRun ? [] : await signersOf(surroundings, typed);
  return {
    refuse: (channels) => {
      if (!dryRun) refuseForeignChannels(channels, { live, pending }, signers);
    },
    current: async (channel) => {
      const file = live.channels.get(channel);
      if (file !== undefined) return await releaseOf(place.path, channel, file);
      const known = [...live.channels.keys()].join(", ");
      throw new Refusal(
        `${place.shown} has no channel ${channel}: it has ${known}. Make one with: nixwave channel add ${channel}`,
      );
    },
    ready: async ({ declared, releases }) => {
      const { hosts: signed, revoked } = await fleetFilesOf(place, live.targets);
      const next = (await fleetFilesOf(place, pending.targets ?? live.targets)).hosts;
      const listed = new Set(
        releases.flatMap(({ release: { hosts } }) => hosts.map(({ host }) => host)),
      );
      const own = new Map([...declared].filter(([host]) => listed.has(host)));
      const changes = hostChanges(signed, own);
      for (const line of hostLines(changes)) if (!desk.json) say(desk, line);
      for (const host of own.keys()) {
        if (revoked.get(host)?.before !== null) continue;
        say(
          desk,
          `warning: ${host} is retired, and can't reach the control plane: nixwave host add ${host}`,
        );
      }
      if (dryRun) return () => Promise.reject(new Error("a dry run publishes nothing"));
      const hands = { directory: place.path, signers, now: surroundings.now() };
      refuseForeignHosts(changes, live, hands);
      return () => publishSigned(hands, { signed, next }, changes, releases);
    },
  };
}

/** What a release says beside itself: who is who. */
function hostLines({ before, moved }: HostChanges): readonly string[] {
  const lines: string[] = [];
  if (before.size > 0)
    lines.push(`fleet/hosts.json: ${listed([...before.keys()], 8)} (new, or with another SSH key)`);
  for (const [host, { channel }] of moved)
    lines.push(`fleet/hosts.json: ${host} moves to ${channel}`);
  return lines;
}

function sayNotLive(desk: Desk, { pending, held, waiting }: Published): void {
  for (const { release: made } of pending)
    say(desk, `${shortRollout(made.rolloutId)} is signed, and not live yet.`);
  for (const { release: made } of held)
    say(desk, `${made.channel} was not released: fleet/hosts.json comes first.`);
  sayWaiting(desk, waiting);
  const again = held.length === 0 ? "" : ", and then this command again";
  say(desk, `next, with one of their keys: nixwave sign${again}`);
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
const toJson = (
  { changes, warnings }: Prepared,
  dryRun: boolean,
  published: Published | null,
): string =>
  JSON.stringify({
    dryRun,
    releases: changes,
    warnings: warnings.map(formatFinding),
    live: (published?.live ?? []).map(({ release: made }) => made.rolloutId),
    waiting: published?.waiting ?? [],
  });

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
