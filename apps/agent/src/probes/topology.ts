import {
  type ClosureHash,
  type DeclaredProbe,
  err,
  PROBE_TOPOLOGY,
  REACHABILITY,
  type Result,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import { type Check, PROBE_FILE, readProbeFile } from "@nixwave/protocol";
import type { Activation } from "../activation/activation.ts";
import { sameRecord } from "../activation/recordRef.ts";
import type { RecordRef } from "../input.ts";
import type { Baseline } from "../journal/facts.ts";
import type { Http, Process, Timer } from "../ports.ts";
import type { ReachTarget } from "./baseline.ts";
import { failed, messageOf, type RunCheck } from "./check.ts";
import { execCheck } from "./execCheck.ts";
import { httpCheck } from "./httpCheck.ts";
import { reachabilityCheck } from "./reachabilityCheck.ts";
import { type Declaration, stableCheck } from "./stableCheck.ts";
import { systemdCheck } from "./systemdCheck.ts";
import { tcpCheck } from "./tcpCheck.ts";

/** A probe as the record declares it, with the way to run it. */
export interface RunnableProbe {
  readonly declared: DeclaredProbe;
  readonly run: RunCheck;
}

export interface TopologyParts {
  readonly activation: Activation;
  readonly http: Http;
  readonly process: Process;
  readonly timer: Timer;
  readonly readText: (path: string) => string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Whom the host must be able to reach; empty: nobody, and `reachability` is not declared. */
  readonly reach: readonly ReachTarget[];
  /** As the journal has it: of the newest attempt that began to switch. */
  readonly baseline: () => Baseline | null;
}

/** Built-in probes look at links only, and may do so often. */
const BUILT_IN_INTERVAL_SECS = 10;

/**
 * What a closure declares, beside what is always declared. A file that is missing, unreadable or not understood is never
 * health: it becomes a probe that fails until another closure runs (hazard 45).
 */
export function readTopology(
  parts: TopologyParts,
  declaration: Declaration & { readonly of: RecordRef },
): readonly RunnableProbe[] {
  const file = readDeclared(parts, declaration.target);
  const before = baselineFor(parts, declaration.of);
  const builtIns: RunnableProbe[] = [
    {
      declared: builtIn(SYSTEM_STABLE, "system-stable"),
      run: stableCheck(declaration, parts.activation),
    },
    ...reachability(parts, declaration.of, before),
  ];
  if (!file.ok) {
    const run: RunCheck = async () => failed(file.error);
    return [...builtIns, { declared: builtIn(PROBE_TOPOLOGY, "probe-topology"), run }];
  }
  return [...builtIns, ...file.value.map((check) => runnable(check, parts, before))];
}

function readDeclared(
  { activation, readText }: TopologyParts,
  target: ClosureHash,
): Result<readonly Check[], string> {
  const path = `${activation.closurePath(target)}/${PROBE_FILE}`;
  try {
    const text = readText(path);
    if (text !== null) return readProbeFile(new TextEncoder().encode(text));
    return err(`${path} is missing; a closure without probes says so with an empty list of checks`);
  } catch (cause) {
    return err(messageOf(cause));
  }
}

const builtIn = (probeName: DeclaredProbe["probeName"], kind: string): DeclaredProbe => ({
  probeName,
  kind,
  mode: "enforce",
  intervalSecs: BUILT_IN_INTERVAL_SECS,
});

/** Enforced only if somebody answered before the switch: a host that was cut off before must not be rolled back for it. */
function reachability(
  parts: TopologyParts,
  of: RecordRef,
  before: Baseline | null,
): readonly RunnableProbe[] {
  const { reach, timer } = parts;
  if (reach.length === 0) return [];
  const mode = before !== null && before.answered.length > 0 ? "enforce" : "observe";
  const hasPassed = (): boolean => baselineFor(parts, of)?.reached === true;
  const declared = { ...builtIn(REACHABILITY, "reachability"), mode } as const;
  return [{ declared, run: reachabilityCheck({ reach, hasPassed }, timer) }];
}

function baselineFor({ baseline }: TopologyParts, of: RecordRef): Baseline | null {
  const found = baseline();
  return found !== null && sameRecord(found, of) ? found : null;
}

function runnable(check: Check, parts: TopologyParts, before: Baseline | null): RunnableProbe {
  const { name: probeName, kind, mode, intervalSecs } = check;
  return { declared: { probeName, kind, mode, intervalSecs }, run: runnerOf(check, parts, before) };
}

function runnerOf(check: Check, parts: TopologyParts, before: Baseline | null): RunCheck {
  switch (check.kind) {
    case "http":
      return httpCheck(check, parts.http);
    case "tcp":
      return tcpCheck(check, parts.timer);
    case "exec":
      return execCheck(check, { process: parts.process, env: parts.env });
    case "systemd":
      return systemdCheck(check, {
        process: parts.process,
        env: parts.env,
        failedBefore: before?.failedUnits ?? null,
      });
  }
}
