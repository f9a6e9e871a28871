import { client, type FetchPort, HEADER, PROBLEMS } from "@nixwave/protocol";
import type { Ask } from "./desk.ts";
import { NoAnswer, NotThere, Refusal } from "./refusal.ts";

/** A read of a large fleet takes a second; who waits longer than this waits for nothing. */
const ANSWER_TIMEOUT_MS = 30_000;

export interface Connection {
  /** What was typed or set, for sentences. */
  readonly address: string;
  /** Whose name stands in the log beside what is done. */
  readonly operator: string;
  readonly stop: AbortSignal;
}

/** Who is at the keyboard: NIXWAVE_OPERATOR, else the account's name, made of what a header may hold. */
export function operatorOf(env: Readonly<Record<string, string | undefined>>): string {
  const name = env["NIXWAVE_OPERATOR"] ?? env["USER"] ?? env["LOGNAME"] ?? "";
  const plain = name.replace(/[^a-zA-Z0-9._@-]/g, "-").replace(/^[^a-zA-Z0-9]+/, "");
  return plain === "" ? "operator" : plain.slice(0, 64);
}

/** The one way to the control plane. */
export function connect({ address, operator, stop }: Connection): Ask {
  const base = baseOf(address);
  const cp = client(base, fetchPort(stop), () => ({ [HEADER.operator]: operator }));
  return async (route, request) => {
    const answer = await cp.call(route, request);
    if (answer.ok) return answer.value;
    const { error } = answer;
    if (error.code === "unreachable") throw new NoAnswer(unreachable(base, error));
    if (error.code === "not-found") throw new NotThere(error.detail);
    if (!PROBLEMS[error.code].retryable) throw new Refusal(error.detail);
    const again = error.retryAfterSecs === null ? "" : ` Try again in ${error.retryAfterSecs} s.`;
    throw new NoAnswer(`${error.detail}${again}`);
  };
}

function baseOf(address: string): string {
  const expected = "expected the control plane's address, such as http://127.0.0.1:8460";
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Refusal(`--cp “${address}”: ${expected} (option --cp, or NIXWAVE_CP).`);
  }
  return address;
}

function unreachable(base: string, { detail, cause }: { detail: string; cause: unknown }): string {
  if (cause === null)
    return `${detail}. Is ${base} a control plane? Name it with --cp URL or NIXWAVE_CP.`;
  return `No control plane answers at ${base} (${reasonOf(cause)}). Is nixwave-cp serving there? Name another with --cp URL or NIXWAVE_CP.`;
}

/** fetch says only “fetch failed”: what the system said lies in its cause. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === "TimeoutError") return `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
  const inner = cause.cause;
  if (!(inner instanceof Error)) return cause.message;
  return "code" in inner ? String(inner.code) : inner.message;
}

const fetchPort =
  (stop: AbortSignal): FetchPort =>
  async ({ url, method, headers, body }) => {
    const answer = await fetch(url, {
      method,
      headers,
      body: body === null ? null : Buffer.from(body),
      signal: AbortSignal.any([stop, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: new Uint8Array(await answer.arrayBuffer()),
    };
  };
