import { type Channel, err, isChannel, ok, type Result } from "@nixwave/effects";
import { metadataBytes, metadataPath, pendingPath } from "./layout.ts";
import {
  decodeMetadata,
  isTopRole,
  type Metadata,
  type Root,
  type SignedOf,
  type Snapshot,
  type Targets,
  type Timestamp,
  type TopRole,
} from "./metadata.ts";
import { inFolder, namesIn, placeIfOther, readIfThere, removeFile } from "./place.ts";

/** What clients read: complete, each file signed by as many as must. */
export interface Live {
  readonly root: Metadata<Root>;
  readonly targets: Metadata<Targets>;
  readonly snapshot: Metadata<Snapshot>;
  readonly timestamp: Metadata<Timestamp>;
  readonly channels: ReadonlyMap<Channel, Metadata<Targets>>;
}

/** What is to come and still lacks a signature, or waits for what lacks one. */
export interface Pending {
  root: Metadata<Root> | null;
  targets: Metadata<Targets> | null;
  snapshot: Metadata<Snapshot> | null;
  timestamp: Metadata<Timestamp> | null;
  channels: Map<Channel, Metadata<Targets>>;
}

const nothingPending = (): Pending => ({
  root: null,
  targets: null,
  snapshot: null,
  timestamp: null,
  channels: new Map(),
});

/** Why a repository can't be changed: a sentence with the place, and what to do. */
export interface RepositoryProblem {
  readonly code: "no-repository" | "damaged" | "refused" | "not-signed" | "not-stored";
  readonly reason: string;
}
export const repositoryProblem = (code: RepositoryProblem["code"], reason: string) =>
  err<RepositoryProblem>({ code, reason });

export type Found<T> = Promise<Result<T, RepositoryProblem>>;

/** Reads what is live. It is the owner's own copy: it is decoded, and verified by every client. */
export async function readLive(directory: string): Found<Live> {
  const roots = (await namesIn(inFolder(directory, "metadata"))).flatMap((name) => {
    const version = /^(\d{1,9})\.root\.json$/.exec(name)?.[1];
    return version === undefined ? [] : [Number(version)];
  });
  if (roots.length === 0) {
    const reason = `${directory}: holds no repository (no metadata/1.root.json): run nixwave init`;
    return repositoryProblem("no-repository", reason);
  }
  const root = await read(directory, "root", metadataPath("root", Math.max(...roots)));
  if (!root.ok) return root;
  const timestamp = await read(directory, "timestamp", metadataPath("timestamp", 0));
  if (!timestamp.ok) return timestamp;
  const { version } = timestamp.value.signed.meta["snapshot.json"];
  const snapshot = await read(directory, "snapshot", metadataPath("snapshot", version));
  if (!snapshot.ok) return snapshot;
  const named = (role: string) =>
    metadataPath(role, snapshot.value.signed.meta[`${role}.json`]?.version ?? 0);
  const targets = await read(directory, "targets", named("targets"));
  if (!targets.ok) return targets;
  const channels = new Map<Channel, Metadata<Targets>>();
  for (const { name } of targets.value.signed.delegations?.roles ?? []) {
    const channel = isChannel(name) ? await read(directory, "targets", named(name)) : null;
    if (channel?.ok === false) return channel;
    if (channel !== null && isChannel(name)) channels.set(name, channel.value);
  }
  return ok({
    root: root.value,
    timestamp: timestamp.value,
    snapshot: snapshot.value,
    targets: targets.value,
    channels,
  });
}

/** Reads what waits. What went live before a crash could clear it away is not waiting. */
export async function readPending(directory: string, live: Live): Found<Pending> {
  const pending = nothingPending();
  for (const name of await namesIn(inFolder(directory, "pending"))) {
    const role = name.endsWith(".json") ? name.slice(0, -".json".length) : "";
    const taken = await readInto(pending, { directory, live, role });
    if (!taken.ok) return taken;
  }
  return ok(pending);
}

async function readInto(
  pending: Pending,
  { directory, live, role }: { directory: string; live: Live; role: string },
): Found<null> {
  const path = pendingPath(role);
  if (isTopRole(role)) {
    const taken = await readTop(pending, { directory, live, role });
    if (!taken.ok) return taken;
  } else if (isChannel(role)) {
    const file = await read(directory, "targets", path);
    if (!file.ok) return file;
    const channel = live.channels.get(role) ?? null;
    if (isNewer(file.value, channel)) pending.channels.set(role, file.value);
  }
  return ok(null);
}

async function readTop<K extends TopRole>(
  pending: { [R in K]: Metadata<SignedOf[R]> | null },
  {
    directory,
    live,
    role,
  }: { directory: string; live: { readonly [R in K]: Metadata<SignedOf[R]> }; role: K },
): Found<null> {
  const file = await read(directory, role, pendingPath(role));
  if (!file.ok) return file;
  if (isNewer(file.value, live[role])) pending[role] = file.value;
  return ok(null);
}

type Versioned = Metadata<{ readonly version: number }>;
const isNewer = (file: Versioned, live: Versioned | null): boolean =>
  file.signed.version > (live?.signed.version ?? 0);

/** Writes what waits, and removes what waits no more. */
export async function storePending(directory: string, pending: Pending): Promise<void> {
  const files = pendingFiles(pending);
  for (const [role, file] of files) {
    await placeIfOther(inFolder(directory, pendingPath(role)), metadataBytes(file));
  }
  for (const name of await namesIn(inFolder(directory, "pending"))) {
    const role = name.endsWith(".json") ? name.slice(0, -".json".length) : null;
    if (role !== null && !files.has(role)) await removeFile(inFolder(directory, pendingPath(role)));
  }
}

export function pendingFiles(pending: Pending): ReadonlyMap<string, Metadata<{ version: number }>> {
  const files = new Map<string, Metadata<{ version: number }>>(pending.channels);
  for (const role of ["root", "targets", "snapshot", "timestamp"] as const) {
    const file = pending[role];
    if (file !== null) files.set(role, file);
  }
  return files;
}

async function read<K extends keyof SignedOf>(
  directory: string,
  kind: K,
  path: string,
): Found<Metadata<SignedOf[K]>> {
  const bytes = await readIfThere(inFolder(directory, path));
  if (bytes === null) return repositoryProblem("damaged", `${path}: is not there`);
  const decoded = decodeMetadata(kind, bytes);
  return decoded.ok ? decoded : repositoryProblem("damaged", `${path}: ${decoded.error}`);
}
