import { spawn } from "node:child_process";
import type { Process, RunEnd, RunResult } from "../ports.ts";

/** The last so many bytes of a stream, whatever comes. */
class Tail {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#bytes - first.length < this.#bytesMax) break;
      this.#chunks.shift();
      this.#bytes -= first.length;
    }
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#bytesMax).toString("utf8");
  }
}

/** How long a killed group may keep its pipes open before the result is given without them. */
const DRAIN_MS = 1000;

export const systemProcess: Process = {
  run: (argv, { cwd, env, timeoutMs, outputBytesMax, signal }) =>
    new Promise<RunResult>((resolve) => {
      const [file = "", ...args] = argv;
      const stdout = new Tail(outputBytesMax);
      const stderr = new Tail(outputBytesMax);
      const done = (end: RunEnd): void => {
        clearTimeout(late);
        clearTimeout(drained);
        signal?.removeEventListener("abort", abort);
        resolve({ end, stdout: stdout.text(), stderr: stderr.text() });
      };
      // A group of its own, so that whatever the child has started dies with it (hazard 60).
      const child = spawn(file, args, {
        cwd,
        env: env === undefined ? process.env : { ...env },
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
      });
      let forced: RunEnd | null = null;
      let drained: NodeJS.Timeout | undefined;
      const kill = (end: RunEnd): void => {
        forced ??= end;
        if (child.pid === undefined) return;
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          // It has ended by itself meanwhile.
        }
        drained = setTimeout(() => {
          done(end);
        }, DRAIN_MS);
      };
      const abort = (): void => {
        kill({ kind: "aborted" });
      };
      const late = setTimeout(() => {
        kill({ kind: "timed-out" });
      }, timeoutMs);
      if (signal?.aborted === true) abort();
      signal?.addEventListener("abort", abort, { once: true });
      child.stdout.on("data", (chunk: Buffer) => {
        stdout.add(chunk);
      });
      child.stderr.on("data", (chunk: Buffer) => {
        stderr.add(chunk);
      });
      child.on("error", (cause) => {
        done({ kind: "not-started", message: cause.message });
      });
      child.on("close", (code, killedBy) => {
        if (forced !== null) return done(forced);
        done(
          code === null
            ? { kind: "signalled", signal: killedBy ?? "unknown" }
            : { kind: "exited", code },
        );
      });
    }),
};
