/** The one door of the package; private to this repository. */
export * from "./build.ts";
export * from "./hostScript.ts";
export * from "./transcript.ts";
