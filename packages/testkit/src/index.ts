/** The one door of the package; private to this repository. */
export * from "./build.ts";
export * from "./hostScript.ts";
export * from "./sim/chronicle.ts";
export * from "./sim/invariants.ts";
export * from "./sim/network.ts";
export * from "./sim/random.ts";
export * from "./sim/shrink.ts";
export * from "./sim/time.ts";
export * from "./transcript.ts";
