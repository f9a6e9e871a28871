import type { BootId, ClosureHash } from "@nixwave/effects";
import type { Activation } from "../activation/activation.ts";
import { failed, messageOf, PASS, type RunCheck } from "./check.ts";

export interface Declaration {
  readonly target: ClosureHash;
  /** The boot in which the probes were declared. */
  readonly bootId: BootId;
}

/** `system-stable`: same boot since the declaration, and what runs is the target. No closure converges on silence. */
export function stableCheck(declared: Declaration, activation: Activation): RunCheck {
  return async () => {
    try {
      const bootId = await activation.bootId();
      if (bootId !== declared.bootId) {
        return failed(`the host has rebooted since its probes were declared (boot ${bootId})`);
      }
      const { running } = await activation.system();
      if (running === declared.target) return PASS;
      return failed(`${running ?? "nothing"} runs instead of ${declared.target}`);
    } catch (cause) {
      return failed(`the running system can't be read: ${messageOf(cause)}`);
    }
  };
}
