import type { FetchPort } from "@nixwave/protocol";

/** Longer than any answer of a CP with eight hosts takes, shorter than a chapter. */
const ANSWER_TIMEOUT_MS = 5000;

export const fetchPort: FetchPort = async ({ url, method, headers, body }) => {
  const answer = await fetch(url, {
    method,
    headers,
    body: body === null ? null : Buffer.from(body),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: new Uint8Array(await answer.arrayBuffer()),
  };
};
