import {
  type Envelope,
  err,
  type HostName,
  type OutboundAgentEvent,
  ok,
  type Result,
  type RolloutId,
  type Seq,
  type Sha256,
} from "@nixwave/effects";
import { z } from "zod";
import { EVENT_KINDS, EVENT_SCHEMAS, envelopeSchema, isEventKind } from "./event.ts";
import { hostName, rolloutIdText, seq, sha256Text } from "./ids.ts";
import { sentence } from "./problem.ts";

/** As wire.md has them: a batch fits into one commit, and one host's batch does not keep the writer from the others. */
export const LINE_BYTES_MAX = 16 * 1024;
export const BATCH_LINES_MAX = 256;
export const BATCH_BYTES_MAX = 1024 * 1024;

/** An envelope as a line has it: the journal's id is the header `Nixwave-Journal`. */
export type Line = Omit<Envelope, "journalId">;

/**
 * Why a line is no event. With host, rollout and number it is refused and consumes its number, so that it can't block
 * the ones behind it; a `bad-line` belongs to no stream.
 */
export type LineRefusal =
  | { readonly code: "bad-line"; readonly reason: string }
  | {
      readonly code: "unknown-kind" | "bad-event";
      readonly host: HostName;
      readonly rolloutId: RolloutId;
      readonly seq: Seq;
      readonly prev: Sha256 | null;
      readonly reason: string;
    };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const toUtf8 = new TextEncoder();
/** A character is three bytes at most, two halves of a pair four: most lines need not be encoded to know that they fit. */
const bytesOf = (text: string): number =>
  text.length * 3 <= LINE_BYTES_MAX ? text.length : toUtf8.encode(text).length;

/** Everything of an envelope but the event, which is judged after these are known. */
const addressed = z.object({
  host: hostName,
  rolloutId: rolloutIdText,
  seq,
  prev: sha256Text.nullable(),
  event: z.unknown().optional(),
});
const kinded = z.object({ kind: z.string({ error: "expected the kind of an event" }) });

/** Decodes one line of a batch, given without its newline. Never throws; unknown fields are ignored. */
export function decodeLine(line: Uint8Array | string): Result<Line, LineRefusal> {
  const json = parseLine(line);
  if (!json.ok) return json;
  const envelope = addressed.safeParse(json.value);
  if (!envelope.success) return err(badLine(sentence(envelope.error, "envelope")));
  const { host, rolloutId, seq: number, prev, event } = envelope.data;
  const address = { host, rolloutId, seq: number, prev };
  const kind = kindOf(event);
  if (kind === null) return err({ ...address, code: "bad-event", reason: unkinded(event) });
  if (!isEventKind(kind)) {
    const reason = `event.kind: expected one of ${EVENT_KINDS.join(", ")}, not ${JSON.stringify(kind.slice(0, 64))}`;
    return err({ ...address, code: "unknown-kind", reason });
  }
  const schema: z.ZodType<OutboundAgentEvent> = EVENT_SCHEMAS[kind];
  const decoded = schema.safeParse(event);
  if (!decoded.success) {
    return err({ ...address, code: "bad-event", reason: sentence(decoded.error, kind) });
  }
  return ok({ host, rolloutId, seq: number, prev, event: decoded.data });
}

/** Asked of every line; what is wrong where there is none, `unkinded` says. */
const kindOf = (event: unknown): string | null =>
  typeof event === "object" && event !== null && "kind" in event && typeof event.kind === "string"
    ? event.kind
    : null;

function unkinded(event: unknown): string {
  const named = kinded.safeParse(event);
  return named.success ? "" : sentence(named.error, "event");
}

const badLine = (reason: string): LineRefusal => ({ code: "bad-line", reason });

function parseLine(line: Uint8Array | string): Result<unknown, LineRefusal> {
  const length = typeof line === "string" ? bytesOf(line) : line.length;
  if (length > LINE_BYTES_MAX) {
    return err(badLine(`a line has ${length} bytes, of at most ${LINE_BYTES_MAX}`));
  }
  try {
    // A text is what its UTF-8 says: half a surrogate pair has none, and stands for U+FFFD there.
    const text = typeof line === "string" ? line.toWellFormed() : utf8.decode(line);
    const json: unknown = JSON.parse(text);
    return ok(json);
  } catch {
    return err(badLine("a line is not JSON in UTF-8"));
  }
}

/** Encodes an envelope as one line without a newline, its keys always in the same order: a stream's hashes depend on it. */
export function encodeLine({ host, rolloutId, seq, prev, event }: Line): string {
  return JSON.stringify(z.encode(envelopeSchema, { host, rolloutId, seq, prev, event }));
}

const NEWLINE = 0x0a;

/** Cuts a body into lines; empty ones are passed over. The error is a sentence, to be answered as `too-large`. */
export function splitBatch(body: Uint8Array): Result<readonly Uint8Array[], string> {
  if (body.length > BATCH_BYTES_MAX) {
    return err(`the batch has ${body.length} bytes, of at most ${BATCH_BYTES_MAX}`);
  }
  const lines: Uint8Array[] = [];
  let from = 0;
  while (from < body.length) {
    const newline = body.indexOf(NEWLINE, from);
    const to = newline === -1 ? body.length : newline;
    if (to > from) lines.push(body.subarray(from, to));
    if (lines.length > BATCH_LINES_MAX) {
      return err(`the batch has more than ${BATCH_LINES_MAX} lines`);
    }
    from = to + 1;
  }
  return ok(lines);
}
