import { type Channel, type Instant, isChannel, ok } from "@nixwave/effects";
import { canonical } from "./canonical.ts";
import {
  isTopRole,
  type Metadata,
  type RoleKeys,
  type Root,
  signersOf,
  type Targets,
} from "./metadata.ts";
import { nameOfKey, type TufKey } from "./publicKey.ts";
import {
  type Found,
  type Live,
  type Pending,
  pendingFiles,
  repositoryProblem,
} from "./repositoryState.ts";
import type { Signer } from "./signer.ts";

/** What a change is made with. */
export interface Hands {
  readonly directory: string;
  /** Everyone who signs in this run; each signs what a role lets it. */
  readonly signers: readonly Signer[];
  readonly now: Instant;
}

/** A file that waits: who signed it, and who still could. Names as people know them. */
export interface Waiting {
  readonly role: string;
  readonly version: number;
  readonly threshold: number;
  readonly signedBy: readonly string[];
  readonly missing: readonly string[];
}

type Keys = Readonly<Record<string, TufKey>>;
export interface Authority extends RoleKeys {
  readonly keys: Keys;
}

/** Each channel's role as the targets delegate to it. */
export function delegationsOf(targets: Targets): ReadonlyMap<Channel, RoleKeys> {
  const roles = targets.delegations?.roles ?? [];
  return new Map(roles.flatMap((role) => (isChannel(role.name) ? [[role.name, role]] : [])));
}

/** Who may sign a role under one root and one targets file; null where there is no such role. */
export function authorityOf(role: string, root: Root, targets: Targets): Authority | null {
  if (isTopRole(role)) return { ...root.roles[role], keys: root.keys };
  const delegated = isChannel(role) ? delegationsOf(targets).get(role) : undefined;
  return delegated === undefined ? null : { ...delegated, keys: targets.delegations?.keys ?? {} };
}

export const isComplete = (file: Metadata<unknown>, by: Authority | null): boolean =>
  by !== null && signersOf(file, by.keys, by).length >= by.threshold;

/** A new root is signed by as many as the old one and itself ask for. */
export const isCompleteRoot = (next: Metadata<Root>, live: Metadata<Root>): boolean =>
  [live.signed, next.signed].every(({ keys, roles }) => isComplete(next, { ...roles.root, keys }));

/** Whose signatures a file can use: under the keys as they are, and as they will be. */
export function authoritiesOf(role: string, live: Live, pending: Pending): readonly Authority[] {
  const now = authorityOf(role, live.root.signed, live.targets.signed);
  const root = (pending.root ?? live.root).signed;
  const soon = authorityOf(role, root, (pending.targets ?? live.targets).signed);
  return [now, soon].filter((each) => each !== null);
}

/** Of those present, who can sign what waits of a role, and has not yet. */
export function ableToSign(
  signers: readonly Signer[],
  role: string,
  { live, pending }: { live: Live; pending: Pending },
): readonly Signer[] {
  const file = pendingFiles(pending).get(role);
  if (file === undefined) return [];
  const authorities = authoritiesOf(role, live, pending);
  return signers.filter(({ keyId }) =>
    authorities.some(
      (by) =>
        by.keyids.includes(keyId) && signersOf(file, by.keys, { keyids: [keyId] }).length === 0,
    ),
  );
}

/** The same file with the signatures of those present whom a role lets sign, and who have not yet. */
export async function withSignatures<T>(
  signers: readonly Signer[],
  file: Metadata<T>,
  by: readonly Authority[],
): Found<Metadata<T>> {
  const message = canonical(file.signed);
  if (message === null) return repositoryProblem("refused", "canonical JSON can't spell it");
  let { signatures } = file;
  for (const signer of signers) {
    const { keyId, publicKey } = signer;
    if (!by.some(({ keyids }) => keyids.includes(keyId))) continue;
    const signed = signersOf({ ...file, signatures }, { [keyId]: publicKey }, { keyids: [keyId] });
    if (signed.length > 0) continue;
    try {
      const sig = Buffer.from(await signer.sign(message)).toString("hex");
      signatures = [...signatures.filter(({ keyid }) => keyid !== keyId), { keyid: keyId, sig }];
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      return repositoryProblem("not-signed", `key ${nameOfKey(publicKey)} did not sign: ${why}`);
    }
  }
  return ok({ ...file, signatures });
}

/** Signs what waits of these roles. Not snapshot and timestamp, which are made over what is chosen. */
export async function signPending(
  { signers }: Hands,
  { live, pending, roles }: { live: Live; pending: Pending; roles: ReadonlySet<string> },
): Found<null> {
  const sign = async <T>(role: string, file: Metadata<T>): Found<Metadata<T>> =>
    roles.has(role)
      ? await withSignatures(signers, file, authoritiesOf(role, live, pending))
      : ok(file);
  if (pending.root !== null) {
    const root = await sign("root", pending.root);
    if (!root.ok) return root;
    pending.root = root.value;
  }
  if (pending.targets !== null) {
    const targets = await sign("targets", pending.targets);
    if (!targets.ok) return targets;
    pending.targets = targets.value;
  }
  for (const [channel, file] of pending.channels) {
    const signed = await sign(channel, file);
    if (!signed.ok) return signed;
    // Of a key that is there: iteration does not meet it again.
    pending.channels.set(channel, signed.value);
  }
  return ok(null);
}

/** Who signed what waits, and who could: by the keys as they will be. A root waits for the old keys too. */
export function waitingOf(live: Live, pending: Pending): readonly Waiting[] {
  const waiting: Waiting[] = [];
  for (const [role, file] of pendingFiles(pending)) {
    const authorities = authoritiesOf(role, live, pending);
    const short = authorities.filter((by) => !isComplete(file, by));
    const by = (role === "root" ? short[0] : undefined) ?? authorities.at(-1);
    if (by === undefined) continue;
    const signed = signersOf(file, by.keys, by);
    const name = (id: string) => (by.keys[id] === undefined ? id : nameOfKey(by.keys[id]));
    waiting.push({
      role,
      version: file.signed.version,
      threshold: by.threshold,
      signedBy: signed.map(name),
      missing:
        signed.length >= by.threshold
          ? []
          : by.keyids.filter((id) => !signed.includes(id)).map(name),
    });
  }
  return waiting;
}
