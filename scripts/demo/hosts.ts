import { mkdirSync, readlinkSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { type ClosureHash, isClosureHash } from "@nixwave/effects";
import { type ClosurePlan, makeClosure } from "./closure.ts";
import { endUnits } from "./unit.ts";

/** What the hosts of a fleet are: folders of links, or real stores of Nix. */
export interface DemoHosts {
  /** What has to be there before the first closure. Throws NotReached, with the remedy, where this machine has not what it takes. */
  start(): Promise<void>;
  /** A closure for each plan, by its host, where that host can have it from. */
  make(plans: readonly ClosurePlan[]): Promise<ReadonlyMap<string, ClosureHash>>;
  /** A host as it came from its installer: this closure, and no other, is what runs and what is named. */
  install(host: string, closure: ClosureHash): Promise<void>;
  /** `activation` of the agent's configuration. */
  activation(host: string): object;
  /** How a program of ours is started on the host. */
  program(host: string, argv: readonly string[]): HostCommand;
  /** What runs, as the host's own link has it. */
  running(host: string): ClosureHash | null;
  /** Ends the switches that the agent left running. */
  endUnits(host: string): void;
  stop(): Promise<void>;
}

export interface HostCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where a host keeps what is its own, and its service says what it is. */
export const hostRoot = (folder: string, host: string): string =>
  join(folder, "hosts", host, "root");

export function linkedClosure(link: string): ClosureHash | null {
  try {
    const name = basename(readlinkSync(link));
    return isClosureHash(name) ? name : null;
  } catch {
    return null;
  }
}

/** No Nix: closures are folders that all hosts share. */
export class DirectoryHosts implements DemoHosts {
  readonly #folder: string;
  readonly #closures: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#closures = join(folder, "closures");
  }

  async start(): Promise<void> {
    mkdirSync(this.#closures);
  }

  async make(plans: readonly ClosurePlan[]): Promise<ReadonlyMap<string, ClosureHash>> {
    return new Map(plans.map((plan) => [plan.host, makeClosure(this.#closures, plan)]));
  }

  async install(host: string, closure: ClosureHash): Promise<void> {
    for (const name of ["current-system", "profile", "boot"])
      symlinkSync(join(this.#closures, closure), join(hostRoot(this.#folder, host), name));
  }

  activation(host: string): object {
    const root = hostRoot(this.#folder, host);
    return { backend: "directory", root, closures: this.#closures };
  }

  program(_: string, argv: readonly string[]): HostCommand {
    return { command: process.execPath, args: argv, env: {} };
  }

  running(host: string): ClosureHash | null {
    return linkedClosure(join(hostRoot(this.#folder, host), "current-system"));
  }

  endUnits(host: string): void {
    const root = hostRoot(this.#folder, host);
    endUnits(join(root, "units"), `NIXWAVE_ROOT=${root}`);
  }

  async stop(): Promise<void> {
    // Everything is a file of the scratch folder.
  }
}
