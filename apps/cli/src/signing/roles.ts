import { instant } from "@nixwave/effects";
import { type Expiry, type Live, nameOfKey, type RoleKeys, type TufKey } from "@nixwave/protocol";
import { Refusal } from "../refusal.ts";

/** A role of a repository: who may sign it, how many must, and until when what they signed holds. */
export interface RoleNow {
  readonly role: string;
  readonly version: number;
  readonly threshold: number;
  readonly keys: readonly NamedKey[];
  readonly expiry: Expiry;
}
export interface NamedKey {
  readonly keyId: string;
  readonly name: string;
}

/** As it is live: the roles of the root first, then the channels by name. */
export function rolesOf({
  root,
  targets,
  snapshot,
  timestamp,
  channels,
}: Live): readonly RoleNow[] {
  const tops = { root, targets, snapshot, timestamp };
  const made: RoleNow[] = (["root", "targets", "snapshot", "timestamp"] as const).map((role) =>
    roleNow(role, tops[role].signed, root.signed.roles[role], root.signed.keys),
  );
  const { keys = {}, roles = [] } = targets.signed.delegations ?? {};
  for (const delegated of [...roles].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = [...channels].find(([channel]) => channel === delegated.name)?.[1];
    if (file !== undefined) made.push(roleNow(delegated.name, file.signed, delegated, keys));
  }
  return made;
}

function roleNow(
  role: string,
  signed: {
    readonly version: number;
    readonly expires: string;
    readonly "x-nixwave-valid-days"?: number | undefined;
  },
  { keyids, threshold }: RoleKeys,
  keys: Readonly<Record<string, TufKey>>,
): RoleNow {
  const named = keyids.map((keyId) => ({
    keyId,
    name: keys[keyId] === undefined ? keyId : nameOfKey(keys[keyId]),
  }));
  const expiresAt = instant(Date.parse(signed.expires));
  const expiry = { role, expiresAt, validDays: signed["x-nixwave-valid-days"] ?? null };
  return { role, version: signed.version, threshold, keys: named, expiry };
}

/** A key of a role by its name, its id, or the beginning of either. */
export function keyNamed({ role, keys }: RoleNow, text: string): NamedKey {
  const fits = keys.filter(
    ({ keyId, name }) => keyId.startsWith(text) || name === text || name.startsWith(`${text} (`),
  );
  const [only, other] = fits;
  if (only !== undefined && other === undefined) return only;
  const known = keys.map(({ name }) => name).join(", ");
  throw new Refusal(
    only === undefined
      ? `${role} has no key “${text}”: expected one of ${known}.`
      : `“${text}” stands for ${fits.length} keys of ${role}: ${fits.map(({ name }) => name).join(", ")}. Type more digits of the one that you mean.`,
  );
}
