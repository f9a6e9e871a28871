import { accessSync, constants, statSync } from "node:fs";
import { err, ok, type Result } from "@nixwave/effects";
import {
  type ConfigFile,
  loadConfigFile,
  resolveServe,
  type ServeConfig,
  type ServeFlags,
} from "../config.ts";
import { check, isClean, sayChecked } from "../maintenance/check.ts";
import { init } from "../maintenance/init.ts";
import { rebuild } from "../maintenance/rebuild.ts";
import { databasePath, openDatabase, openReadOnly } from "../store/database.ts";
import type { Commands, DataFlags } from "./argv.ts";
import { type ControlPlane, startControlPlane, type WorldPorts } from "./controlPlane.ts";
import { lockDataDir } from "./processLock.ts";
import { removeReadyFile, writeReadyFile } from "./readyFile.ts";

export interface CommandPorts {
  readonly world: () => WorldPorts;
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  /** Resolves when the process is told to stop. */
  readonly toldToStop: () => Promise<string>;
}

type Flags = ServeFlags & { readonly config?: string | undefined };

function withFile<T>(
  flags: { readonly config?: string | undefined },
  go: (file: ConfigFile) => Result<T, string>,
): Result<T, string> {
  const file = loadConfigFile(flags.config);
  return file.ok ? go(file.value) : file;
}

const serveConfig = (flags: Flags): Result<ServeConfig, string> =>
  withFile(flags, (file) => resolveServe(flags, file));

const dataDir = (flags: DataFlags): Result<string, string> =>
  withFile(flags, ({ data }) => {
    const dir = flags.data ?? data;
    return dir === undefined
      ? err('No data directory: add --data DIR, or "data" to the file of --config.')
      : ok(dir);
  });

function folderFault(dir: string, mode: number): string | null {
  try {
    if (!statSync(dir).isDirectory()) return "it is no directory";
    accessSync(dir, mode);
    return null;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    return code === "ENOENT" ? "there is none" : `it can't be used (${code})`;
  }
}

/** One sentence about the first thing that is missing and what to do, or null (hazard 99). */
export function preflight({ dataDir: data, releasesDir }: ServeConfig): string | null {
  const dataFault = folderFault(data, constants.W_OK);
  if (dataFault !== null) {
    return `Data directory ${data}: ${dataFault}. Make the database of a new fleet with nixwave-cp init --data ${data}.`;
  }
  const releasesFault = folderFault(releasesDir, constants.R_OK);
  if (releasesFault !== null) {
    return `Release directory ${releasesDir}: ${releasesFault}. Make it with mkdir, or write a release there with nixwave release.`;
  }
  return null;
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

/** Runs until told to stop. */
async function serveUntilStopped(config: ServeConfig, ports: CommandPorts): Promise<number> {
  const world = ports.world();
  // Listened for from the start: a signal while it starts is not lost, and stops it once it has.
  const told = ports.toldToStop();
  let plane: ControlPlane;
  try {
    plane = await startControlPlane(config, world);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : null;
    const { host, port } = config.listen;
    ports.writeErr(
      code === "EADDRINUSE" || code === "EADDRNOTAVAIL"
        ? `--listen ${host}:${port}: the address can't be had (${code}). Stop what uses it, or choose another with --listen.\n`
        : `${messageOf(cause)}\n`,
    );
    return 1;
  }
  if (config.readyFile !== null) writeReadyFile(config.readyFile, plane.url);
  const why = await told;
  world.log.log("info", "stopping", { why });
  if (config.readyFile !== null) removeReadyFile(config.readyFile);
  await plane.stop();
  return 0;
}

function sayConfig({
  dataDir: data,
  releasesDir,
  listen,
  recover,
  readyFile,
}: ServeConfig): string {
  return [
    `data       ${databasePath(data)}`,
    `releases   ${releasesDir}`,
    `listen     ${listen.host}:${listen.port}, without TLS`,
    `recover    ${recover ? "yes: dispatches wait until the hosts were heard and replayed" : "no"}`,
    `ready file ${readyFile ?? "none"}`,
    "",
  ].join("\n");
}

/** The commands over this machine. Each error is one sentence on stderr and exit code 1. */
export function createCommands(ports: CommandPorts): Commands {
  const fail = (sentence: string): number => {
    ports.writeErr(`${sentence}\n`);
    return 1;
  };
  const say = (...lines: readonly string[]): void => ports.writeOut(`${lines.join("\n")}\n`);

  /** With the data directory to itself where it writes. */
  const onData = (
    flags: DataFlags,
    { locks }: { readonly locks: boolean },
    act: (dir: string) => number,
  ): number => {
    const dir = dataDir(flags);
    if (!dir.ok) return fail(dir.error);
    const lock = locks ? lockDataDir(dir.value) : null;
    if (lock !== null && !lock.ok) return fail(lock.error);
    try {
      return act(dir.value);
    } catch (cause) {
      return fail(messageOf(cause));
    } finally {
      if (lock !== null && lock.ok) lock.value.release();
    }
  };

  return {
    init: async (flags) =>
      onData(flags, { locks: false }, (dir) => {
        say(
          `made ${init(dir).path}`,
          `next: nixwave-cp serve --data ${dir} --releases DIR --insecure-loopback`,
        );
        return 0;
      }),
    serve: async (flags) => {
      const config = serveConfig(flags);
      if (!config.ok) return fail(config.error);
      const fault = preflight(config.value);
      if (fault !== null) return fail(fault);
      const lock = lockDataDir(config.value.dataDir);
      if (!lock.ok) return fail(lock.error);
      try {
        return await serveUntilStopped(config.value, ports);
      } finally {
        lock.value.release();
      }
    },
    checkConfig: async (flags) => {
      const config = serveConfig(flags);
      if (!config.ok) return fail(config.error);
      ports.writeOut(sayConfig(config.value));
      const fault = preflight(config.value);
      return fault === null ? 0 : fail(fault);
    },
    check: async (flags) =>
      onData(flags, { locks: false }, (dir) => {
        const db = openReadOnly(databasePath(dir));
        try {
          const checked = check(db);
          say(...sayChecked(checked));
          return isClean(checked) ? 0 : 1;
        } finally {
          db.close();
        }
      }),
    rebuild: async (flags) =>
      onData(flags, { locks: true }, (dir) => {
        const db = openDatabase(databasePath(dir));
        try {
          say(`rebuilt the derived tables from ${rebuild(db).lines} lines of the log`);
          return 0;
        } finally {
          db.close();
        }
      }),
  };
}
