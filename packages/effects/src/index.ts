/** The one door of the package. */
export * from "./effect.ts";
export * from "./event.ts";
export * from "./host/state.ts";
export * from "./ids.ts";
export * from "./interpret.ts";
export * from "./invariant.ts";
export * from "./plan/change.ts";
export * from "./plan/dispatch.ts";
export * from "./plan/explanation.ts";
export * from "./plan/waiting.ts";
export * from "./release.ts";
export * from "./result.ts";
export * from "./rollout/input.ts";
export * from "./rollout/state.ts";
export * from "./time.ts";
