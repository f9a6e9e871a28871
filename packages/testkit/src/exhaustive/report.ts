import type { Coverage } from "./coverage.ts";
import type { Found } from "./search.ts";

const thousands = (count: number): string => count.toLocaleString("en");

/** One line for a world that was searched, and the shortest path to what went wrong there. */
export function foundText(found: Found): string {
  const { world, states, transitions, depth, seconds, end, failure } = found;
  const size = `${thousands(states)} states, ${thousands(transitions)} transitions, depth ${depth}`;
  const line = `${end.padEnd(8)} ${world}: ${size}, ${seconds.toFixed(1)} s`;
  return failure === null ? line : `${line}\n${failureText(failure)}`;
}

function failureText({ what, path }: NonNullable<Found["failure"]>): string {
  const steps = path.map((step, at) => `  ${String(at + 1).padStart(3)}. ${step}`);
  return [`  ${what}`, ...(steps.length === 0 ? ["  at the very start"] : steps)].join("\n");
}

export function coverageText({ cells, reached, unreached, stale }: Coverage): string {
  const listed = cells - reached - unreached.length;
  const line = `${reached} of ${cells} cells that move or stay were reached; ${listed} are listed with their reason`;
  return [
    line,
    ...unreached.map((cell) => `  never reached, and no reason is given: ${cell}`),
    ...stale.map((cell) => `  listed as never reached, and it is (or is no such cell): ${cell}`),
  ].join("\n");
}
