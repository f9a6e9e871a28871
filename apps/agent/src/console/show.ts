import { readJournalLines } from "../journal/readOnly.ts";

/** Each row as one JSON object with its table's name: for grep, jq, and people in a hurry. */
export function showJournal(stateDir: string): readonly string[] {
  return readJournalLines(stateDir).map((row) => JSON.stringify(row));
}
