import type { Ground } from "./bugs.ts";
import { answer } from "./world.ts";

/** A child of the hunt, with the bug that NIXWAVE_PLANT names, or with none: one ground for each message. */
process.on("message", (ground: Ground) => {
  void answer(ground).then((answered) => process.send?.({ answered }));
});
