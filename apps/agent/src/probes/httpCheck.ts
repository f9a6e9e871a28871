import type { Http } from "../ports.ts";
import { failed, messageOf, PASS, type RunCheck } from "./check.ts";

export interface HttpCheck {
  readonly url: string;
  /** The status that is health; redirects are not followed. */
  readonly status: number;
  /** Must occur in the answer; null: the answer is not looked at. */
  readonly bodyContains: string | null;
  readonly timeoutSecs: number;
}

/** A health page is small. One that is not would be read by every host every few seconds. */
const ANSWER_BYTES_MAX = 1024 * 1024;

export function httpCheck(check: HttpCheck, http: Http): RunCheck {
  const { url, status, bodyContains, timeoutSecs } = check;
  return async (signal) => {
    try {
      const answer = await http.request({
        method: "GET",
        url,
        // A connection of its own each time: one kept from the last run may have died since, and accepting one is health too.
        headers: { "user-agent": "nixwave-agent", connection: "close" },
        body: null,
        timeoutMs: timeoutSecs * 1000,
        answerBytesMax: ANSWER_BYTES_MAX,
        signal,
      });
      if (answer.status !== status) {
        return failed(`${url} answered ${answer.status}; expected ${status}`);
      }
      const text = new TextDecoder().decode(answer.body);
      if (bodyContains === null || text.includes(bodyContains)) return PASS;
      return failed(
        `${url} answered ${status}, but its body lacks ${JSON.stringify(bodyContains)}`,
      );
    } catch (cause) {
      return failed(`${url} gave no answer within ${timeoutSecs} s: ${messageOf(cause)}`);
    }
  };
}
