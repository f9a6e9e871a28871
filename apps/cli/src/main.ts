import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { instant } from "@nixwave/effects";
import { run } from "./program.ts";
import type { Surroundings } from "./surroundings.ts";

/** Where a terminal does not say how large it is, or there is none. */
const COLUMNS = 100;
const ROWS = 40;

const stop = new AbortController();
process.once("SIGINT", () => {
  stop.abort();
  // A second Ctrl-C, or whatever does not listen to the first, ends at once.
  process.once("SIGINT", () => process.exit(130));
});
// A reader that has seen enough (`| head`) closes the pipe; that is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

/** One line from the person; `shown` is false for secrets, and then nothing of it is echoed. Ctrl-C at a question is a no. */
async function ask(question: string, shown: boolean): Promise<string> {
  const muted = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  const output = shown ? process.stderr : muted;
  const lines = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY });
  if (!shown) process.stderr.write(question);
  try {
    return await lines.question(question, { signal: stop.signal });
  } catch (cause) {
    if (stop.signal.aborted) return "";
    throw cause;
  } finally {
    lines.close();
    if (!shown) process.stderr.write("\n");
  }
}

const surroundings: Surroundings = {
  terminal: {
    data: (text) => {
      process.stdout.write(text);
    },
    talk: (text) => {
      process.stderr.write(text);
    },
    ask: (question) => ask(question, true),
    askSecret: (question) => ask(question, false),
    interactive: process.stdin.isTTY && process.stderr.isTTY,
    screen: process.stdout.isTTY,
    columns: () => process.stdout.columns ?? COLUMNS,
    rows: () => process.stdout.rows ?? ROWS,
  },
  env: process.env,
  cwd: process.cwd(),
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  now: () => instant(Date.now()),
  wait: (secs) =>
    new Promise((resolve) => {
      const timer = setTimeout(done, secs * 1000);
      stop.signal.addEventListener("abort", done, { once: true });
      function done(): void {
        clearTimeout(timer);
        stop.signal.removeEventListener("abort", done);
        resolve();
      }
    }),
  stop: stop.signal,
};

// Set, not exited with: what was written to a pipe must get there first.
process.exitCode = await run(process.argv.slice(2), surroundings);
