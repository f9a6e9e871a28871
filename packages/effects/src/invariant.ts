/** A broken invariant is our bug, never the world's: it names what was believed, and is caught once per process. */
export class InvariantViolated extends Error {
  override readonly name = "InvariantViolated";
}

export function invariant(condition: boolean, belief: string): asserts condition {
  if (!condition) throw new InvariantViolated(belief);
}
