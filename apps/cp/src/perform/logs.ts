import { pino } from "pino";
import type { Logger } from "../ports.ts";

const STDERR = 2;

/**
 * One JSON line per change, on stderr unless told otherwise: stdout belongs to commands. A line that can't be written is lost, and
 * nothing else: the disk that is full may be the one that stderr goes to.
 */
export function createLogger(descriptor: number = STDERR): Logger {
  const out = pino.destination({ dest: descriptor, sync: true });
  out.on("error", () => undefined);
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, out);
  return {
    log(level, message, fields) {
      log[level](fields, message);
    },
  };
}
