import type { HostName, JournalId, RolloutId, Seq, Sha256 } from "@nixwave/effects";
import type { StreamAdvanced } from "./change.ts";

/** Where a stream stands under a journal: the number and the hash of its last consumed line. */
export interface StreamEnd {
  readonly lastSeq: Seq | 0;
  readonly lastHash: Sha256 | null;
}

const BEGINNING: StreamEnd = { lastSeq: 0, lastHash: null };

/** How far each host's streams were consumed. Only the current journal's is kept: one under an older journal takes nothing more. */
export class Streams {
  readonly #byHost = new Map<HostName, Map<RolloutId, StreamAdvanced>>();

  end(host: HostName, rolloutId: RolloutId, journalId: JournalId): StreamEnd {
    const stream = this.#byHost.get(host)?.get(rolloutId);
    return stream === undefined || stream.journalId !== journalId ? BEGINNING : stream;
  }

  set(stream: StreamAdvanced): void {
    const ofHost = this.#byHost.get(stream.host);
    if (ofHost === undefined) this.#byHost.set(stream.host, new Map([[stream.rolloutId, stream]]));
    else ofHost.set(stream.rolloutId, stream);
  }
}
