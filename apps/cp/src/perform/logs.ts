import { type DestinationStream, pino } from "pino";
import type { Logger } from "../ports.ts";

/** One JSON line per change, on stderr unless told otherwise: stdout belongs to commands. */
export function createLogger(destination?: DestinationStream): Logger {
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination ?? pino.destination(2),
  );
  return {
    log(level, message, fields) {
      log[level](fields, message);
    },
  };
}
