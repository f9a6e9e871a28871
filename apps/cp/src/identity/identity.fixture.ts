import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { HostName, Instant } from "@nixwave/effects";
import {
  channel,
  type EnrolmentAsk,
  type EnrolmentKey,
  formatSshPublicKey,
  hostName,
  makeCertificateRequest,
  publicHalf,
  type RevokedHost,
} from "@nixwave/protocol";
import type { FleetFacts, FleetTrust } from "../fleetTrust.ts";

const STABLE = channel.parse("stable");
export const NAME = "127.0.0.1";
export const newKey = (): KeyObject => generateKeyPairSync("ed25519").privateKey;

/** What the fleet's owners have signed, in a test's hands. */
export class TestFleet implements FleetTrust {
  readonly #calls = new Set<(facts: FleetFacts) => void>();
  #facts: FleetFacts | null = { hosts: new Map(), enrolmentKeys: [], revocations: new Map() };

  facts(): FleetFacts | null {
    return this.#facts;
  }

  onChange(call: (facts: FleetFacts) => void): () => void {
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  sign(change: Partial<FleetFacts>): void {
    const before = this.#facts ?? { hosts: new Map(), enrolmentKeys: [], revocations: new Map() };
    const next = { ...before, ...change };
    this.#facts = next;
    for (const call of this.#calls) call(next);
  }

  /** As before the first repository was verified: nothing is known, and nobody is told. */
  forget(): void {
    this.#facts = null;
  }

  /** Declares hosts by the public halves of their SSH host keys; null: it joins with a token. */
  declare(hosts: Readonly<Record<string, KeyObject | null>>): void {
    const declared = Object.entries(hosts).map(([name, key]) => {
      const sshHostKey = key === null ? null : formatSshPublicKey(publicHalf(key));
      return [hostName.parse(name), { channel: STABLE, sshHostKey }] as const;
    });
    this.sign({ hosts: new Map(declared) });
  }

  revoke(revoked: Readonly<Record<string, Instant | null>>): void {
    const list = Object.entries(revoked).map(([name, before]): [HostName, RevokedHost] => [
      hostName.parse(name),
      { before, reason: "stolen" },
    ]);
    this.sign({ revocations: new Map(list) });
  }

  trustTokensOf(keys: readonly EnrolmentKey[]): void {
    this.sign({ enrolmentKeys: keys });
  }
}

/** What an enrolment states, for a new key. */
export async function askFor(
  name: string,
  now: Instant,
): Promise<{ asked: EnrolmentAsk; privateKey: KeyObject }> {
  const host = hostName.parse(name);
  const privateKey = newKey();
  const csr = await makeCertificateRequest({ name: host, privateKey });
  return { asked: { controlPlane: NAME, host, now, csr }, privateKey };
}
