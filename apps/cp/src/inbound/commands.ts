import { userInfo } from "node:os";
import { err, ok, type Result } from "@nixwave/effects";
import { Registry } from "prom-client";
import {
  type ConfigFile,
  loadConfigFile,
  resolveServe,
  type ServeConfig,
  type ServeFlags,
} from "../config.ts";
import { archiveDir, checkArchives, sayArchives } from "../maintenance/archive.ts";
import { backup, restore } from "../maintenance/backup.ts";
import { besideBackup, besideRestored } from "../maintenance/besideBackup.ts";
import { check, isClean, sayChecked, sinceCheckpoint } from "../maintenance/check.ts";
import { beginning } from "../maintenance/foldLog.ts";
import { init } from "../maintenance/init.ts";
import { rebuild } from "../maintenance/rebuild.ts";
import { type Connection, databasePath, openDatabase, openReadOnly } from "../store/database.ts";
import type { Commands, DataFlags } from "./argv.ts";
import { granted } from "./granted.ts";
import { openWriter } from "./openWriter.ts";
import { operatorCommands, operatorProgram, type Said } from "./operatorCommands.ts";
import { ParkedPolls } from "./parkedPolls.ts";
import { lockDataDir } from "./processLock.ts";
import { messageOf, preflight, sayConfig, serve } from "./serveCommand.ts";
import type { WorldPorts } from "./world.ts";

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

/** What a maintenance command says when it is done. It throws a sentence where it can't. */
type Act = (dataDir: string) => Promise<readonly string[]> | readonly string[];

async function withDatabase<T>(
  db: Connection,
  act: (db: Connection) => T | Promise<T>,
): Promise<T> {
  try {
    return await act(db);
  } finally {
    db.close();
  }
}

/** Found wrong, and already said on stdout. */
class FoundWrong extends Error {
  override readonly name = "FoundWrong";
}

async function checkLines(
  dataDir: string,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const { checked, begins } = await withDatabase(openReadOnly(databasePath(dataDir)), (db) => ({
    checked: check(db),
    begins: beginning(db),
  }));
  for (const line of sayChecked(checked)) say(line);
  const archives = await checkArchives(archiveDir(dataDir), begins);
  for (const line of sayArchives(archives, begins.offset)) say(line);
  if (!isClean(checked) || archives.faults.length > 0) throw new FoundWrong();
  return [];
}

/** Through the writer, as everything that changes a fleet; the control plane itself is stopped meanwhile. */
async function resume(
  dataDir: string,
  reason: string,
  world: WorldPorts,
): Promise<readonly string[]> {
  return withDatabase(openDatabase(databasePath(dataDir)), async (db) => {
    const around = {
      polls: new ParkedPolls(0),
      registry: new Registry(),
      world,
      committed: () => undefined,
    };
    const writer = await openWriter(db, around);
    const by = userInfo().username;
    const answer = await writer.submit<"ResumeAfterRestore">({
      kind: "ResumeAfterRestore",
      by,
      reason,
    });
    await writer.stop();
    granted(answer);
    return ["the gate replay is open on all channels; nixwave-cp serve goes on from here"];
  });
}

/** What every command has in common: where it works, what it says, and the exit code. */
function answering(ports: CommandPorts) {
  const say = (line: string): void => ports.writeOut(`${line}\n`);
  const fail = (sentence: string): number => {
    ports.writeErr(`${sentence}\n`);
    return 1;
  };
  const answer = async (dir: string, act: Act): Promise<number> => {
    try {
      for (const line of await act(dir)) say(line);
      return 0;
    } catch (cause) {
      return cause instanceof FoundWrong ? 1 : fail(messageOf(cause));
    }
  };
  const reads = async (flags: DataFlags, act: Act): Promise<number> => {
    const dir = dataDir(flags);
    return dir.ok ? answer(dir.value, act) : fail(dir.error);
  };
  /** With the data directory to itself. */
  const writes = (flags: DataFlags, act: Act): Promise<number> =>
    reads(flags, async (dir) => {
      const lock = lockDataDir(dir);
      if (!lock.ok) throw new Error(lock.error);
      try {
        return await act(dir);
      } finally {
        lock.value.release();
      }
    });
  const about = (flags: DataFlags, act: (dir: string) => Promise<Said>): Promise<number> =>
    reads(flags, async (dir) => {
      const { secret, lines } = await act(dir);
      if (secret === null) return lines;
      for (const line of lines) ports.writeErr(`${line}\n`);
      return [secret];
    });
  return { say, fail, reads, writes, about };
}

/** The commands over this machine. Each error is one sentence on stderr and exit code 1. */
export function createCommands(ports: CommandPorts): Commands {
  const { say, fail, reads, writes, about } = answering(ports);
  const configured = async (flags: Flags, go: (config: ServeConfig) => Promise<string | null>) => {
    const config = serveConfig(flags);
    const fault = config.ok ? await go(config.value) : config.error;
    return fault === null ? 0 : fail(fault);
  };

  return {
    ...operatorProgram(operatorCommands(ports.world), about),
    init: (flags) =>
      reads(flags, (dir) => [
        `made ${init(dir, ports.world().clock.now()).path}`,
        `next: nixwave-cp serve --data ${dir} --repository DIR --root FILE`,
      ]),
    serve: (flags) => configured(flags, (config) => serve(config, ports)),
    checkConfig: (flags) =>
      configured(flags, async (config) => {
        ports.writeOut(sayConfig(config));
        return preflight(config);
      }),
    check: (flags) => reads(flags, (dir) => checkLines(dir, say)),
    rebuild: (flags) =>
      writes(flags, (dir) =>
        withDatabase(openDatabase(databasePath(dir)), (db) => {
          const rebuilt = rebuild(db);
          return [
            `rebuilt the derived tables from ${rebuilt.lines} lines of the log${sinceCheckpoint(rebuilt)}`,
          ];
        }),
      ),
    backup: (file, flags) =>
      reads(flags, (dir) => [`wrote ${backup(dir, file).path}`, ...besideBackup(dir)]),
    restore: (file, flags) =>
      reads(flags, (dir) => {
        const { path, channels } = restore(dir, file, ports.world().clock.now());
        return [
          `restored ${path}: dispatches of ${channels} channels wait until their hosts were heard`,
          "what operators did since the backup is lost, quarantines that they lifted or freezes among it",
          "tokens and operators' certificates that were revoked since are in force again: nixwave-cp token list",
          ...besideRestored(dir),
          `next: nixwave-cp serve --data ${dir} --repository DIR --root FILE`,
        ];
      }),
    resumeAfterRestore: (flags) => writes(flags, (dir) => resume(dir, flags.reason, ports.world())),
  };
}
