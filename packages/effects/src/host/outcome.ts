import type { Seq } from "../ids.ts";
import type { HostState } from "./state.ts";

/** Why an event was not accepted. A refused event consumes its number all the same, so that it can't block the ones behind it. */
export const REFUSALS = [
  "illegal-in-state",
  "superseded",
  "wrong-attempt",
  "wrong-journal",
  "no-terms",
  "rollback-target-is-target",
  "too-many-starts",
  "wrong-closure",
  "no-system-stable",
  "duplicate-probe",
  "undeclared-probe",
  "wrong-mode",
  "wrong-policy",
  "health-not-shown",
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What an event did to a record. The first three are the cells of the table; the others never reach it. */
export type Outcome =
  | { readonly kind: "moved"; readonly from: HostState; readonly to: HostState }
  | { readonly kind: "stayed" }
  | { readonly kind: "refused"; readonly code: Refusal }
  /** Its number was consumed before: a no-op, and no error. */
  | { readonly kind: "duplicate" }
  /** A number is missing before it: nothing changes, and the sender is told which. */
  | { readonly kind: "gap"; readonly expected: Seq };
