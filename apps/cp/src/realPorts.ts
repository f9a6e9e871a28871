import { randomBytes } from "node:crypto";
import { instant } from "@nixwave/effects";
import type { Clock, Random, Timer } from "./ports.ts";

/** setTimeout takes 31 bits of milliseconds; a later instant is asked for again when that is over. */
const TIMEOUT_MS_MAX = 2_147_000_000;

export const realClock: Clock = { now: () => instant(Date.now()) };

export const realRandom: Random = { bytes: (count) => randomBytes(count) };

export const realTimer: Timer = {
  at(due, call) {
    let timeout: NodeJS.Timeout;
    const arm = (): void => {
      const left = Math.max(0, due - Date.now());
      timeout = left > TIMEOUT_MS_MAX ? setTimeout(arm, TIMEOUT_MS_MAX) : setTimeout(call, left);
    };
    arm();
    return () => clearTimeout(timeout);
  },
  soon: (call) => void setImmediate(call),
};
