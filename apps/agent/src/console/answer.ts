import type { Mailbox } from "../input.ts";
import type { ConsoleReply, ConsoleRequest } from "./request.ts";
import { renderStatus, type Status } from "./status.ts";

export interface ConsoleParts {
  readonly mailbox: Mailbox;
  readonly status: () => Status;
}

/** What the console asks goes through the loop like everything else. */
export async function answerConsole(
  request: ConsoleRequest,
  { mailbox, status }: ConsoleParts,
): Promise<ConsoleReply> {
  switch (request.command) {
    case "status": {
      const now = status();
      return { ok: true, text: renderStatus(now), status: now };
    }
    case "hold": {
      const { secs, reason } = request;
      await mailbox.submit({ kind: "HoldSet", secs, reason });
      const { hold } = status();
      if (hold === null)
        return { ok: true, text: "The hold has ended; dispatches are taken again." };
      return {
        ok: true,
        text: `Dispatches are rejected as retryable until ${hold.until}. What runs goes on.`,
      };
    }
    case "rollback": {
      const { reason } = request;
      const { outcome, record } = await mailbox.submit({ kind: "RollbackAsked", reason });
      if (outcome.kind === "ignored") return { ok: false, text: outcome.reason };
      if (outcome.kind !== "moved" || record?.kind !== "Failed")
        return { ok: false, text: `Nothing was rolled back: ${outcome.kind}.` };
      if (record.rollback === "owed")
        return {
          ok: true,
          text: `${record.rolloutId} has failed, and is rolled back to ${record.rollbackTarget}.`,
        };
      return {
        ok: true,
        text: `${record.rolloutId} has failed. Its policy is "${record.policyApplied}" and its rollback target ${record.rollbackTarget ?? "unknown"}, so nothing is rolled back by itself.`,
      };
    }
  }
}
