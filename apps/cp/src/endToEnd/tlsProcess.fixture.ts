import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { type Instant, instant } from "@nixwave/effects";
import {
  type Certificate,
  certificatePem,
  type EnrolmentKey,
  enrolWithSshKey,
  enrolWithToken,
  formatSshPublicKey,
  hostName,
  type IdentityKey,
  type Issuer,
  issueForAgent,
  issueForOperator,
  keyIssuer,
  publicHalf,
  readAuthorityPem,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { askFor, newKey } from "../identity/identity.fixture.ts";
import { type Folder, makeFolder, runCp, type Served, startCp } from "./process.fixture.ts";
import { signHosts } from "./releaseFolder.fixture.ts";
import { Caller, type Held } from "./tlsPlane.fixture.ts";

/** A real control plane in a process of its own, over TLS, with its CA and its fleet's keys in the test's hands. */
export class TlsProcess {
  readonly folder: Folder = makeFolder();
  /** Whoever has this key makes join tokens. */
  readonly tokenKey = newKey();
  readonly #sshKeys = new Map<string, KeyObject>();
  readonly #callers: Caller[] = [];
  #served: Served | null = null;

  /** Hosts that are known by their SSH host keys, and hosts that join with a token. */
  static async open(bySshKey: readonly string[], byToken: readonly string[] = []) {
    const made = new TlsProcess();
    const ended = await runCp("init", "--data", made.folder.data);
    if (ended.code !== 0) throw new Error(ended.stderr);
    const keys: readonly EnrolmentKey[] = [{ name: "ops", key: publicHalf(made.tokenKey) }];
    const lines = bySshKey.map((host) => {
      const key = newKey();
      made.#sshKeys.set(host, key);
      return [host, formatSshPublicKey(publicHalf(key))] as const;
    });
    const joining = byToken.map((host) => [host, null] as const);
    await signHosts(made.folder.releases, Object.fromEntries([...lines, ...joining]), keys);
    return made;
  }

  /** Starts it, on another port each time. */
  async serve(
    more: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Served> {
    this.#served = await startCp(this.folder, ["--name", "127.0.0.1", ...more], env);
    while (!(await this.#isReady())) await new Promise((resolve) => setImmediate(resolve));
    return this.#served;
  }

  get served(): Served {
    if (this.#served === null) throw new Error("serve it first");
    return this.#served;
  }

  get port(): number {
    return Number(new URL(this.served.url).port);
  }

  get ca(): string {
    return readFileSync(join(this.folder.data, "tls", "ca.pem"), "utf8");
  }

  sshKey(host: string): KeyObject {
    const key = this.#sshKeys.get(host);
    if (key === undefined) throw new Error(`${host} was not declared`);
    return key;
  }

  /** With this certificate or none; from this address of the loopback, which stands for another machine. */
  as(
    held: Held | null,
    from = "127.0.0.1",
    headers: Readonly<Record<string, string>> = {},
  ): Caller {
    const caller = new Caller(this.served.url, { ca: this.ca, held, headers, from });
    this.#callers.push(caller);
    return caller;
  }
  agent(held: Held, from = "127.0.0.1"): Caller {
    return this.as(held, from, { "nixwave-journal": "0".repeat(32) });
  }

  /** The CA, as the control plane has it. */
  issuer(): Issuer {
    const authority = readAuthorityPem(this.ca);
    if (!authority.ok) throw new Error(authority.error);
    const key = readFileSync(join(this.folder.data, "tls", "ca.key"), "utf8");
    return keyIssuer(authority.value, createPrivateKey(key));
  }

  certified(host: string, now: Instant = instant(Date.now())): Promise<Held> {
    const name = hostName.parse(host);
    return this.#issued((key, issuer, serial) => issueForAgent(issuer, { name, key, serial, now }));
  }
  operator(name: string): Promise<Held> {
    const now = instant(Date.now());
    return this.#issued((key, issuer, serial) =>
      issueForOperator(issuer, { name, role: "viewer", key, serial, now }),
    );
  }

  async withSsh(host: string) {
    const { asked, privateKey } = await askFor(host, instant(Date.now()));
    return { request: enrolWithSshKey(asked, this.sshKey(host)), privateKey };
  }
  async withToken(host: string, token: string) {
    const { asked, privateKey } = await askFor(host, instant(Date.now()));
    return { request: enrolWithToken(asked, token), privateKey };
  }

  async #issued(
    issue: (key: IdentityKey, issuer: Issuer, serial: Uint8Array) => Promise<Certificate>,
  ): Promise<Held> {
    const { privateKey } = generateKeyPairSync("ed25519");
    const issued = await issue(publicHalf(privateKey), this.issuer(), randomBytes(SERIAL_BYTES));
    return { privateKey, certificate: certificatePem(issued) };
  }

  #isReady(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.served.url}/readyz`, { ca: this.ca, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  /** The sockets that the process has open, its listener among them. */
  sockets(): number {
    const folder = `/proc/${this.served.pid}/fd`;
    return readdirSync(folder, { withFileTypes: true }).filter((entry) => {
      try {
        return readlinkSync(join(folder, entry.name)).startsWith("socket:");
      } catch {
        return false;
      }
    }).length;
  }

  close(): void {
    for (const caller of this.#callers) caller.close();
    this.folder.remove();
  }
}
