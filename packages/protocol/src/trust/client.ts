import { type Channel, err, type Instant, ok, type Result } from "@nixwave/effects";
import type { Updater } from "tuf-js";
import {
  attackOf,
  expiredProblem,
  TrustFailure,
  type TrustProblem,
  trustProblem,
} from "./attack.ts";
import type { FetchFile } from "./fetchFile.ts";
import { Gate, wrongTopTargets } from "./gate.ts";
import { metadataPath } from "./layout.ts";
import { Memory } from "./memory.ts";
import { decodeMetadata, kindOfRole, type Targets, type TopRole } from "./metadata.ts";
import { channelsOf, expiryFor, type Kept, type Trusted } from "./trusted.ts";
import { makeUpdater } from "./updater.ts";

export interface TrustOptions {
  /** Where the highest versions are remembered; the client's alone. */
  readonly directory: string;
  /** The root.json that came with the host or was given by the operator; null to go on from the remembered one only. */
  readonly root: Uint8Array | null;
  readonly fetch: FetchFile;
  /** Which channels to verify: an agent its own, a CP all. */
  readonly channels: readonly Channel[] | "all";
}

/** Verifies a repository from a root. Nothing that it gives is unverified. */
export interface TrustClient {
  /** The newest state, verified at `now`. `freeze-expired` is refused too, with what expired; see `stillValid`. */
  refresh(now: Instant): Promise<Result<Trusted, TrustProblem>>;
}

export function trustClient(options: TrustOptions): TrustClient {
  const memory = new Memory(options.directory);
  let last: Promise<unknown> = Promise.resolve();
  return {
    refresh: (now) => {
      // One at a time: they share the staging directory, and the second would only undo the first one's work.
      const turn = last.then(async () => await refresh(options, memory, now));
      last = turn.catch(() => null);
      return turn;
    },
  };
}

async function refresh(
  options: TrustOptions,
  memory: Memory,
  now: Instant,
): Promise<Result<Trusted, TrustProblem>> {
  try {
    const anchored = await memory.anchor(options.root);
    if (!anchored.ok) return anchored;
    const known = await memory.stage();
    if (!known.ok) return known;
    const gate = new Gate(options.fetch, known.value);
    try {
      return await update({ memory, gate, now }, options.channels);
    } finally {
      await memory.commit();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return err(
      trustProblem("unreadable", options.directory, `could not be read or written: ${why}`),
    );
  }
}

interface Session {
  readonly memory: Memory;
  readonly gate: Gate;
  readonly now: Instant;
}

async function update(
  session: Session,
  wanted: TrustOptions["channels"],
): Promise<Result<Trusted, TrustProblem>> {
  const { memory, gate, now } = session;
  const made = await attempt(session, "root", () => makeUpdater(memory.staging, gate, now));
  if (!made.ok) return made;
  const updater = made.value;
  const refreshed = await attempt(session, "timestamp", () => updater.refresh());
  if (!refreshed.ok) return refreshed;
  const top = {
    root: await kept(memory, "root", "root"),
    timestamp: await kept(memory, "timestamp", "timestamp"),
    snapshot: await kept(memory, "snapshot", "snapshot"),
    targets: await kept(memory, "targets", "targets"),
  };
  const { root, timestamp, snapshot, targets } = top;
  if (root === null || timestamp === null || snapshot === null || targets === null) {
    return err(
      trustProblem("unreadable", memory.staging, "what was verified could not be read again"),
    );
  }
  const wrong = wrongTopTargets(targets.file.signed);
  if (wrong !== null) {
    const file = metadataPath("targets", targets.file.signed.version);
    return err(trustProblem(wrong.code, file, wrong.reason));
  }
  const channels = new Map<Channel, Result<Kept<Targets>, TrustProblem>>();
  for (const channel of channelsOf({ targets })) {
    if (wanted !== "all" && !wanted.includes(channel)) continue;
    channels.set(channel, await updateChannel(session, updater, channel));
  }
  return ok({ verifiedAt: now, root, timestamp, snapshot, targets, channels });
}

async function updateChannel(
  session: Session,
  updater: Updater,
  channel: Channel,
): Promise<Result<Kept<Targets>, TrustProblem>> {
  // Asking for a target loads and verifies the one role that it is delegated to.
  const loaded = await attempt(session, channel, () =>
    updater.getTargetInfo(`${channel}/current.json`),
  );
  if (!loaded.ok) return loaded;
  const role = await kept(session.memory, "targets", channel);
  if (role !== null) return ok(role);
  return err(trustProblem("unreadable", channel, "what was verified could not be read again"));
}

/** Calls tuf-js, and gives what it throws a name. */
async function attempt<T>(
  session: Session,
  role: string,
  call: () => Promise<T>,
): Promise<Result<T, TrustProblem>> {
  const { gate } = session;
  gate.refusal = null;
  try {
    return ok(await call());
  } catch (cause) {
    if (cause instanceof TrustFailure) return err(cause.problem);
    if (gate.refusal !== null) return err(gate.refusal);
    const attack = attackOf(cause);
    const why = cause instanceof Error ? cause.message : String(cause);
    const named = /(\S+)\.json is expired/.exec(why)?.[1];
    if (attack === "freeze-expired" && named !== undefined) return await expired(session, named);
    return err(trustProblem(attack, fileOf(why, role), why));
  }
}

/** Where tuf-js' sentence names a file, that one: `snapshot.json` of `New version 1 of snapshot.json is less than …`. */
const fileOf = (why: string, role: string): string =>
  /\b(\S+\.json)\b/.exec(why)?.[1] ?? /New (timestamp|snapshot) version/.exec(why)?.[1] ?? role;

async function expired({ memory, gate, now }: Session, role: string) {
  const arrived = [...gate.passed].filter(([path]) => roleIn(path) === role).at(-1)?.[1];
  const bytes = arrived ?? (await memory.staged(role));
  const decoded = bytes === null ? null : decodeMetadata(kindOfRole(role), bytes);
  const expiry =
    decoded?.ok === true
      ? expiryFor(role, decoded.value.signed)
      : { role, expiresAt: now, validDays: null };
  return err(expiredProblem(`${role}.json`, expiry));
}

const roleIn = (path: string): string | undefined =>
  /^metadata\/(?:\d+\.)?([^/]+)\.json$/.exec(path)?.[1];

async function kept<K extends TopRole>(memory: Memory, kind: K, role: string) {
  const bytes = await memory.staged(role);
  const decoded = bytes === null ? null : decodeMetadata(kind, bytes);
  return bytes !== null && decoded?.ok === true ? { file: decoded.value, bytes } : null;
}
