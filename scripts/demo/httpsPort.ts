import { Agent, request } from "node:https";
import type { FetchPort } from "@nixwave/protocol";

/** Longer than any answer of a CP with eight hosts takes, shorter than a chapter. */
const ANSWER_TIMEOUT_MS = 5000;

/** TLS 1.3 to the CP of the pinned CA, as the operator of a certificate. All in PEM. */
export function httpsPort(pinned: {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}): FetchPort {
  const agent = new Agent({ ...pinned, minVersion: "TLSv1.3", keepAlive: true });
  return ({ url, method, headers, body }) =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      const sent = request(url, { method, headers, agent, signal }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const named = Object.entries(answer.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(", ") : value,
          ]);
          const all: Readonly<Record<string, string | undefined>> = Object.fromEntries(named);
          resolve({ status: answer.statusCode ?? 0, headers: all, body: Buffer.concat(chunks) });
        });
      });
      sent.on("error", reject);
      sent.end(body ?? undefined);
    });
}
