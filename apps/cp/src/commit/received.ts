import { nextSeq, type RolloutId, type Seq } from "@nixwave/effects";
import type { EventsAnswer } from "@nixwave/protocol";

interface StreamReceipt {
  ackedThrough: Seq | 0;
  expected: Seq | null;
  readonly refused: { readonly seq: Seq; readonly code: string }[];
}

/** The receipt of one batch, gathered line by line: what is consumed, where a number is missing, what was refused. */
export class Received {
  readonly #streams = new Map<RolloutId, StreamReceipt>();
  readonly #badLines: { readonly line: number; readonly reason: string }[] = [];
  duplicates = 0;

  bad(line: number, reason: string): void {
    this.#badLines.push({ line, reason });
  }

  duplicate(rolloutId: RolloutId, ackedThrough: Seq | 0): void {
    this.duplicates += 1;
    this.#stream(rolloutId).ackedThrough = ackedThrough;
  }

  /** The first gap stands: what follows it in the batch can't close it. */
  gap(rolloutId: RolloutId, lastSeq: Seq | 0): void {
    const stream = this.#stream(rolloutId);
    stream.ackedThrough = lastSeq;
    stream.expected = nextSeq(lastSeq);
  }

  consumed(rolloutId: RolloutId, seq: Seq, refused: string | null): void {
    const stream = this.#stream(rolloutId);
    stream.ackedThrough = seq;
    if (refused !== null) stream.refused.push({ seq, code: refused });
    if (stream.expected !== null && stream.expected <= seq) stream.expected = null;
  }

  answer(): EventsAnswer {
    const streams: Record<RolloutId, EventsAnswer["streams"][RolloutId]> = {};
    for (const [rolloutId, { ackedThrough, expected, refused }] of this.#streams)
      streams[rolloutId] = {
        ackedThrough,
        refused,
        ...(expected === null ? {} : { expected }),
      };
    return { streams, badLines: this.#badLines };
  }

  #stream(rolloutId: RolloutId): StreamReceipt {
    const known = this.#streams.get(rolloutId);
    if (known !== undefined) return known;
    const fresh: StreamReceipt = { ackedThrough: 0, expected: null, refused: [] };
    this.#streams.set(rolloutId, fresh);
    return fresh;
  }
}
