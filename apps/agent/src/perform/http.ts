import { Agent, type Dispatcher, request } from "undici";
import { AnswerTooLong, type Http, type HttpAnswer, type HttpRequest } from "../ports.ts";

/** One connection each for the poll, the outbox, the heartbeat and a release file, and some room. */
export const CONNECTIONS_MAX = 8;

export interface ClosableHttp extends Http {
  close(): Promise<void>;
}

export function systemHttp(): ClosableHttp {
  const dispatcher = new Agent({ connections: CONNECTIONS_MAX, headersTimeout: 0, bodyTimeout: 0 });
  return {
    request: (asked) => exchange(asked, dispatcher),
    close: () => dispatcher.destroy(),
  };
}

/** One request and all of its answer. */
export async function exchange(
  { method, url, headers, body, timeoutMs, answerBytesMax, signal }: HttpRequest,
  dispatcher: Dispatcher,
): Promise<HttpAnswer> {
  // The allowance covers all of the exchange; undici's own timeouts only see parts of it.
  const late = AbortSignal.timeout(timeoutMs);
  const answer = await request(url, {
    method,
    headers: { ...headers },
    body,
    dispatcher,
    signal: signal === undefined ? late : AbortSignal.any([signal, late]),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > answerBytesMax)
      throw new AnswerTooLong(`${method} ${url} answered with more than ${answerBytesMax} bytes`);
    chunks.push(part);
  }
  return {
    status: answer.statusCode,
    headers: flat(answer.headers),
    body: Buffer.concat(chunks),
  };
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const one: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined)
      one[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : value;
  return one;
}
