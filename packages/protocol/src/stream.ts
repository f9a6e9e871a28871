import { ROLLOUT_STATES } from "@nixwave/effects";
import { z } from "zod";
import { gateName } from "./explanation.ts";
import { count, hostName, offset, rolloutIdText } from "./ids.ts";

/**
 * The data of one `rollout` message of /v1/stream: how the rollout stands, and which hosts to read again. `reload` where they are too many
 * to name or not known: read the rollout anew.
 */
export const rolloutMoved = z
  .object({
    rolloutId: rolloutIdText,
    /** The newest line that this is as of. */
    offset,
    state: z.enum(ROLLOUT_STATES),
    cursor: count,
    counts: z
      .object({
        hosts: count,
        done: count,
        proven: count,
        failures: count,
        waiting: z.partialRecord(gateName, count),
      })
      .readonly(),
    changed: z.union([z.array(hostName).readonly(), z.literal("reload")]),
  })
  .readonly();
export type RolloutMoved = z.output<typeof rolloutMoved>;

/** One reader of server-sent events, as its handler sees it. */
export interface StreamSink {
  /** The id of the last message that the reader has whole; null at its first connection. */
  readonly lastEventId: string | null;
  /** Bytes that were written and that its connection has not taken yet. */
  readonly waitingBytes: () => number;
  readonly write: (text: string) => void;
  /** Ends the connection; the reader comes back with the id of its last message. */
  readonly end: () => void;
  /** Aborts when the connection is over. */
  readonly gone: AbortSignal;
}

/** Takes a reader, whose connection is answered already. */
export type StreamStart = (sink: StreamSink) => void;

/** As text/event-stream: one message. Only the last one of an offset carries it, so that who resumes there has missed none. */
export const streamMessage = (moved: RolloutMoved, { last }: { readonly last: boolean }): string =>
  `${last ? `id: ${moved.offset}\n` : ""}event: rollout\ndata: ${JSON.stringify(rolloutMoved.encode(moved))}\n\n`;
