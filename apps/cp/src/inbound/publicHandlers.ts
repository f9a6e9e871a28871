import { openapi } from "@nixwave/protocol";
import type { PublicHandlers } from "./handlers.ts";
import { ProblemError } from "./problemError.ts";
import { refuseWithoutTls } from "./withoutTls.ts";

/** What still keeps the control plane from serving well: one sentence with what to do, or null when it is ready. */
export type Missing = () => string | null;

/** Open to everyone on the loopback; they say nothing of the fleet. */
export function publicHandlers(missing: Missing): PublicHandlers {
  // Made once: it depends on nothing but the code.
  const document = openapi();
  return {
    getHealth: () => ({ status: "ok" }),
    getReady: () => {
      const sentence = missing();
      if (sentence === null) return { status: "ready" };
      throw ProblemError.of("not-ready", sentence);
    },
    getOpenapi: () => document,
    enroll: () => refuseWithoutTls(),
  };
}
