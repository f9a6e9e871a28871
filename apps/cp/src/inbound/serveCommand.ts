import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { RepositoryConfig, ServeConfig } from "../config.ts";
import { archiveDir } from "../maintenance/archive.ts";
import { recover } from "../maintenance/recover.ts";
import { openTrusted } from "../repository/open.ts";
import { sayPlace } from "../repository/place.ts";
import { trustOf } from "../repository/trustedRepository.ts";
import { databasePath } from "../store/database.ts";
import type { TlsConfig } from "../tlsConfig.ts";
import type { CommandPorts } from "./commands.ts";
import { type ControlPlane, startControlPlane } from "./controlPlane.ts";
import { holdOut } from "./holdOut.ts";
import { lockDataDir } from "./processLock.ts";
import { removeReadyFile, writeReadyFile } from "./readyFile.ts";
import type { WorldPorts } from "./world.ts";

function folderFault(dir: string, mode: number): string | null {
  try {
    if (!statSync(dir).isDirectory()) return "it is no directory";
    accessSync(dir, mode);
    return null;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    // A mount that is read-only at the moment is waited for (holdOut.ts).
    if (code === "EROFS") return null;
    return code === "ENOENT" ? "there is none" : `it can't be used (${code})`;
  }
}

/** One sentence about the first thing that is missing and what to do, or null (hazard 99). */
export function preflight({ dataDir, repository, recover: recovers }: ServeConfig): string | null {
  // A recovery makes the folder and the database that were lost.
  const dataFault = recovers ? null : folderFault(dataDir, constants.W_OK);
  if (dataFault !== null) {
    return `Data directory ${dataDir}: ${dataFault}. Make the database of a new fleet with nixwave-cp init --data ${dataDir}.`;
  }
  return repositoryFault(dataDir, repository);
}

function repositoryFault(dataDir: string, { place, rootFile }: RepositoryConfig): string | null {
  if (rootFile === null && !existsSync(join(trustOf(dataDir), "root.json"))) {
    return `No root: add --root with the root.json that nixwave init made, or "root" to the config file. It is needed once, and then remembered in ${trustOf(dataDir)}.`;
  }
  const rootFault = rootFile === null ? null : fileFault(rootFile);
  if (rootFault !== null) return `--root ${rootFile}: ${rootFault}.`;
  if (place.kind !== "directory") return null;
  const fault = folderFault(place.directory, constants.R_OK);
  if (fault === null) return null;
  return `Repository ${place.directory}: ${fault}. Make it with nixwave init.`;
}

/** Its content is looked at by who verifies from it. */
function fileFault(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return null;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    return `it can't be read (${code}); expected the root.json that nixwave init made`;
  }
}

export const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

/** The empty database of a fleet whose control plane was lost, its dispatches held back until the hosts were heard. */
async function beginRecovery(config: ServeConfig, { clock, log }: WorldPorts) {
  const { dataDir } = config;
  const repository = await openTrusted(config, { clock, log });
  await repository.fingerprint();
  const channels = await repository.channels();
  if (!channels.ok) throw new Error(`${channels.error.reason}. Mend the repository.`);
  const { began } = recover(dataDir, { channels: channels.value, now: clock.now() });
  if (began) return;
  log.log("warn", "the database has a log already: a recovery that was begun goes on", { dataDir });
}

function startFault(cause: unknown, { listen: { host, port } }: ServeConfig): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  return code === "EADDRINUSE" || code === "EADDRNOTAVAIL"
    ? `--listen ${host}:${port}: the address can't be had (${code}). Stop what uses it, or choose another with --listen.`
    : messageOf(cause);
}

async function serveUntilStopped(
  config: ServeConfig,
  { world, told }: Served,
): Promise<string | null> {
  let plane: ControlPlane;
  try {
    if (config.recover) await beginRecovery(config, world);
    plane = await startControlPlane(config, world);
  } catch (cause) {
    return startFault(cause, config);
  }
  const { readyFile } = config;
  try {
    if (readyFile !== null) writeReadyFile(readyFile, plane.url);
    world.log.log("info", "stopping", { why: await told });
    return null;
  } catch (cause) {
    return `--ready-file ${readyFile}: it can't be written (${messageOf(cause)}). Name another file.`;
  } finally {
    if (readyFile !== null) removeReadyFile(readyFile);
    await plane.stop();
  }
}

interface Served {
  readonly world: WorldPorts;
  /** Resolves with the signal that told it to stop. */
  readonly told: Promise<string>;
}

/** Serves until told to stop; null then, or the sentence that says why it did not serve. */
export async function serve(config: ServeConfig, ports: CommandPorts): Promise<string | null> {
  const fault = preflight(config);
  if (fault !== null) return fault;
  if (config.recover) mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const world = ports.world();
  // Listened for from the start: a signal while it starts is not lost, and stops it once it has.
  const told = ports.toldToStop();
  try {
    const { dataDir: dir } = config;
    // Over TLS there is no pair to answer with: who knocks is not let in, and comes again.
    const listen = config.tls === null ? config.listen : null;
    if (!(await holdOut({ dir, listen, told }, world))) return null;
  } catch (cause) {
    return startFault(cause, config);
  }
  const lock = lockDataDir(config.dataDir);
  if (!lock.ok) return lock.error;
  try {
    return await serveUntilStopped(config, { world, told });
  } finally {
    lock.value.release();
  }
}

function sayTls(tls: TlsConfig | null): readonly string[] {
  if (tls === null) return [];
  const { authority, server, allowTokenAdmin } = tls;
  const ca = {
    own: "made at the first start, in the data directory",
    key: "the given certificate and key",
    command: "the given certificate; a command signs",
  } as const satisfies Record<typeof authority.kind, string>;
  return [
    `ca         ${ca[authority.kind]}`,
    `server     ${server.kind === "own" ? `a certificate of the CA for ${server.names.join(", ")}, renewed by itself` : `${server.certFile}, read again each hour`}`,
    `admins     ${allowTokenAdmin ? "by certificate or token" : "by certificate only"}`,
  ];
}

export function sayConfig({
  dataDir: data,
  repository: { place, rootFile },
  listen,
  tls,
  recover,
  readyFile,
  logRetention: { secs, bytes },
}: ServeConfig): string {
  return [
    `data       ${databasePath(data)}`,
    `repository ${sayPlace(place)}`,
    `root       ${rootFile ?? `the one remembered in ${trustOf(data)}`}`,
    `listen     ${listen.host}:${listen.port}, ${tls === null ? "without TLS" : `TLS 1.3 as ${tls.name}`}`,
    ...sayTls(tls),
    `recover    ${recover ? "yes: dispatches wait until the hosts were heard and replayed" : "no"}`,
    `ready file ${readyFile ?? "none"}`,
    `log        ${secs / 86_400} days or ${bytes / 2 ** 30} GiB, then ${archiveDir(data)}`,
    "",
  ].join("\n");
}
