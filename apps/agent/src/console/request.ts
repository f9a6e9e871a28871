import { z } from "zod";

const reason = z.string().trim().min(1, { error: "expected a reason" }).max(500);
const HOLD_SECS_MAX = 30 * 24 * 3600;

/** What the console may ask of the agent that runs: one line of JSON over its socket. */
export const requestSchema = z.discriminatedUnion("command", [
  z.strictObject({ command: z.literal("status") }).readonly(),
  z
    .strictObject({
      command: z.literal("hold"),
      /** 0 ends the hold. */
      secs: z.int().min(0).max(HOLD_SECS_MAX, { error: "expected 30 days at most" }),
      reason,
    })
    .readonly(),
  z.strictObject({ command: z.literal("rollback"), reason }).readonly(),
  z.strictObject({ command: z.literal("enroll") }).readonly(),
]);
export type ConsoleRequest = z.output<typeof requestSchema>;

/** `text` is for people; `ok` says whether what was asked is being done. */
export const replySchema = z
  .object({ ok: z.boolean(), text: z.string(), status: z.unknown().optional() })
  .readonly();
export type ConsoleReply = z.output<typeof replySchema>;

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `2h`, `90m`, `30s`, `1d`; null for anything else. */
export function parseDurationSecs(text: string): number | null {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = match?.[2];
  if (match === null || (unit !== "s" && unit !== "m" && unit !== "h" && unit !== "d")) return null;
  return Number(match[1]) * UNITS[unit];
}
