import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { addSecs } from "@nixwave/effects";
import { PROBLEM_MEDIA_TYPE, problem } from "@nixwave/protocol";
import type { WorldPorts } from "./world.ts";

/** As much as an open database needs beside its file: SQLite's shared memory, and the first pages of its WAL. */
const ROOM_BYTES = 256 * 1024;
const TRY_AGAIN_SECS = 1;
/** Time mends these, or a person who frees or remounts; anything else is a mistake in the settings. */
const PASSING: readonly string[] = ["EROFS", "ENOSPC", "EDQUOT"];

/** Why the directory can't be written at the moment, if that may pass by itself; null if it can, or if it never will. */
function passingTrouble(dir: string): string | null {
  let scratch: string | null = null;
  try {
    scratch = mkdtempSync(join(dir, ".room-"));
    writeFileSync(join(scratch, "room"), Buffer.alloc(ROOM_BYTES, 1), { flush: true });
    return null;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    return PASSING.includes(code) ? code : null;
  } finally {
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
  }
}

interface Door {
  readonly dir: string;
  readonly listen: { readonly host: string; readonly port: number } | null;
  readonly told: Promise<string>;
}

/**
 * Stands at the door while the data directory can't be written: one line that names it, 503 to everyone, and on as soon as
 * there is room, without a restart. True if it may go on, false if it was told to stop.
 */
export async function holdOut({ dir, listen, told }: Door, world: WorldPorts): Promise<boolean> {
  const trouble = passingTrouble(dir);
  if (trouble === null) return true;
  world.log.log("error", `${dir} can't be written (${trouble}): nothing is accepted until it can`, {
    target: "store",
    path: dir,
  });
  const server = listen === null ? null : await refuseAll(dir, listen);
  const may = await Promise.race([roomIn(dir, world), told.then(() => false)]);
  if (server !== null) await closed(server);
  if (may) world.log.log("info", `${dir} can be written again`, { target: "store", path: dir });
  return may;
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

function refuseAll(dir: string, { host, port }: NonNullable<Door["listen"]>): Promise<Server> {
  const sentence = `${dir} can't be written: nothing was stored. Free space there or make it writable.`;
  const body = JSON.stringify(problem("not-stored", sentence));
  const server = createServer((request, response) => {
    request.resume();
    const headers = { "content-type": PROBLEM_MEDIA_TYPE, "retry-after": "5", connection: "close" };
    response.writeHead(503, headers).end(body);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}

async function roomIn(dir: string, { clock, timer }: WorldPorts): Promise<boolean> {
  while (passingTrouble(dir) !== null) {
    await new Promise<void>((resolve) => {
      timer.at(addSecs(clock.now(), TRY_AGAIN_SECS), resolve);
    });
  }
  return true;
}
