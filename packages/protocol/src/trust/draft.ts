import { type Channel, err, ok, type Result } from "@nixwave/effects";
import type { Metadata, Root, Targets } from "./metadata.ts";
import {
  type Found,
  type Live,
  type Pending,
  type RepositoryProblem,
  readLive,
  readPending,
  repositoryProblem,
} from "./repositoryState.ts";
import { nextOf, type Outcome, settle } from "./settle.ts";
import { type Hands, type Waiting, waitingOf } from "./signing.ts";

/** A repository while it is changed: `pending` is edited, and then settled. */
export interface Draft {
  readonly live: Live;
  readonly pending: Pending;
  /** The roles that this change is about: whoever is present signs these, and nothing else that waits. */
  readonly touched: Set<string>;
}
export type Edited = Result<null, RepositoryProblem>;
export const edited: Edited = ok(null);

/** What lives and what waits, for `nixwave key list` and for whoever signs: they should see what they sign. */
export async function openRepository(
  directory: string,
): Found<{ live: Live; pending: Pending; waiting: readonly Waiting[] }> {
  try {
    const live = await readLive(directory);
    if (!live.ok) return live;
    const pending = await readPending(directory, live.value);
    if (!pending.ok) return pending;
    const waiting = waitingOf(live.value, pending.value);
    return ok({ live: live.value, pending: pending.value, waiting });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return repositoryProblem("damaged", `${directory}: could not be read: ${why}`);
  }
}

/** Opens, edits, signs and publishes; an edit that is refused has written nothing that counts. */
export async function change(
  hands: Hands,
  edit: (draft: Draft) => Promise<Edited>,
  renew = false,
): Found<Outcome> {
  const opened = await openRepository(hands.directory);
  if (!opened.ok) return opened;
  const { live, pending } = opened.value;
  try {
    const draft = { live, pending, touched: new Set<string>() };
    const done = await edit(draft);
    return done.ok ? await settle(hands, draft, renew) : done;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return repositoryProblem("not-stored", `${hands.directory}: could not be written: ${why}`);
  }
}

/**
 * The next root: on top of one that waits already, whose signatures are then asked for again. What others have made is not
 * signed along with it unseen.
 */
export function editRoot(hands: Hands, draft: Draft, edit: (root: Root) => Edited): Edited {
  const { live, pending } = draft;
  const mine = isOwn(hands, draft, "root");
  if (!mine.ok) return mine;
  const signed = structuredClone((pending.root ?? live.root).signed);
  const done = edit(signed);
  if (done.ok) pending.root = nextOf(signed, live.root.signed.version + 1, hands.now);
  draft.touched.add("root");
  return done;
}

export function editTargets(
  hands: Hands,
  draft: Draft,
  edit: (targets: Targets) => Edited,
): Edited {
  const { live, pending } = draft;
  const mine = isOwn(hands, draft, "targets");
  if (!mine.ok) return mine;
  const signed = structuredClone((pending.targets ?? live.targets).signed);
  const done = edit(signed);
  if (done.ok) pending.targets = nextOf(signed, live.targets.signed.version + 1, hands.now);
  draft.touched.add("targets");
  return done;
}

function isOwn({ signers }: Hands, { pending, touched }: Draft, role: "root" | "targets"): Edited {
  const waits = pending[role];
  if (waits === null || touched.has(role)) return edited;
  const isMine = waits.signatures.some(({ keyid }) => signers.some(({ keyId }) => keyId === keyid));
  if (isMine) return edited;
  const reason = `version ${waits.signed.version} of ${role} waits for signatures: sign it after a look at it, or drop it, before the next change`;
  return refused(reason);
}

/** Always on top of what is live: a release that nobody wanted to sign is not signed along with the next one. */
export async function editChannel(
  { now }: Hands,
  draft: Draft,
  channel: Channel,
  edit: (targets: Targets) => Promise<Edited>,
): Promise<Edited> {
  const { live, pending, touched } = draft;
  const file: Metadata<Targets> | undefined = live.channels.get(channel);
  if (file === undefined) return unknownRole(draft, channel);
  const signed = structuredClone(file.signed);
  const done = await edit(signed);
  if (done.ok) pending.channels.set(channel, nextOf(signed, file.signed.version + 1, now));
  touched.add(channel);
  return done;
}

export const refused = (reason: string) => err<RepositoryProblem>({ code: "refused", reason });

export function unknownRole({ live }: Draft, role: string) {
  const known = ["root", "targets", "snapshot", "timestamp", ...live.channels.keys()].join(", ");
  return refused(`there is no role or channel ${role}: expected one of ${known}`);
}
