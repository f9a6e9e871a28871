import { problem } from "@nixwave/protocol";
import type { NotNow, Refused } from "../command.ts";
import { ProblemError } from "./problemError.ts";

interface OfKind {
  readonly kind: string;
}

const isNotNow = (answer: OfKind): answer is NotNow => answer.kind === "not-now";
const isRefused = (answer: OfKind): answer is Refused => answer.kind === "refused";

/** What the writer did; a refusal and a "not now" go on as the problem document that they name. */
export function granted<A extends OfKind>(answer: A | Refused | NotNow): A {
  if (isNotNow(answer)) {
    throw new ProblemError(problem(answer.code, answer.sentence, answer.retryAfterSecs));
  }
  if (isRefused(answer)) throw ProblemError.of(answer.code, answer.sentence);
  return answer;
}
