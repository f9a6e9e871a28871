import { isIP } from "node:net";
import { join } from "node:path";
import { invariant } from "@nixwave/effects";
import type { FastifyInstance, FastifyServerFactory } from "fastify";
import { Registry } from "prom-client";
import type { ServeConfig } from "../config.ts";
import type { FleetTrust } from "../fleetTrust.ts";
import { sqliteLog } from "../log/sqliteLog.ts";
import type { Writer } from "../loop.ts";
import { archiveDir } from "../maintenance/archive.ts";
import { databaseGauge } from "../perform/databaseMetrics.ts";
import { repositoryGauges } from "../perform/repositoryMetrics.ts";
import { openTrusted } from "../repository/open.ts";
import { mirrorOf, type TrustedRepository } from "../repository/trustedRepository.ts";
import { createServer } from "../server.ts";
import { type Connection, databasePath, openDatabase, openReadOnly } from "../store/database.ts";
import { openReader, type Reader } from "../store/reader.ts";
import { checkpointsOf } from "../store/snapshot.ts";
import { agentHandlers } from "./agentHandlers.ts";
import { InFlight } from "./inFlight.ts";
import { LOOPBACK_DOOR } from "./loopbackDoor.ts";
import { directoryFiles, type MirroredFiles } from "./mirroredFiles.ts";
import { type Around, openWriter } from "./openWriter.ts";
import { operatorActions } from "./operatorActions.ts";
import { operatorReads } from "./operatorReads.ts";
import { ParkedPolls } from "./parkedPolls.ts";
import { publicHandlers } from "./publicHandlers.ts";
import { RateLimit } from "./rateLimit.ts";
import { ReleaseWatch } from "./release.ts";
import { Retention } from "./retention.ts";
import { followRevocations } from "./revokedHosts.ts";
import { StreamReaders } from "./streamReaders.ts";
import { openTls, type TlsListener } from "./tlsListener.ts";
import { type TlsParts, tlsParts } from "./tlsParts.ts";
import { unitLogShelf } from "./unitLogShelf.ts";
import { UnitLogs } from "./unitLogs.ts";
import type { WorldPorts } from "./world.ts";

/** A control plane that serves. */
export interface ControlPlane {
  readonly url: string;
  readonly server: FastifyInstance;
  readonly writer: Writer;
  readonly watch: ReleaseWatch;
  readonly repository: TrustedRepository;
  /** Refuses new work, answers parked polls with 204, decides and commits what was taken, closes; within STOP_MS. */
  readonly stop: () => Promise<void>;
}

/** 16 KiB each; more sockets than this take more file descriptors than a process usually has. */
const PARKED_MAX = 10_000;
/** A fleet that comes back all at once after a restart finds a place to wait; the system cuts it to its own limit. */
const BACKLOG = 4096;
/** The whole stop has ten seconds: a client that takes its answer or sends its body more slowly than this is cut off. */
const ANSWERS_WAITED_MS = 8000;

const over = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });

interface Parts extends WorldPorts {
  readonly writer: Writer;
  readonly reader: Reader;
  readonly polls: ParkedPolls;
  readonly mirrored: MirroredFiles;
  readonly watch: ReleaseWatch;
  readonly repository: TrustedRepository;
  readonly metrics: () => Promise<string>;
  readonly stopping: () => boolean;
  readonly inFlight: InFlight;
  readonly streams: StreamReaders;
  readonly unitLogDir: string;
  readonly tls: TlsParts | null;
  readonly listener: FastifyServerFactory | null;
}

/** What keeps it from serving well, for /readyz. */
function missing({ writer, watch, tls }: Parts): string | null {
  if (writer.storeFailed()) {
    return "The database can't be written: free space on its disk or make it writable; it goes on by itself then.";
  }
  return tls?.problem() ?? watch.problem;
}

function serverOf(parts: Parts): FastifyInstance {
  const { writer, reader, clock } = parts;
  const { submit } = writer;
  const unitLogs = new UnitLogs(unitLogShelf(parts.unitLogDir, parts.log));
  const agent = {
    ...agentHandlers({ ...parts, submit, unitLogs, limit: new RateLimit() }),
    ...(parts.tls === null ? {} : { renewCertificate: parts.tls.enrolment.renewCertificate }),
  };
  const operator = {
    ...operatorReads({ ...parts, unitLogs }),
    ...operatorActions({ submit, writer, reader, clock }),
  };
  const openHandlers = {
    ...publicHandlers(() => missing(parts)),
    ...(parts.tls === null ? {} : { enroll: parts.tls.enrolment.enroll }),
  };
  const handlers = { agent, operator, public: openHandlers };
  return createServer({ ...parts, handlers, door: parts.tls?.door ?? LOOPBACK_DOOR });
}

/** Over TLS by the name that the certificate has; else by the address. */
function urlOf({ tls, listen }: ServeConfig, { server }: FastifyInstance): string {
  const address = server.address();
  invariant(address !== null && typeof address !== "string", "it listens on an address");
  const name = tls?.name ?? listen.host;
  const host = isIP(name) === 6 ? `[${name}]` : name;
  return `${tls === null ? "http" : "https"}://${host}:${address.port}`;
}

/** Over a connection of its own that can only read: what it takes away goes through the writer. */
function openRetention({ dataDir, logRetention }: ServeConfig, writer: Writer, world: WorldPorts) {
  const retained = openReadOnly(databasePath(dataDir));
  const retention = new Retention({
    ...world,
    keep: logRetention,
    log: sqliteLog(retained),
    checkpoints: () => checkpointsOf(retained),
    archiveDir: archiveDir(dataDir),
    submit: writer.submit,
    logger: world.log,
  });
  return { retention, retained };
}

/** The writer, and who reads along what it commits. */
async function openStreams(
  db: Connection,
  { reader, ...around }: Omit<Around, "committed"> & { readonly reader: Reader },
): Promise<{ readonly writer: Writer; readonly streams: StreamReaders }> {
  let streams: StreamReaders | null = null;
  const writer = await openWriter(db, {
    ...around,
    committed: (_, rollouts) => streams?.committed(rollouts),
  });
  streams = new StreamReaders({
    ...around.world,
    fleet: () => writer.fleet(),
    newest: () => writer.logHead()?.offset ?? null,
    reader,
  });
  return { writer, streams };
}

/** With the gauges that are read off the disk and the repository. */
function registryOf(database: string, repository: TrustedRepository, { clock }: WorldPorts) {
  const registry = new Registry();
  databaseGauge(registry, database);
  repositoryGauges(registry, { repository, clock });
  return registry;
}

/** Who comes in, and whom the signed list keeps out. */
function openIdentity(listener: TlsListener | null, around: Parameters<typeof tlsParts>[1]) {
  const tls = listener === null ? null : tlsParts(listener, around);
  const unfollow = followRevocations(around.fleetTrust, around);
  const closeIdentity = (): void => {
    unfollow();
    tls?.close();
  };
  return { tls, closeIdentity };
}

const watchOf = (repository: TrustedRepository, writer: Writer, world: WorldPorts) =>
  new ReleaseWatch({
    ...world,
    source: repository,
    fingerprint: () => repository.fingerprint(),
    submit: writer.submit,
    known: () => writer.fleet().channels(),
    wantsHeld: () => writer.wantsHeld(),
  });

/**
 * Opens the database, listens, reads the releases. Whoever calls holds the data directory's lock. `standIn`: a test's, for the
 * signed files of a repository.
 */
export async function startControlPlane(
  config: ServeConfig,
  world: WorldPorts,
  standIn: FleetTrust | null = null,
): Promise<ControlPlane> {
  const repository = await openTrusted(config, world);
  const inFlight = new InFlight();
  const listener =
    config.tls === null ? null : await openTls(config.tls, config.dataDir, { ...world, inFlight });
  const path = databasePath(config.dataDir);
  const db = openDatabase(path);
  const reader = openReader(path);
  const polls = new ParkedPolls(PARKED_MAX);
  const registry = registryOf(path, repository, world);
  const { writer, streams } = await openStreams(db, { polls, registry, world, reader });
  const watch = watchOf(repository, writer, world);
  const { retention, retained } = openRetention(config, writer, world);
  const fleetTrust = standIn ?? repository;
  const around = { ...world, submit: writer.submit, database: path, registry, fleetTrust };
  const { tls, closeIdentity } = openIdentity(listener, around);
  let stopping: Promise<void> | null = null;
  const server = serverOf({
    ...world,
    writer,
    reader,
    polls,
    repository,
    mirrored: directoryFiles(mirrorOf(config.dataDir)),
    watch,
    metrics: () => registry.metrics(),
    stopping: () => stopping !== null,
    inFlight,
    streams,
    unitLogDir: join(config.dataDir, "unit-logs"),
    tls,
    listener: listener?.factory ?? null,
  });
  const halt = async (): Promise<void> => {
    polls.stop();
    streams.stop();
    await Promise.all([watch.stop(), retention.stop()]);
    // Everything taken is decided, committed and answered before a connection is closed (hazard 79).
    await writer.stop();
    const closed = server.close();
    await Promise.race([inFlight.none(), over(ANSWERS_WAITED_MS)]);
    server.server.closeAllConnections();
    await closed;
    reader.close();
    retained.close();
    closeIdentity();
    db.close();
    world.log.log("info", "stopped", {});
  };
  const stop = (): Promise<void> => {
    stopping ??= halt();
    return stopping;
  };
  try {
    await retention.start();
    await server.listen({ ...config.listen, backlog: BACKLOG });
    const url = urlOf(config, server);
    world.log.log("info", "listening", { url, pid: process.pid, data: path });
    await watch.start();
    return { url, server, writer, watch, repository, stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}
