import { addSecs, type Channel, err, type Instant, ok, type Result } from "@nixwave/effects";
import { expiryOf, type Metadata, type Root, type Targets } from "./metadata.ts";
import { nameOfKey } from "./publicKey.ts";
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
import { authoritiesOf, type Hands, type Waiting, waitingOf } from "./signing.ts";

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
  const behind = clockBehind(live, hands.now);
  if (behind !== null) return refused(behind);
  try {
    const draft = { live, pending, touched: new Set<string>() };
    const done = await edit(draft);
    return done.ok ? await settle(hands, draft, renew) : done;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return repositoryProblem("not-stored", `${hands.directory}: could not be written: ${why}`);
  }
}

/** Clocks of people who sign one after the other may differ by this. */
const CLOCK_SECS = 10 * 60;

/** What a clock that is behind signs ends too early, and what it releases is older than what it replaces. */
function clockBehind({ timestamp: { signed } }: Live, now: Instant): string | null {
  const days = signed["x-nixwave-valid-days"];
  if (days === undefined) return null;
  const madeAt = addSecs(expiryOf(signed), -days * 86_400);
  if (addSecs(now, CLOCK_SECS) >= madeAt) return null;
  const [made, is] = [madeAt, now].map((at) => new Date(at).toISOString());
  return `the live timestamp was signed at ${made}, and this machine's clock says ${is}: set the clock, then do it again`;
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
  if (!done.ok) return done;
  pending.root = nextOf(signed, live.root.signed.version + 1, hands.now);
  draft.touched.add("root");
  return maySign(hands, draft, "root");
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
  if (!done.ok) return done;
  pending.targets = nextOf(signed, live.targets.signed.version + 1, hands.now);
  draft.touched.add("targets");
  return maySign(hands, draft, "targets");
}

/** A change that nobody present may sign is not even proposed: it would stand in the way of those who may. */
function maySign({ signers }: Hands, { live, pending }: Draft, role: string): Edited {
  const authorities = authoritiesOf(role, live, pending);
  if (signers.some(({ keyId }) => authorities.some(({ keyids }) => keyids.includes(keyId)))) {
    return edited;
  }
  const by = authorities[0];
  const owners = (by?.keyids ?? []).flatMap((id) => (by?.keys[id] ? [nameOfKey(by.keys[id])] : []));
  const mine = signers.map(({ publicKey }) => nameOfKey(publicKey)).join(", ");
  return refused(`${mine} may not sign ${role}: that is for ${owners.join(", ")}`);
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
  hands: Hands,
  draft: Draft,
  channel: Channel,
  edit: (targets: Targets) => Promise<Edited>,
): Promise<Edited> {
  const { live, pending, touched } = draft;
  const file: Metadata<Targets> | undefined = live.channels.get(channel);
  if (file === undefined) return unknownRole(draft, channel);
  const signed = structuredClone(file.signed);
  const done = await edit(signed);
  if (!done.ok) return done;
  pending.channels.set(channel, nextOf(signed, file.signed.version + 1, hands.now));
  touched.add(channel);
  return maySign(hands, draft, channel);
}

export const refused = (reason: string) => err<RepositoryProblem>({ code: "refused", reason });

export function unknownRole({ live }: Draft, role: string) {
  const known = ["root", "targets", "snapshot", "timestamp", ...live.channels.keys()].join(", ");
  return refused(`there is no role or channel ${role}: expected one of ${known}`);
}
