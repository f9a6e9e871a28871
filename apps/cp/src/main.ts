import { CommanderError } from "@commander-js/extra-typings";
import { crashFrom, killSelf } from "./crashPoint.ts";
import { createProgram } from "./inbound/argv.ts";
import { createCommands } from "./inbound/commands.ts";
import type { WorldPorts } from "./inbound/world.ts";
import { createLogger } from "./perform/logs.ts";
import { realClock, realRandom, realTimer } from "./realPorts.ts";
import { VERSION } from "./version.ts";

const writeOut = (text: string): void => void process.stdout.write(text);
const writeErr = (text: string): void => void process.stderr.write(text);

const world = (): WorldPorts => ({
  clock: realClock,
  timer: realTimer,
  random: realRandom,
  log: createLogger(),
  crash: crashFrom(process.env["NIXWAVE_CRASH_AT"], killSelf),
  syncCopyDir: process.env["NIXWAVE_SYNC_COPY"],
  version: VERSION,
});

/** A second signal finds no listener and ends the process at once: whoever is in a hurry sends it. */
const toldToStop = (): Promise<string> =>
  new Promise((resolve) => {
    const told = (signal: NodeJS.Signals): void => {
      process.off("SIGTERM", told).off("SIGINT", told);
      resolve(signal);
    };
    process.on("SIGTERM", told).on("SIGINT", told);
  });

const program = createProgram({
  commands: createCommands({ world, writeOut, writeErr, toldToStop }),
  version: VERSION,
  writeOut,
  writeErr,
  exit: (code) => {
    process.exitCode = code;
  },
});

try {
  await program.parseAsync();
} catch (cause) {
  // commander has said its sentence already; asking for help is no mistake.
  if (!(cause instanceof CommanderError)) throw cause;
  process.exitCode = cause.exitCode;
}
