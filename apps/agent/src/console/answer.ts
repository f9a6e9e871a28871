import type { IdentityShown } from "../identity/shown.ts";
import type { Mailbox } from "../input.ts";
import type { ConsoleReply, ConsoleRequest } from "./request.ts";
import { renderStatus, type Status } from "./status.ts";

export interface ConsoleParts {
  readonly mailbox: Mailbox;
  readonly status: () => Status;
  /** Asks for the certificate that is missing or due; null without TLS. */
  readonly enrol: (() => Promise<IdentityShown>) | null;
}

/** What the console asks goes through the loop like everything else. */
export async function answerConsole(
  request: ConsoleRequest,
  { mailbox, status, enrol }: ConsoleParts,
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
    case "enroll": {
      if (enrol === null) return { ok: false, text: NO_TLS };
      const { state, says } = await enrol();
      return { ok: state === "Valid", text: says };
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

export const NO_TLS =
  "This agent talks plain HTTP to its own machine (insecureLoopback), where no certificate is needed.";
