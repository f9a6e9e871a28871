import {
  type Channel,
  type ChannelRef,
  err,
  type HostName,
  type Instant,
  ok,
  type Release,
  type ReleaseHost,
  type Result,
  rolloutId,
} from "@nixwave/effects";
import { z } from "zod";
import { orderByGates } from "./graph.ts";
import { sha256 } from "./hash.ts";
import { sentence } from "./problem.ts";
import {
  bucketSchema,
  constraintsSchema,
  currentSchema,
  type Head,
  type HostRelease,
  headSchema,
  RELEASE_FILE_BYTES_MAX,
  type ReleaseProblem,
} from "./release.ts";
import {
  bucketCount,
  bucketOf,
  byName,
  currentPath,
  headPath,
  partPath,
  refOf,
} from "./releaseFiles.ts";
import { seals, type Verified } from "./verified.ts";

/** A file of the repository by its path, null where there is none. It may throw: that is `unreadable`. */
export type ReadFile = (path: string) => Promise<Uint8Array | null>;
type Read<T> = Promise<Result<T, ReleaseProblem>>;

const problem = (code: ReleaseProblem["code"], file: string, reason: string) =>
  err<ReleaseProblem>({ code, file, reason: `${file}: ${reason}` });

/** The ref that the channel's current.json names. It only names: what it names is verified when it is read. */
export async function readCurrent(read: ReadFile, channel: Channel): Read<ChannelRef> {
  const file = currentPath(channel);
  const bytes = await readBytes(read, file);
  if (!bytes.ok) return bytes;
  const current = decode(currentSchema, file, bytes.value);
  if (!current.ok) return current;
  if (current.value.channel === channel) return ok(current.value.ref);
  return problem(
    "wrong-channel",
    file,
    `names channel ${current.value.channel}, expected ${channel}`,
  );
}

/** Head, all buckets and the constraints of one release: what the CP decides by. */
export async function readRelease(
  read: ReadFile,
  { channel, ref }: { channel: Channel; ref: ChannelRef },
): Read<Verified<Release>> {
  const head = await readHead(read, channel, ref);
  if (!head.ok) return head;
  const hosts: ReleaseHost[] = [];
  for (let index = 0; index < head.value.buckets.length; index += 1) {
    const bucket = await readBucket(read, head.value, index);
    if (!bucket.ok) return bucket;
    // Not one call with all of them: a hostile bucket may have more than a call takes.
    for (const host of bucket.value) hosts.push(host);
  }
  const file = headPath(channel, ref);
  if (hosts.length !== head.value.hostCount) {
    return problem(
      "inconsistent",
      file,
      `lists ${hosts.length} hosts, but says ${head.value.hostCount}`,
    );
  }
  const used = new Set(hosts.map(({ wave }) => wave));
  const empty = head.value.waves.find(({ index }) => !used.has(index));
  if (empty !== undefined) return problem("inconsistent", file, `wave ${empty.index} has no host`);
  const path = partPath(channel, head.value.constraints.sha256);
  const bytes = await readPart(read, path, head.value.constraints);
  if (!bytes.ok) return bytes;
  const constraints = decode(constraintsSchema, path, bytes.value);
  if (!constraints.ok) return constraints;
  const { budgets, edges } = constraints.value;
  const wrong = wrongConstraints(new Map(hosts.map((host) => [host.host, host])), {
    budgets,
    edges,
  });
  if (wrong !== null) return problem("inconsistent", path, wrong);
  const { revision, createdAt, createdBy, note, waves, policy, channelEdges } = head.value;
  const about = {
    rolloutId: rolloutId(channel, ref),
    channel,
    ref,
    revision,
    createdAt,
    createdBy,
    note,
  };
  hosts.sort((a, b) => a.wave - b.wave || byName(a.host, b.host));
  return ok(seals({ ...about, waves, policy, channelEdges, hosts, budgets, edges }));
}

/** Head and the host's own bucket: all that an agent needs and fetches. */
export async function readReleaseForHost(
  read: ReadFile,
  { channel, ref, host }: { channel: Channel; ref: ChannelRef; host: HostName },
): Read<Verified<HostRelease>> {
  const head = await readHead(read, channel, ref);
  if (!head.ok) return head;
  const { policy, createdAt, waves, buckets } = head.value;
  const bucket = await readBucket(read, head.value, bucketOf(host, buckets.length));
  if (!bucket.ok) return bucket;
  const own = bucket.value.find((each) => each.host === host);
  const wave = waves.find(({ index }) => index === own?.wave);
  if (own === undefined || wave === undefined) {
    return problem("not-listed", headPath(channel, ref), `host ${host} is not in this release`);
  }
  const { closure, closureDigest } = own;
  return ok(
    seals({
      rolloutId: rolloutId(channel, ref),
      channel,
      ref,
      createdAt,
      host,
      closure,
      terms: { policy, wave: wave.index, soakSecs: wave.soakSecs, closureDigest },
    }),
  );
}

/**
 * A sentence if a release is no newer than the newest that was opened or acknowledged before it, else null. It is
 * refused as `older` then; a recovering CP and a release that is open already are the callers' exceptions.
 */
export function refuseOlder(
  release: { createdAt: Instant },
  newest: Instant | null,
): string | null {
  if (newest === null || release.createdAt > newest) return null;
  return `the release was made at ${new Date(release.createdAt).toISOString()}, no later than the newest one before it, ${new Date(newest).toISOString()}: make it anew`;
}

async function readHead(read: ReadFile, channel: Channel, ref: ChannelRef): Read<Head> {
  const file = headPath(channel, ref);
  const bytes = await readBytes(read, file);
  if (!bytes.ok) return bytes;
  const named = refOf(bytes.value);
  if (named !== ref)
    return problem("wrong-length-or-hash", file, `its bytes make the ref ${named}`);
  const critical = unknownCritical(file, bytes.value);
  if (!critical.ok) return critical;
  const head = decode(headSchema, file, bytes.value);
  if (!head.ok) return head;
  const wrong = wrongHead(head.value, channel);
  return wrong === null ? head : problem(wrong.code, file, wrong.reason);
}

const criticalNames = z.object({ critical: z.array(z.string()) });

/** Asked before the rest is decoded: a field that must be understood may be why the rest looks odd. */
function unknownCritical(file: string, bytes: Uint8Array): Result<null, ReleaseProblem> {
  const names = decode(criticalNames, file, bytes);
  if (!names.ok) return names;
  const unknown = names.value.critical.find(
    (name) => !Object.hasOwn(headSchema.unwrap().shape, name),
  );
  if (unknown === undefined) return ok(null);
  const reason = `its field ${JSON.stringify(unknown)} must be understood, and is not: install a newer release of nixwave`;
  return problem("unknown-critical", file, reason);
}

function wrongHead(head: Head, channel: Channel): Pick<ReleaseProblem, "code" | "reason"> | null {
  if (head.channel !== channel) {
    return { code: "wrong-channel", reason: `is of channel ${head.channel}, expected ${channel}` };
  }
  const inconsistent = (reason: string) => ({ code: "inconsistent", reason }) as const;
  if (head.waves.some(({ index }, at) => index !== at + 1)) {
    return inconsistent("its waves are not numbered from 1 in order");
  }
  const buckets = bucketCount(head.hostCount);
  if (head.buckets.length !== buckets) {
    return inconsistent(
      `has ${head.buckets.length} buckets, expected ${buckets} for ${head.hostCount} hosts`,
    );
  }
  const foreign = head.channelEdges.find(({ gated }) => gated !== channel);
  if (foreign !== undefined) {
    return inconsistent(
      `a channel edge gates ${foreign.gated}: a head may only gate its own channel`,
    );
  }
  const self = head.channelEdges.find(({ gates }) => gates === channel);
  return self === undefined ? null : inconsistent(`channel ${channel} would wait for itself`);
}

async function readBucket(read: ReadFile, head: Head, index: number): Read<readonly ReleaseHost[]> {
  const digest = head.buckets[index];
  if (digest === undefined) return problem("inconsistent", head.channel, `has no bucket ${index}`);
  const file = partPath(head.channel, digest.sha256);
  const bytes = await readPart(read, file, digest);
  if (!bytes.ok) return bytes;
  const bucket = decode(bucketSchema, file, bytes.value);
  if (!bucket.ok) return bucket;
  const seen = new Set<HostName>();
  for (const { host, wave } of bucket.value.hosts) {
    if (seen.has(host)) return problem("inconsistent", file, `lists host ${host} twice`);
    seen.add(host);
    // A host has one bucket, so that being listed once in its own is being listed once.
    if (bucketOf(host, head.buckets.length) !== index) {
      return problem("inconsistent", file, `host ${host} is not of this bucket`);
    }
    if (wave > head.waves.length) {
      return problem(
        "inconsistent",
        file,
        `host ${host} is in wave ${wave} of ${head.waves.length}`,
      );
    }
  }
  return ok(bucket.value.hosts);
}

function wrongConstraints(
  hosts: ReadonlyMap<HostName, ReleaseHost>,
  { budgets, edges }: Pick<Release, "budgets" | "edges">,
): string | null {
  const names = new Set<string>();
  for (const budget of budgets) {
    const name = JSON.stringify(budget.name);
    if (names.has(budget.name)) return `budget ${name} is there twice`;
    names.add(budget.name);
    const unknown = budget.hosts.find((host) => !hosts.has(host));
    if (unknown !== undefined)
      return `budget ${name} names host ${unknown}, which is not in the release`;
    if (new Set(budget.hosts).size !== budget.hosts.length)
      return `budget ${name} names a host twice`;
  }
  for (const edge of edges) {
    const gates = hosts.get(edge.gates);
    const gated = hosts.get(edge.gated);
    const named = `the edge from ${edge.gates} to ${edge.gated}`;
    if (gates === undefined || gated === undefined)
      return `${named} names a host that is not in the release`;
    if (gates.wave > gated.wave) return `${named} has its gating host in a later wave`;
  }
  const ordered = orderByGates<HostName>([], edges);
  return ordered.kind === "ordered"
    ? null
    : `its edges close a cycle: ${ordered.cycle.join(" → ")}`;
}

async function readPart(
  read: ReadFile,
  file: string,
  digest: { length: number; sha256: string },
): Read<Uint8Array> {
  const bytes = await readBytes(read, file);
  if (!bytes.ok) return bytes;
  if (bytes.value.length !== digest.length) {
    const reason = `has ${bytes.value.length} bytes, expected ${digest.length}`;
    return problem("wrong-length-or-hash", file, reason);
  }
  if (sha256(bytes.value) === digest.sha256) return bytes;
  return problem("wrong-length-or-hash", file, "its bytes are not those that the head names");
}

async function readBytes(read: ReadFile, file: string): Read<Uint8Array> {
  try {
    const bytes = await read(file);
    if (bytes === null) return problem("missing", file, "is not there");
    if (bytes.length <= RELEASE_FILE_BYTES_MAX) return ok(bytes);
    return problem("malformed", file, `has more than ${RELEASE_FILE_BYTES_MAX} bytes`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return problem("unreadable", file, `could not be read: ${why}`);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode<T>(
  schema: z.ZodType<T>,
  file: string,
  bytes: Uint8Array,
): Result<T, ReleaseProblem> {
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch {
    return problem("malformed", file, "is not JSON in UTF-8");
  }
  const decoded = schema.safeParse(json);
  return decoded.success
    ? ok(decoded.data)
    : problem("malformed", file, sentence(decoded.error, "content"));
}
