import { ok, type Result } from "@nixwave/effects";
import {
  change,
  type Draft,
  type Edited,
  edited,
  editRoot,
  editTargets,
  refused,
  unknownRole,
} from "./draft.ts";
import { isTopRole, type RoleKeys } from "./metadata.ts";
import { keyIdOf, nameOfKey, readTufKey, type TufKey } from "./publicKey.ts";
import type { Found, RepositoryProblem } from "./repositoryState.ts";
import type { Outcome } from "./settle.ts";
import type { Hands } from "./signing.ts";

/** What is done to the keys of one role. */
export type KeyChange = { readonly role: string } & (
  | { readonly kind: "add"; readonly key: TufKey }
  | { readonly kind: "remove"; readonly keyId: string }
  /** A key in another's place. */
  | { readonly kind: "rotate"; readonly keyId: string; readonly key: TufKey }
  /** How many must sign. */
  | { readonly kind: "threshold"; readonly threshold: number }
);

/** Changes who may sign, of several roles in one version: all of it, or nothing if one is refused. */
export const changeKeys = (hands: Hands, changes: readonly KeyChange[]): Found<Outcome> =>
  change(hands, async (draft) => {
    for (const one of changes) {
      const done = changeRole(hands, draft, one);
      if (!done.ok) return done;
    }
    return edited;
  });

/** Makes a key count for a role. */
export const addKey = (hands: Hands, { role, key }: { role: string; key: TufKey }) =>
  changeKeys(hands, [{ kind: "add", role, key }]);

/** Makes a key count no more for a role. */
export const removeKey = (hands: Hands, { role, keyId }: { role: string; keyId: string }) =>
  changeKeys(hands, [{ kind: "remove", role, keyId }]);

export const rotateKey = (
  hands: Hands,
  { role, keyId, key }: { role: string; keyId: string; key: TufKey },
): Found<Outcome> => changeKeys(hands, [{ kind: "rotate", role, keyId, key }]);

export const setThreshold = (
  hands: Hands,
  { role, threshold }: { role: string; threshold: number },
): Found<Outcome> => changeKeys(hands, [{ kind: "threshold", role, threshold }]);

interface KeysOfRole {
  readonly keys: Readonly<Record<string, TufKey>>;
  readonly threshold: number;
}

function editKeys(keys: KeysOfRole, one: KeyChange): Result<KeysOfRole, RepositoryProblem> {
  switch (one.kind) {
    case "add":
      return withKey(keys, one.role, one.key);
    case "remove":
      return withoutKey(keys, one.role, one.keyId);
    case "rotate": {
      const added = withKey(keys, one.role, one.key);
      return added.ok ? withoutKey(added.value, one.role, one.keyId) : added;
    }
    case "threshold": {
      const { role, threshold } = one;
      const most = Object.keys(keys.keys).length;
      if (Number.isInteger(threshold) && threshold >= 1 && threshold <= most) {
        return ok({ ...keys, threshold });
      }
      return refused(`role ${role} has ${most} keys: expected a threshold from 1 to ${most}`);
    }
  }
}

function changeRole(hands: Hands, draft: Draft, one: KeyChange): Edited {
  const { role } = one;
  if (isTopRole(role)) {
    return editRoot(hands, draft, (root) =>
      editRole(root.keys, root.roles[role], Object.values(root.roles), one),
    );
  }
  return editTargets(hands, draft, ({ delegations }) => {
    const delegated = delegations?.roles.find(({ name }) => name === role);
    if (delegations === undefined || delegated === undefined) return unknownRole(draft, role);
    return editRole(delegations.keys, delegated, delegations.roles, one);
  });
}

/** Changes one role in place, and drops keys that no role has any more. */
function editRole(
  all: Record<string, TufKey>,
  role: RoleKeys,
  roles: readonly RoleKeys[],
  one: KeyChange,
): Edited {
  const own = Object.entries(all).filter(([id]) => role.keyids.includes(id));
  const next = editKeys({ keys: Object.fromEntries(own), threshold: role.threshold }, one);
  if (!next.ok) return next;
  Object.assign(all, next.value.keys);
  role.keyids = Object.keys(next.value.keys);
  role.threshold = next.value.threshold;
  const used = new Set(roles.flatMap(({ keyids }) => keyids));
  for (const id of Object.keys(all)) if (!used.has(id)) delete all[id];
  return edited;
}

function withKey(of: KeysOfRole, role: string, key: TufKey): Result<KeysOfRole, RepositoryProblem> {
  const known = readTufKey(key);
  if (!known.ok) return refused(`key ${nameOfKey(key)}: ${known.error}`);
  const id = keyIdOf(key);
  if (Object.hasOwn(of.keys, id)) return refused(`role ${role} has key ${nameOfKey(key)} already`);
  return ok({ ...of, keys: { ...of.keys, [id]: key } });
}

function withoutKey(
  of: KeysOfRole,
  role: string,
  keyId: string,
): Result<KeysOfRole, RepositoryProblem> {
  const left = Object.entries(of.keys).filter(([id]) => id !== keyId);
  if (left.length === Object.keys(of.keys).length) {
    const names = Object.values(of.keys).map(nameOfKey).join(", ");
    return refused(`role ${role} has no key ${keyId}: expected one of ${names}`);
  }
  if (left.length < of.threshold) {
    return refused(
      `role ${role} would have ${left.length} keys, and ${of.threshold} must sign: lower the threshold, or add a key first`,
    );
  }
  return ok({ ...of, keys: Object.fromEntries(left) });
}
