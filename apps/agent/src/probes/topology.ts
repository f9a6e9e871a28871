import {
  type DeclaredProbe,
  PROBE_TOPOLOGY,
  type ProbeMode,
  SYSTEM_STABLE,
} from "@nixwave/effects";
import type { Activation } from "../activation/activation.ts";
import type { Http, Process, Timer } from "../ports.ts";
import { failed, type RunCheck } from "./check.ts";
import { execCheck } from "./execCheck.ts";
import { httpCheck } from "./httpCheck.ts";
import { type DeclaredCheck, readProbeFile } from "./probeFile.ts";
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
  const { activation, readText } = parts;
  const path = `${activation.closurePath(declaration.target)}/etc/nixwave/agent/health-checks.json`;
  const file = readProbeFile(path, readText);
  const stable: RunnableProbe = {
    declared: builtIn(SYSTEM_STABLE, "system-stable"),
    run: stableCheck(declaration, activation),
  };
  if (!file.ok) {
    const run: RunCheck = async () => failed(file.error);
    return [stable, { declared: builtIn(PROBE_TOPOLOGY, "probe-topology"), run }];
  }
  return [stable, ...file.value.map((check) => runnable(check, parts))];
}

const builtIn = (probeName: DeclaredProbe["probeName"], kind: string): DeclaredProbe => ({
  probeName,
  kind,
  mode: "enforce" satisfies ProbeMode,
  intervalSecs: BUILT_IN_INTERVAL_SECS,
});

function runnable(check: DeclaredCheck, parts: TopologyParts): RunnableProbe {
  const { name: probeName, kind, mode, intervalSecs } = check;
  return { declared: { probeName, kind, mode, intervalSecs }, run: runnerOf(check, parts) };
}

function runnerOf(check: DeclaredCheck, parts: TopologyParts): RunCheck {
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
