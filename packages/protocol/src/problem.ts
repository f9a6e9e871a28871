import { z } from "zod";

/**
 * Every problem that an answer can name. A client may repeat a retryable request as it is, after a while;
 * the others need something changed first.
 */
export const PROBLEMS = {
  "bad-request": {
    status: 400,
    title: "The request is not what this route takes",
    retryable: false,
  },
  unauthenticated: { status: 401, title: "Nobody known makes this request", retryable: false },
  forbidden: { status: 403, title: "This needs a role that you do not have", retryable: false },
  "wrong-host": {
    status: 403,
    title: "The body names another host than the certificate",
    retryable: false,
  },
  "enrolment-refused": {
    status: 403,
    title: "This host gets no certificate for this request",
    retryable: false,
  },
  "not-found": { status: 404, title: "There is no such thing", retryable: false },
  "unknown-route": { status: 404, title: "There is no such route", retryable: false },
  "method-not-allowed": {
    status: 405,
    title: "This route does not take that method",
    retryable: false,
  },
  "old-journal": {
    status: 409,
    title: "This journal is no longer the host's current one",
    retryable: false,
  },
  "set-back": {
    status: 409,
    title: "The stream does not continue what was received before",
    retryable: false,
  },
  conflict: { status: 409, title: "The present state does not allow this", retryable: false },
  "too-large": {
    status: 413,
    title: "The body or one of its lines is too large",
    retryable: false,
  },
  "unsupported-media": {
    status: 415,
    title: "This route does not take that media type or encoding",
    retryable: false,
  },
  "old-protocol": {
    status: 426,
    title: "This protocol version is no longer served",
    retryable: false,
  },
  "too-many": {
    status: 429,
    title: "Too many requests or events from this client",
    retryable: true,
  },
  internal: { status: 500, title: "The control plane made a mistake", retryable: true },
  "queue-full": { status: 503, title: "The control plane has too much waiting", retryable: true },
  "not-ready": { status: 503, title: "The control plane does not serve yet", retryable: true },
  "not-stored": {
    status: 503,
    title: "The control plane could not write to its disk",
    retryable: true,
  },
  stopping: { status: 503, title: "The control plane is stopping", retryable: true },
} as const satisfies Record<string, { status: number; title: string; retryable: boolean }>;

export type ProblemCode = keyof typeof PROBLEMS;

export const isProblemCode = (text: string): text is ProblemCode => Object.hasOwn(PROBLEMS, text);

/** The media type of problem documents (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** An RFC 9457 problem document. `detail` is one sentence: what, where, what was expected, what to do. */
export interface Problem {
  readonly type: string;
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Seconds, as in the header Retry-After; null where waiting does not help. */
  readonly retryAfterSecs: number | null;
}

export const problemSchema = z
  .object({
    type: z.string(),
    code: z.string().refine(isProblemCode, { error: "expected a problem code of this protocol" }),
    status: z.int().min(400).max(599),
    title: z.string(),
    detail: z.string(),
    retryAfterSecs: z.number().min(0).nullable(),
  })
  .readonly();

/** Long enough for a queue to drain or a disk to be freed, short enough that no agent falls behind. */
const RETRY_AFTER_SECS = 5;

/** The one constructor of problem documents: status and title come from the table. */
export function problem(
  code: ProblemCode,
  detail: string,
  retryAfterSecs: number | null = PROBLEMS[code].retryable ? RETRY_AFTER_SECS : null,
): Problem {
  const { status, title } = PROBLEMS[code];
  return { type: `urn:nixwave:problem:${code}`, code, status, title, detail, retryAfterSecs };
}

/** The first thing that a schema found wrong, as a sentence with its place: `body.streams: expected …`. */
export function sentence(error: z.ZodError, place: string): string {
  const issue = error.issues[0];
  if (issue === undefined) return `${place} is not what was expected`;
  const path = issue.path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("");
  return `${place}${path}: ${issue.message}`;
}
