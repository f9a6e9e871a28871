import type { Style } from "./render/style.ts";
import type { Surroundings } from "./surroundings.ts";

/** NO_COLOR (any value but none) and a pipe both mean plain text; FORCE_COLOR is not looked at. */
export function styleOf({
  terminal,
  env,
  timeZone,
}: Pick<Surroundings, "terminal" | "env" | "timeZone">): Style {
  const refused = env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== "";
  const dumb = env["TERM"] === "dumb";
  return { colour: terminal.screen && !refused && !dumb, columns: terminal.columns(), timeZone };
}
