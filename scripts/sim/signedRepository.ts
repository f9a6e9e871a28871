import { join } from "node:path";
import {
  type CpClock,
  type CpLogger,
  directoryFiles,
  type MirroredFiles,
  mirrorOf,
  TrustedRepository,
} from "@nixwave/cp";
import type { HostName, Instant } from "@nixwave/effects";
import type { ReleaseSource, WrittenRelease } from "@nixwave/protocol";
import type { RealWork, SeededRandom } from "@nixwave/testkit";
import { type MirrorAttack, startAttack } from "./mirrorAttack.ts";
import { Owner } from "./owner.fixture.ts";
import { type OpenedRepository, ReleaseRepository } from "./repository.ts";
import type { Fault, HostPlan } from "./scenario.ts";

export type AttackFault = Extract<Fault, { readonly kind: "mirror-attacks" }>;

export interface SignedParts {
  /** On a real disk: the control plane's data directory is in it, and each host's trust. */
  readonly folder: string;
  readonly random: SeededRandom;
  readonly hosts: readonly HostPlan[];
  readonly realWork: RealWork;
  readonly now: Instant;
}

/**
 * A repository that is signed with real keys. The control plane verifies and mirrors it with its own code; what a mirror on the way
 * to it, or between it and the agents, makes of the files is an attack.
 */
export class SignedRepository extends ReleaseRepository {
  readonly owner: Owner;
  readonly #parts: SignedParts;
  readonly #attacks = new Map<AttackFault, MirrorAttack>();
  /** Changes with whatever the origin may serve otherwise. */
  #print = 0;

  constructor(parts: SignedParts) {
    super();
    this.#parts = parts;
    this.owner = new Owner(parts.random, parts.hosts, parts.now);
    this.owner.begin();
  }

  override publish(written: WrittenRelease): void {
    super.publish(written);
    this.owner.publish(written, written.release.createdAt);
    this.#print += 1;
  }

  /** The root.json that came with each host, and that the control plane's operator gave. */
  get root(): Uint8Array {
    return this.owner.root();
  }

  stateDirOf(host: string): string {
    return join(this.#parts.folder, "hosts", host);
  }

  begin(fault: AttackFault, now: Instant): MirrorAttack {
    const attack = startAttack(fault.attack, {
      owner: this.owner,
      releases: [...this.releases.values()],
      random: this.#parts.random.stream(`attack at ${fault.atMs}`),
      now,
    });
    this.#attacks.set(fault, attack);
    this.#print += 1;
    return attack;
  }

  /** Over, and found out. False where it was over before. */
  end(fault: AttackFault, now: Instant): boolean {
    const attack = this.#attacks.get(fault);
    if (attack === undefined) return false;
    this.#attacks.delete(fault);
    attack.mend(now);
    this.#print += 1;
    return true;
  }

  endAll(now: Instant): void {
    for (const fault of this.#attacks.keys()) this.end(fault, now);
  }

  /** What stands between the control plane and this host now. */
  attackOn(host: HostName): MirrorAttack | null {
    for (const [fault, attack] of this.#attacks)
      if (fault.where === "agents" && fault.hosts.some((name) => name === host)) return attack;
    return null;
  }

  /** Whatever the mirrors name that nobody signed who may. */
  get evils(): readonly NonNullable<MirrorAttack["evil"]>[] {
    return [...this.#attacks.values()].flatMap(({ evil }) => (evil === null ? [] : [evil]));
  }

  override async opened(clock: CpClock, log: CpLogger): Promise<OpenedRepository> {
    const { folder, realWork } = this.#parts;
    const dataDir = join(folder, "control-plane");
    const origin = {
      print: async () => String(this.#print),
      fetch: async (path: string) => arriving(this.#atOrigin(path)),
    };
    const root = this.root;
    const trusted = await realWork.during(() =>
      TrustedRepository.open({ dataDir, root, origin, clock, log }),
    );
    const source: ReleaseSource = {
      channels: () => realWork.during(() => trusted.channels()),
      current: (channel) => realWork.during(() => trusted.current(channel)),
      held: (channel) => realWork.during(() => trusted.held(channel)),
    };
    const files = directoryFiles(mirrorOf(dataDir));
    const mirrored: MirroredFiles = {
      metadata: (file) => realWork.during(() => files.metadata(file)),
      target: (channel, file) => realWork.during(() => files.target(channel, file)),
    };
    return {
      source,
      fingerprint: () => realWork.during(() => trusted.fingerprint()),
      mirrored,
    };
  }

  #atOrigin(path: string): Uint8Array | null {
    for (const [{ where }, attack] of this.#attacks)
      if (where === "origin") return attack.read(path);
    return this.owner.files.get(path) ?? null;
  }
}

const arriving = (bytes: Uint8Array | null): AsyncIterable<Uint8Array> | null =>
  bytes === null ? null : once(bytes);

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
