/** The one door of the package; private to this repository. */
export * from "./build.ts";
export { coverageOf } from "./exhaustive/coverage.ts";
export { coverageText, foundText } from "./exhaustive/report.ts";
export { Search } from "./exhaustive/search.ts";
export type { Watch } from "./exhaustive/watch.ts";
export { FULL as FULL_WORLDS } from "./exhaustive/worlds.ts";
export * from "./hostScript.ts";
export * from "./sim/chronicle.ts";
export * from "./sim/failures.ts";
export * from "./sim/invariants.ts";
export * from "./sim/network.ts";
export * from "./sim/random.ts";
export * from "./sim/shrink.ts";
export * from "./sim/time.ts";
export * from "./sshHostKey.ts";
export * from "./transcript.ts";
