/** In this module only, and never exported: no other file can make or forge a Verified. */
const seal: unique symbol = Symbol("verified");

/** A value whose bytes were checked against what names them. Only packages/protocol makes one; a cast elsewhere is our bug. */
export interface Verified<T> {
  readonly [seal]: true;
  readonly value: T;
}

/** Not exported from index.ts: callers are the verifying functions of this folder. */
export const seals = <T>(value: T): Verified<T> => Object.freeze({ [seal]: true as const, value });
