import { type Problem, type ProblemCode, problem } from "@nixwave/protocol";

/** A refusal on its way to the one place that writes answers; thrown only inside inbound/, where fastify catches it. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;

  constructor(document: Problem) {
    super(document.detail);
    this.problem = document;
  }

  static of(code: ProblemCode, detail: string, retryAfterSecs?: number): ProblemError {
    return new ProblemError(
      retryAfterSecs === undefined ? problem(code, detail) : problem(code, detail, retryAfterSecs),
    );
  }
}
