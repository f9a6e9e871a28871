import { join } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import Database from "better-sqlite3";

export interface ProcessLock {
  readonly release: () => void;
}

/**
 * At most one writing process per data directory. An exclusive transaction on a file of its own, because the kernel
 * drops it with the process, whatever kills that; a file with a process id in it would outlive a kill -9.
 */
export function lockDataDir(dataDir: string): Result<ProcessLock, string> {
  const path = join(dataDir, "cp.lock");
  try {
    const lock = new Database(path, { timeout: 0 });
    try {
      lock.pragma("journal_mode = DELETE");
      lock.exec("BEGIN EXCLUSIVE");
    } catch (cause) {
      lock.close();
      throw cause;
    }
    return ok({ release: () => lock.close() });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    return err(
      code.startsWith("SQLITE_BUSY")
        ? `${dataDir}: another nixwave-cp works on this data directory. Stop it first, or name another with --data.`
        : `${path}: the lock file can't be written (${code}). Make the data directory writable for this user.`,
    );
  }
}
