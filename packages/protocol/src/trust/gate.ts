import { err, ok, type Result } from "@nixwave/effects";
import { TrustFailure, type TrustProblem, trustProblem } from "./attack.ts";
import { type FetchFile, fetchBytes, wrongBytes } from "./fetchFile.ts";
import { isChannelTarget } from "./layout.ts";
import {
  decodeMetadata,
  FLEET,
  isChannelRole,
  isTopRole,
  kindOfRole,
  METADATA_BYTES_MAX,
  type Metadata,
  type MetaFile,
  type RoleKeys,
  type Root,
  type Snapshot,
  signersOf,
  type Targets,
  type Timestamp,
  type TopRole,
} from "./metadata.ts";
import type { TufKey } from "./publicKey.ts";

/** What the gate measures the next file by: it passed the gate itself, or lies in the metadata directory. */
export interface Known {
  root: Metadata<Root>;
  timestamp: Metadata<Timestamp> | null;
  snapshot: Metadata<Snapshot> | null;
  targets: Metadata<Targets> | null;
}

type Checked = Result<null, TrustProblem>;
const passed: Checked = ok(null);

/**
 * Stands before tuf-js and hands it nothing that is too large, not in our form, or not strictly signed: tuf-js' parser takes
 * quadratic time before it asks for a signature, and some versions of OpenSSL take keys of small order. tuf-js then checks all of it again
 * by its own code, and what only it knows: the versions seen before.
 */
export class Gate {
  readonly #fetch: FetchFile;
  readonly known: Known;
  /** What the gate refused last: tuf-js turns errors into the text of other errors. */
  refusal: TrustProblem | null = null;
  /** What passed, by path, as it came. */
  readonly passed = new Map<string, Uint8Array>();

  constructor(fetch: FetchFile, known: Known) {
    this.#fetch = fetch;
    this.known = known;
  }

  /** The bytes of a metadata file, or null where there is none; throws TrustFailure. */
  async take(path: string): Promise<Uint8Array | null> {
    const [, version, role] = /^metadata\/(?:(\d+)\.)?([^/]+)\.json$/.exec(path) ?? [];
    if (role === undefined) throw this.#refuse(trustProblem("unknown-role", path, "is no role"));
    const bytes = await fetchBytes(this.#fetch, path, METADATA_BYTES_MAX[kindOfRole(role)]);
    if (!bytes.ok) throw this.#refuse(bytes.error);
    if (bytes.value === null) {
      if (role === "root") return null;
      throw this.#refuse(trustProblem("missing", path, absent(role)));
    }
    const file = { path, bytes: bytes.value, version: Number(version ?? 0) };
    const checked = this.#check(role, file);
    if (!checked.ok) throw this.#refuse(checked.error);
    this.passed.set(path, bytes.value);
    return bytes.value;
  }

  #refuse(problem: TrustProblem): TrustFailure {
    this.refusal = problem;
    return new TrustFailure(problem);
  }

  #check(role: string, file: Arrived): Checked {
    switch (role) {
      case "root":
        return this.#checkRoot(file);
      case "timestamp":
        return this.#checkTimestamp(file);
      case "snapshot":
        return this.#checkSnapshot(file);
      case "targets":
        return this.#checkTargets(file);
      default:
        return this.#checkChannel(role, file);
    }
  }

  #checkRoot(file: Arrived): Checked {
    const next = decode("root", file);
    if (!next.ok) return next;
    const { known } = this;
    if (next.value.signed.version !== file.version) {
      const reason = `is version ${next.value.signed.version} of root, expected ${file.version}`;
      return err(trustProblem("rollback", file.path, reason));
    }
    const byOld = signedBy(next.value, known.root.signed.keys, known.root.signed.roles.root);
    if (byOld !== null) {
      const reason = `${byOld} of the root before it (version ${known.root.signed.version})`;
      return err(trustProblem("threshold-not-met", file.path, reason));
    }
    const own = checkSigned(next.value, file.path, next.value.signed, "root");
    if (own.ok) known.root = next.value;
    return own;
  }

  #checkTimestamp(file: Arrived): Checked {
    const next = decode("timestamp", file);
    if (!next.ok) return next;
    const signed = checkSigned(next.value, file.path, this.known.root.signed, "timestamp");
    if (signed.ok) this.known.timestamp = next.value;
    return signed;
  }

  #checkSnapshot(file: Arrived): Checked {
    const named = this.known.timestamp?.signed.meta["snapshot.json"];
    const same = checkNamed(file, named, "timestamp.json");
    if (!same.ok) return same;
    const next = decode("snapshot", file);
    if (!next.ok) return next;
    const signed = checkSigned(next.value, file.path, this.known.root.signed, "snapshot");
    if (signed.ok) this.known.snapshot = next.value;
    return signed;
  }

  #checkTargets(file: Arrived): Checked {
    const same = checkNamed(file, this.#named("targets"), "the snapshot");
    if (!same.ok) return same;
    const next = decode("targets", file);
    if (!next.ok) return next;
    const signed = checkSigned(next.value, file.path, this.known.root.signed, "targets");
    if (!signed.ok) return signed;
    const wrong = wrongTopTargets(next.value.signed);
    if (wrong !== null) return err(trustProblem(wrong.code, file.path, wrong.reason));
    this.known.targets = next.value;
    return passed;
  }

  #checkChannel(role: string, file: Arrived): Checked {
    const delegations = this.known.targets?.signed.delegations;
    const delegated = delegations?.roles.find(({ name }) => name === role);
    if (delegations === undefined || delegated === undefined) {
      return err(trustProblem("unknown-role", file.path, `${role} is no role of this repository`));
    }
    const same = checkNamed(file, this.#named(role), "the snapshot");
    if (!same.ok) return same;
    const next = decode("targets", file);
    if (!next.ok) return next;
    const missing = signedBy(next.value, delegations.keys, delegated);
    if (missing !== null) {
      return err(trustProblem("threshold-not-met", file.path, `${missing} of channel ${role}`));
    }
    const wrong = wrongChannelTargets(role, next.value.signed);
    return wrong === null ? passed : err(trustProblem("wrong-channel", file.path, wrong));
  }

  #named(role: string): MetaFile | undefined {
    const meta = this.known.snapshot?.signed.meta;
    const name = `${role}.json`;
    return meta !== undefined && Object.hasOwn(meta, name) ? meta[name] : undefined;
  }
}

interface Arrived {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** The version that the path names; 0 for the timestamp, whose path has none. */
  readonly version: number;
}

function decode<K extends TopRole>(kind: K, { path, bytes }: Arrived) {
  const decoded = decodeMetadata(kind, bytes);
  return decoded.ok ? decoded : err(trustProblem("malformed", path, decoded.error));
}

/** Before anything is parsed: a file is what the role above it names, or it is refused. */
function checkNamed(file: Arrived, named: MetaFile | undefined, by: string): Checked {
  if (named === undefined) {
    return err(trustProblem("unknown-role", file.path, `is not named in ${by}`));
  }
  const wrong = wrongBytes(file.bytes, named);
  if (wrong === null && named.version === file.version) return passed;
  // A well-formed file of another version was true once: someone puts old and new together.
  const version = versionIn(file.bytes);
  if (version !== null && version !== named.version) {
    const reason = `is version ${version}, ${by} names version ${named.version}`;
    return err(trustProblem("mix-and-match", file.path, reason));
  }
  return err(trustProblem("wrong-length-or-hash", file.path, wrong ?? `is not what ${by} names`));
}

function versionIn(bytes: Uint8Array): number | null {
  for (const kind of ["snapshot", "targets"] as const) {
    const decoded = decodeMetadata(kind, bytes);
    if (decoded.ok) return decoded.value.signed.version;
  }
  return null;
}

function checkSigned(file: Metadata<unknown>, path: string, root: Root, role: TopRole): Checked {
  const missing = signedBy(file, root.keys, root.roles[role]);
  if (missing === null) return passed;
  return err(trustProblem("threshold-not-met", path, `${missing} of role ${role}`));
}

/** Null if enough keys signed, else the sentence's middle. */
function signedBy(
  file: Metadata<unknown>,
  keys: Readonly<Record<string, TufKey>>,
  role: RoleKeys,
): string | null {
  const have = signersOf(file, keys, role).length;
  return have >= role.threshold ? null : `is signed by ${have} of ${role.threshold} keys`;
}

/** What the top-level targets may say: the fleet's files, and one delegation per channel, of its own folder. */
export function wrongTopTargets(
  targets: Targets,
): { code: "wrong-channel" | "unknown-role"; reason: string } | null {
  const foreign = Object.keys(targets.targets).find((path) => !path.startsWith(`${FLEET}/`));
  if (foreign !== undefined) {
    const reason = `signs ${foreign}: the targets role speaks of ${FLEET}/ only, a release needs its channel's keys`;
    return { code: "wrong-channel", reason };
  }
  const names = new Set<string>();
  for (const { name, paths } of targets.delegations?.roles ?? []) {
    if (!isChannelRole(name) || names.has(name) || paths[0] !== `${name}/*`) {
      const reason = `delegates ${paths[0]} to ${JSON.stringify(name)}: expected one role per channel, of ${name}/* only`;
      return { code: "unknown-role", reason };
    }
    names.add(name);
  }
  return null;
}

/** What a channel's role may say: its own releases. */
function wrongChannelTargets(channel: string, targets: Targets): string | null {
  if (targets.delegations !== undefined) return `channel ${channel} may not delegate`;
  const foreign = Object.keys(targets.targets).find((path) => !isChannelTarget(path, channel));
  return foreign === undefined
    ? null
    : `the key of channel ${channel} signs ${foreign}: it speaks of releases of ${channel} only`;
}

/** An agent that asks for its channel may have to do with a copy that has all but this. */
const absent = (role: string): string =>
  isTopRole(role)
    ? "is not there"
    : "is not there; a control plane leaves a channel that it could not verify out of its copy, and nixwave status says why";
