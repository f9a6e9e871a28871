import type { ClosureHash, HostName } from "@nixwave/effects";
import { Refusal } from "../refusal.ts";
import { build, demandBuilt, type Push, push, readClosure, type StoredClosure } from "./build.ts";
import { type ClosureDiff, type DiffGroup, diffClosures, groupByDiff } from "./closureDiff.ts";
import { evaluateToplevels } from "./evaluate.ts";
import type { RunTool } from "./nix.ts";

interface FlakeOptions {
  /** `.#fleet`, as Nix takes it. */
  readonly flake: string;
  /** Whose systems are built and released anew. */
  readonly hosts: readonly HostName[];
  /** False: all must be in the store already. */
  readonly mayBuild: boolean;
  /** Null: hosts find the closures without our help. */
  readonly push: Push | null;
  /** What each host runs by the release before, as a store path's base name. */
  readonly previous: ReadonlyMap<HostName, ClosureHash>;
  readonly onStep: (sentence: string) => void;
}

export interface Closure {
  readonly closure: ClosureHash;
  /** Null in a release that was made without one. */
  readonly digest: string | null;
}

interface FlakeClosure extends Closure {
  readonly host: HostName;
}

interface FlakeClosures {
  readonly closures: readonly FlakeClosure[];
  /** Of the hosts that get another closure than before. */
  readonly groups: readonly DiffGroup[];
  /** Pushes what was built; nothing where there is nothing to push to. */
  readonly push: () => Promise<void>;
}

/** From a flake to what a release names: evaluate, build, digest, compare. What is pushed waits until the person has agreed. */
export async function closuresOf(run: RunTool, options: FlakeOptions): Promise<FlakeClosures> {
  const { hosts, previous, onStep } = options;
  onStep(`Evaluating ${hosts.length} systems …`);
  const systems = await evaluateToplevels(run, options.flake, hosts);
  if (options.mayBuild) {
    onStep(`Building what is not in the store yet …`);
    await build(run, systems);
  } else await demandBuilt(run, systems);
  const read = memoised((output) => readClosure(run, output));
  const closures: FlakeClosure[] = [];
  const diffs: { host: HostName; diff: ClosureDiff | null }[] = [];
  for (const [at, { host, output, closure }] of systems.entries()) {
    if (at % STEP_EVERY === 0) onStep(`Digesting closures: ${at} of ${systems.length} …`);
    const after = await read(output);
    if (after === null) {
      throw new Refusal(`${output} of host ${host} was built, and can't be read from the store.`);
    }
    closures.push({ host, closure, digest: after.digest });
    const before = previous.get(host);
    if (before === undefined || before === closure) continue;
    const was = await read(`${folderOf(output)}/${before}`);
    diffs.push({ host, diff: was === null ? null : diffClosures(was.paths, after.paths) });
  }
  const how = options.push;
  return {
    closures,
    groups: groupByDiff(diffs),
    push: async () => {
      if (how === null) return;
      onStep("Pushing the closures …");
      await push(run, how, systems);
    },
  };
}

/** A closure takes about a tenth of a second. */
const STEP_EVERY = 25;

const folderOf = (output: string): string => output.slice(0, output.lastIndexOf("/"));

/** Hosts of one fleet often ran, or will run, the same closure. */
function memoised(read: (output: string) => Promise<StoredClosure | null>) {
  const known = new Map<string, Promise<StoredClosure | null>>();
  return (output: string) => {
    const found = known.get(output) ?? read(output);
    known.set(output, found);
    return found;
  };
}
