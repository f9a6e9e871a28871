import { client, type FetchPort, HEADER, PROBLEMS } from "@nixwave/protocol";
import type { Credentials } from "./credentials.ts";
import type { Ask } from "./desk.ts";
import { NoAnswer, NotThere, Refusal } from "./refusal.ts";

/** A read of a large fleet takes a second; who waits longer than this waits for nothing. */
const ANSWER_TIMEOUT_MS = 30_000;

export interface Connection {
  /** What was typed or set, for sentences. */
  readonly address: string;
  /** Whose name stands in the log beside what is done, where no credential says it. */
  readonly operator: string;
  readonly credentials: Credentials;
  readonly stop: AbortSignal;
}

/** Who is at the keyboard: NIXWAVE_OPERATOR, else the account's name, made of what a header may hold. */
export function operatorOf(env: Readonly<Record<string, string | undefined>>): string {
  const name = env["NIXWAVE_OPERATOR"] ?? env["USER"] ?? env["LOGNAME"] ?? "";
  const plain = name.replace(/[^a-zA-Z0-9._@-]/g, "-").replace(/^[^a-zA-Z0-9]+/, "");
  return plain === "" ? "operator" : plain.slice(0, 64);
}

/** The one way to the control plane. */
export function connect({ address, operator, credentials, stop }: Connection): Ask {
  const base = baseOf(address);
  const cp = client(base, fetchPort(stop, fetchBy(credentials)), () =>
    headersOf(credentials, operator),
  );
  return async (route, request) => {
    const answer = await cp.call(route, request);
    if (answer.ok) return answer.value;
    const { error } = answer;
    if (error.code === "unreachable") throw new NoAnswer(unreachable(base, error, credentials));
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

function headersOf(credentials: Credentials, operator: string): Readonly<Record<string, string>> {
  switch (credentials.kind) {
    case "plain":
      return { [HEADER.operator]: operator };
    case "token":
      return { authorization: `Bearer ${credentials.token}` };
    case "certificate":
      return {};
  }
}

/** What a TLS library says of a server that the authority did not certify. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
]);

/** What a server does that expects TLS and gets a request. */
const CLOSED = "UND_ERR_SOCKET";

function unreachable(
  base: string,
  { detail, cause }: { detail: string; cause: unknown },
  credentials: Credentials,
): string {
  const code = cause instanceof Error ? reasonOf(cause) : "";
  if (credentials.kind !== "plain" && UNTRUSTED.has(code)) {
    return `${base} has a certificate that ${credentials.authorityFile} did not sign (${code}): nothing was sent. Is --authority the file of this control plane?`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `${base} has a certificate for another name: nothing was sent. Name it with --cp as its certificate does.`;
  }
  if (credentials.kind === "plain" && code === CLOSED) {
    return `${base} closed the connection (${code}). Does it serve TLS? Name it so: --cp https://… --authority FILE, and with --token-file, or --cert and --cert-key, who you are.`;
  }
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

interface Sent {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array<ArrayBuffer> | null;
  readonly redirect: "error";
  readonly signal: AbortSignal;
}
/** What Node's own fetch and undici's have in common. */
type Fetch = (
  url: string,
  sent: Sent,
) => Promise<{
  readonly status: number;
  readonly headers: Iterable<[string, string]>;
  arrayBuffer(): Promise<ArrayBuffer>;
}>;

/** Over TLS 1.3, to a server that the given authority certified, and no other. Loaded when it is needed: undici takes a while. */
function fetchBy(credentials: Credentials): Fetch {
  if (credentials.kind === "plain") return fetch;
  const { authority: ca } = credentials;
  const own =
    credentials.kind === "certificate" ? { cert: credentials.cert, key: credentials.key } : {};
  const agent = import("undici").then(
    ({ Agent }) => new Agent({ connect: { ca, ...own, minVersion: "TLSv1.3" } }),
  );
  return async (url, init) => {
    const { fetch: fetchOver } = await import("undici");
    return await fetchOver(url, { ...init, dispatcher: await agent });
  };
}

const fetchPort =
  (stop: AbortSignal, fetchOver: Fetch): FetchPort =>
  async ({ url, method, headers, body }) => {
    const answer = await fetchOver(url, {
      method,
      headers: { ...headers },
      body: body === null || typeof body === "string" ? body : Uint8Array.from(body),
      // A redirect would carry the token elsewhere.
      redirect: "error",
      signal: AbortSignal.any([stop, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: new Uint8Array(await answer.arrayBuffer()),
    };
  };
