import {
  type ClosureHash,
  type DeclaredProbe,
  err,
  PROBE_TOPOLOGY,
  type Result,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import { type Check, PROBE_FILE, readProbeFile } from "@nixwave/protocol";
import type { Activation } from "../activation/activation.ts";
import type { Http, Process, Timer } from "../ports.ts";
import { failed, messageOf, type RunCheck } from "./check.ts";
import { execCheck } from "./execCheck.ts";
import { httpCheck } from "./httpCheck.ts";
import { type Declaration, stableCheck } from "./stableCheck.ts";
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
}

/** Built-in probes look at links only, and may do so often. */
const BUILT_IN_INTERVAL_SECS = 10;

/**
 * What a closure declares, beside what is always declared. A file that is missing, unreadable or not understood is never
 * health: it becomes a probe that fails until another closure runs (hazard 45).
 */
export function readTopology(
  parts: TopologyParts,
  declaration: Declaration,
): readonly RunnableProbe[] {
  const file = readDeclared(parts, declaration.target);
  const stable: RunnableProbe = {
    declared: builtIn(SYSTEM_STABLE, "system-stable"),
    run: stableCheck(declaration, parts.activation),
  };
  if (!file.ok) {
    const run: RunCheck = async () => failed(file.error);
    return [stable, { declared: builtIn(PROBE_TOPOLOGY, "probe-topology"), run }];
  }
  return [stable, ...file.value.map((check) => runnable(check, parts))];
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

function runnable(check: Check, parts: TopologyParts): RunnableProbe {
  const { name: probeName, kind, mode, intervalSecs } = check;
  return { declared: { probeName, kind, mode, intervalSecs }, run: runnerOf(check, parts) };
}

function runnerOf(check: Check, parts: TopologyParts): RunCheck {
  switch (check.kind) {
    case "http":
      return httpCheck(check, parts.http);
    case "tcp":
      return tcpCheck(check, parts.timer);
    case "exec":
      return execCheck(check, { process: parts.process, env: parts.env });
    case "systemd":
      return async () =>
        failed(
          `the probe ${check.name} asks for systemd units, which this version of the agent can't look at; ` +
            `declare an exec probe that runs systemctl is-active instead`,
        );
  }
}
