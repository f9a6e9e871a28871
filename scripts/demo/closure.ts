import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClosureHash, parseClosureHash } from "@nixwave/effects";

/** What a closure of the demo is made of. It belongs to one host, as a NixOS system does. */
export interface ClosurePlan {
  readonly host: string;
  /** `app-1`: what the service says of itself once the closure runs. */
  readonly version: string;
  /** What the service answers to its health check: null is well, a text is a 503 with that reason. */
  readonly ailment: string | null;
  /** `http://127.0.0.1:PORT/<host>/health` is asked by the probe. */
  readonly service: ServiceAddress;
  readonly probeIntervalSecs: number;
  /** How long the switch takes, so that it can be seen, and killed in the middle. */
  readonly switchSecs: number;
}

interface ServiceAddress {
  readonly address: string;
  readonly port: number;
}

/**
 * Makes `<closures>/<hash>-<name>` with the two things that the directory backend wants: bin/switch-to-configuration and
 * the declared probes. The same plan gives the same closure.
 */
export function makeClosure(closures: string, plan: ClosurePlan): ClosureHash {
  const digest = createHash("sha256").update(JSON.stringify(plan)).digest();
  const made = parseClosureHash(`${nixBase32(digest)}-${plan.host}-${plan.version}`);
  if (!made.ok)
    throw new Error(`${plan.host}-${plan.version} gives no closure: ${made.error.expected}`);
  const folder = join(closures, made.value);
  mkdirSync(join(folder, "bin"), { recursive: true });
  mkdirSync(join(folder, "etc/nixwave/agent"), { recursive: true });
  const program = join(folder, "bin/switch-to-configuration");
  writeFileSync(program, switchScript(plan));
  chmodSync(program, 0o755);
  const checks = JSON.stringify(healthChecks(plan), null, 2);
  writeFileSync(join(folder, "etc/nixwave/agent/health-checks.json"), `${checks}\n`);
  return made.value;
}

/** Nix's base 32 has no e, o, u and t. 32 digits carry 160 bits. */
const NIX_BASE32 = "0123456789abcdfghijklmnpqrsvwxyz";

function nixBase32(digest: Buffer): string {
  let text = "";
  for (let at = 0; at < 32; at += 1) {
    const bit = at * 5;
    const pair = digest.readUInt16BE(Math.floor(bit / 8));
    text += NIX_BASE32.charAt((pair >> (11 - (bit % 8))) & 31);
  }
  return text;
}

/**
 * Swaps the running system and the boot default in one rename each, as NixOS's script does with its links, and tells the
 * service what it is now. The service is files that the demo's HTTP server reads: nothing is left running by a switch.
 */
function switchScript(plan: ClosurePlan): string {
  return `#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")/.." && pwd -P)
swap() { ln -s "$here" "$NIXWAVE_ROOT/$1.new.$$" && mv -T "$NIXWAVE_ROOT/$1.new.$$" "$NIXWAVE_ROOT/$1"; }
tell() { printf '%s\\n' "$2" > "$NIXWAVE_ROOT/service/$1.new.$$" && mv "$NIXWAVE_ROOT/service/$1.new.$$" "$NIXWAVE_ROOT/service/$1"; }
case "\${1:-}" in
  check) ;;
  boot) swap boot ;;
  switch)
    echo "stopping the service"
    sleep ${plan.switchSecs}
    swap boot
    swap current-system
    mkdir -p "$NIXWAVE_ROOT/service"
    tell version ${quoted(plan.version)}
    tell health ${quoted(plan.ailment ?? "ok")}
    echo "started ${plan.version}"
    ;;
  *) echo "usage: switch-to-configuration check|boot|switch" >&2; exit 1 ;;
esac
`;
}

/** As one word of the shell, whatever is in it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The declared probes. */
export function healthChecks(plan: ClosurePlan): unknown {
  const { address, port } = plan.service;
  const every = { intervalSecs: plan.probeIntervalSecs, timeoutSecs: 2 };
  return {
    schemaVersion: 1,
    checks: [
      {
        name: "http-app",
        kind: "http",
        url: `http://${address}:${port}/${plan.host}/health`,
        ...every,
      },
      { name: "tcp-app", kind: "tcp", host: address, port, mode: "observe", ...every },
    ],
  };
}
