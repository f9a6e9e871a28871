import type { Activation } from "../activation/activation.ts";
import { hasStrayUnit } from "../activation/seen.ts";
import { Backoff } from "../backoff.ts";
import type { Mailbox } from "../input.ts";
import type { Journal } from "../journal/journal.ts";
import { newJournalId } from "../outbox.ts";
import type { Random, Timer } from "../ports.ts";

export interface BootParts {
  readonly journal: Journal;
  readonly activation: Activation;
  readonly mailbox: Mailbox;
  readonly timer: Timer;
  readonly random: Random;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** The first input: what the machine remembers that the journal may have forgotten. Tried until the machine can be read. */
export async function boot(parts: BootParts, signal: AbortSignal): Promise<void> {
  const { journal, activation, mailbox, timer, random } = parts;
  const backoff = new Backoff(timer, random);
  while (!signal.aborted) {
    try {
      const pinned = await activation.pinned("known-good");
      // A record that a newer version wrote can't be compared with its units.
      const isReadable = journal.all().every((record) => record.kind !== "opaque");
      const { journalId } = journal.facts();
      const strayUnit =
        isReadable && (await hasStrayUnit(activation, journalId, (id) => journal.record(id)));
      const nextJournalId = newJournalId(random);
      await mailbox.submit({ kind: "Booted", strayUnit, nextJournalId, pinned });
      const knownGood = journal.facts().knownGood.at(-1);
      // A crash between the commit and the pin left the older one.
      if (knownGood !== undefined && knownGood !== pinned)
        await activation.pin("known-good", knownGood);
      return;
    } catch (cause) {
      if (signal.aborted) return;
      parts.onTrouble("the machine can't be read", cause);
      await backoff.failed(signal);
    }
  }
}
