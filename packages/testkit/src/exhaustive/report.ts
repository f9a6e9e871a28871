import type { Coverage } from "./coverage.ts";
import type { Found } from "./search.ts";
import type { Setting } from "./setting.ts";

const thousands = (count: number): string => count.toLocaleString("en");

/** A world that was searched, what one path through it was allowed, and the shortest path to what went wrong there. */
export function foundText(found: Found): string {
  const { world, states, transitions, depth, seconds, end, failure } = found;
  const size = `${thousands(states)} states, ${thousands(transitions)} transitions, depth ${depth}`;
  const line = `${end.padEnd(8)} ${world.name}: ${size}, ${seconds.toFixed(1)} s\n         ${boundsText(world)}`;
  return failure === null ? line : `${line}\n${failureText(failure)}`;
}

/** What `closure` is the closure of. */
function boundsText({ spend, lagMax, depthMax }: Setting): string {
  const counts = [
    `faults ≤ ${spend.faults}`,
    `copies ≤ ${spend.copies}`,
    `operator's acts ≤ ${spend.acts}`,
  ];
  const lag = Number.isFinite(lagMax) ? [`unsent events of a host that goes on < ${lagMax}`] : [];
  const depth = depthMax === null ? [] : [`steps ≤ ${depthMax}`];
  return `of paths with ${[...counts, ...lag, ...depth].join(", ")}`;
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
