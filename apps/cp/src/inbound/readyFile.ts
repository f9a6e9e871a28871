import { renameSync, rmSync, writeFileSync } from "node:fs";

/** Written beside and renamed into place, so that whoever waits for the file never reads half of it. */
export function writeReadyFile(path: string, url: string): void {
  const beside = `${path}.${process.pid}.tmp`;
  writeFileSync(beside, `${url}\n`);
  renameSync(beside, path);
}

export const removeReadyFile = (path: string): void => rmSync(path, { force: true });
