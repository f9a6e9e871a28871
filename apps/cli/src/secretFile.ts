import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Refusal, systemCode } from "./refusal.ts";
import type { Surroundings } from "./surroundings.ts";

const OPEN_TO_OTHERS = 0o077;

/**
 * A file that nobody else may read. Secrets come from files and terminals only: argv is everybody's to see. Mode and content of the same
 * open file, so that none is put between the look and the reading.
 */
export function fileSecretly(
  { cwd }: Pick<Surroundings, "cwd">,
  option: string,
  file: string,
): string {
  try {
    const handle = openSync(resolve(cwd, file), "r");
    try {
      const { mode } = fstatSync(handle);
      if ((mode & OPEN_TO_OTHERS) === 0) return readFileSync(handle, "utf8");
      const octal = (mode & 0o777).toString(8).padStart(4, "0");
      throw new Refusal(
        `${option} ${file}: mode ${octal} lets others read it, expected 0600: chmod 600 ${file}`,
      );
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    if (cause instanceof Refusal) throw cause;
    throw new Refusal(`${option} ${file} can't be read (${systemCode(cause)}).`);
  }
}

/** Its first line. */
export function secretIn(
  surroundings: Pick<Surroundings, "cwd">,
  option: string,
  file: string,
): string {
  const line = fileSecretly(surroundings, option, file).split(/\r?\n/)[0] ?? "";
  if (line !== "") return line;
  throw new Refusal(`${option} ${file}: its first line is empty.`);
}
