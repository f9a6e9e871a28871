import { err, ok, type Result } from "@nixwave/effects";
import { BATCH_LINES_MAX, LINE_BYTES_MAX, type Problem, problem } from "@nixwave/protocol";

/** Cuts NDJSON into its lines; what is stored are these, so nothing is decoded or normalised here. Empty lines are none. */
export function cutLines(body: string): Result<readonly string[], Problem> {
  const lines = body.split("\n").filter((line) => line !== "");
  if (lines.length > BATCH_LINES_MAX) {
    return err(
      problem(
        "too-large",
        `The body has ${lines.length} lines; a batch may have ${BATCH_LINES_MAX}. Send the rest in another request.`,
      ),
    );
  }
  const long = lines.findIndex((line) => Buffer.byteLength(line) > LINE_BYTES_MAX);
  const line = lines[long];
  if (line === undefined) return ok(lines);
  return err(
    problem(
      "too-large",
      `Line ${long + 1} of the body has ${Buffer.byteLength(line)} bytes; a line may have ${LINE_BYTES_MAX}. Shorten the event.`,
    ),
  );
}
