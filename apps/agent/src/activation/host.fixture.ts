import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { ClosureHash } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { systemProcess } from "../perform/process.ts";
import { systemDisk, systemRandom } from "../perform/systemPorts.ts";
import type { Timer } from "../ports.ts";
import type { Activation } from "./activation.ts";
import { directoryActivation } from "./directory.ts";
import type { DirectoryConfig, DirectoryPorts } from "./directoryShell.ts";

/** What a closure of a test does, as shell; `swap boot` and `swap current-system` are there to be called. */
export interface Script {
  readonly check?: string;
  readonly boot?: string;
  readonly switch?: string;
  /** Replaces the answer to any other word. */
  readonly usage?: string;
}

/** A host of links in a scratch folder, with real processes. */
export interface TestHost {
  readonly dir: string;
  readonly root: string;
  readonly config: DirectoryConfig;
  readonly ports: DirectoryPorts;
  readonly activation: Activation;
  /** Makes `<closures>/<hash>-<name>`, or the same in the cache. */
  makeClosure(name: string, script?: Script, folder?: "closures" | "cache"): ClosureHash;
  setLinks(name: ClosureHash, ...links: readonly LinkName[]): void;
  readLink(name: LinkName): string;
  writeFile(name: string, text: string): void;
  exists(name: string): boolean;
  /** The numbers of what runs for this host, by the environment that units get; zombies are no more. */
  processes(): readonly string[];
  /** Power cut: nothing of the host runs any more. */
  killAll(): void;
  remove(): void;
}
type LinkName = "current-system" | "profile" | "boot";

/** How long a test waits for what has to come; only a machine under load needs it. A test may take as long itself. */
export const SOON = { timeout: 20_000, interval: 10 };

/** The backend's waits are for a machine under load; a test has none to lose. */
const TIMES_FASTER = 20;
export const fastTimer: Timer = {
  after: (ms, fire) => {
    const timer = setTimeout(fire, ms / TIMES_FASTER);
    return () => clearTimeout(timer);
  },
};

export function testHost(existing?: string): TestHost {
  const dir = existing ?? mkdtempSync(join(tmpdir(), "nixwave-host-"));
  const root = join(dir, "host");
  const closures = join(dir, "closures");
  const cache = join(dir, "cache");
  for (const folder of [root, closures, cache]) mkdirSync(folder, { recursive: true });
  const path = process.env["PATH"] ?? "/usr/bin:/bin";
  const config: DirectoryConfig = { closures, root, cache, path };
  const ports: DirectoryPorts = {
    process: systemProcess,
    timer: fastTimer,
    random: systemRandom,
    disk: systemDisk,
  };
  const activation = directoryActivation(config, ports);
  return {
    dir,
    root,
    config,
    ports,
    activation,
    makeClosure: (name, script = {}, folder = "closures") => {
      const hash = closure(name);
      const bin = join(dir, folder, hash, "bin");
      mkdirSync(bin, { recursive: true });
      writeFileSync(join(bin, "switch-to-configuration"), scriptText(script), { mode: 0o755 });
      return hash;
    },
    setLinks: (hash, ...links) => {
      for (const link of links) {
        symlinkSync(join(closures, hash), join(root, `${link}.test`));
        renameSync(join(root, `${link}.test`), join(root, link));
      }
    },
    readLink: (name) => basename(readlinkSync(join(root, name))),
    writeFile: (name, text) => writeFileSync(join(root, name), text),
    exists: (name) => existsSync(join(root, name)),
    processes: () => processesOf(root),
    killAll: () => killProcessesOf(root),
    remove: () => {
      killProcessesOf(root);
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function processesOf(root: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false;
    try {
      if (/\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) return false;
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`NIXWAVE_ROOT=${root}\0`);
    } catch {
      // It ended at this moment.
      return false;
    }
  });
}

/** A process may fork while the list is walked, so it is walked until nobody is left. */
function killProcessesOf(root: string): void {
  for (let pids = processesOf(root); pids.length > 0; pids = processesOf(root)) {
    for (const pid of pids) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // It ended at this moment.
      }
    }
  }
}

function scriptText(script: Script): string {
  const both = "swap boot; swap current-system";
  return `#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd -P)
swap() { ln -s "$here" "$NIXWAVE_ROOT/$1.new.$$" && mv -T "$NIXWAVE_ROOT/$1.new.$$" "$NIXWAVE_ROOT/$1"; }
cd "$NIXWAVE_ROOT"
case "\${1:-}" in
  check) ${script.check ?? ":"} ;;
  boot) ${script.boot ?? "swap boot"} ;;
  switch) ${script.switch ?? both} ;;
  *) ${script.usage ?? 'echo "Usage: $0 check|boot|switch" >&2; exit 1'} ;;
esac
`;
}
