import { type ClosureHash, ok, type Result } from "@nixwave/effects";
import type { Activation, Obstacle } from "./activation.ts";
import { COPY } from "./directoryScript.ts";
import { type DirectoryShell, endText, SHELL_TIMEOUT_MS } from "./directoryShell.ts";

/** Copying ends when the worker's time is over; this only limits a worker that was forgotten. */
const COPY_TIMEOUT_MS = 6 * 3_600_000;

/** Having a closure is having its folder, complete: a copy gets its name only when it is done. */
export function directoryRealise(shell: DirectoryShell): Pick<Activation, "preflight" | "realise"> {
  const { closures, root, cache } = shell.config;
  const { disk } = shell.ports;

  const present = async (closure: ClosureHash, signal: AbortSignal): Promise<boolean> => {
    const argv = ["test", "-x", shell.program(closure)];
    const { end } = await shell.run(argv, SHELL_TIMEOUT_MS, signal);
    return end.kind === "exited" && end.code === 0;
  };

  return {
    preflight: async (closure) => {
      if (cache === null) return ok(null);
      const { end, stdout } = await shell.run(
        ["du", "-sk", `${cache}/${closure}`],
        SHELL_TIMEOUT_MS,
      );
      // What is not in the cache needs no room; realising says so in its own words.
      if (end.kind !== "exited" || end.code !== 0) return ok(null);
      const neededBytes = Number.parseInt(stdout, 10) * 1024;
      const freeBytes = disk.freeBytes(closures);
      if (freeBytes === null || freeBytes >= neededBytes) return ok(null);
      return obstacle(
        `${closures} has ${freeBytes} bytes free, and the closure ${closure} needs ${neededBytes}`,
      );
    },
    // Folders have no digest to compare: this backend is for demos, where nobody else fills the cache.
    realise: async ({ closure }, signal) => {
      if (await present(closure, signal)) return ok(null);
      const to = shell.closurePath(closure);
      if (cache === null) return obstacle(`${shell.program(closure)} is not there`);
      // Several hosts of a demo share the folder of closures, and each must have its own half-made copy.
      const beside = `${closures}/.realising-${closure}-${root.replaceAll("/", "_").slice(-32)}`;
      const copy = ["sh", "-c", COPY, "copy", `${cache}/${closure}`, beside, to];
      const { end, stderr } = await shell.run(copy, COPY_TIMEOUT_MS, signal);
      if (await present(closure, signal)) return ok(null);
      return obstacle(`copying ${cache}/${closure} to ${to}: ${stderr.trim() || endText(end)}`);
    },
  };
}

const obstacle = (message: string): Result<null, Obstacle> => ({
  ok: false,
  error: { final: false, message },
});
