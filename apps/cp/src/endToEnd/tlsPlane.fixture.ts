import { type KeyObject, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { type Instant, instant } from "@nixwave/effects";
import {
  type Client,
  client,
  type EnrolmentAsk,
  type EnrolmentRequest,
  enrolWithSshKey,
  type FetchPort,
} from "@nixwave/protocol";
import { askFor, NAME, newKey, TestFleet } from "../identity/identity.fixture.ts";
import { grantToken } from "../maintenance/operators.ts";
import { databasePath, openDatabase } from "../store/database.ts";
import type { TlsConfig } from "../tlsConfig.ts";
import { openPlane, type PlaneOptions, type TestPlane } from "./plane.fixture.ts";

/** OpenSSL reads the machine's clock and no other, so whole planes over TLS begin in this second. */
export const REAL_NOW = instant(Math.floor(Date.now() / 1000) * 1000);

/** A private key and the certificate that was issued for it, in PEM. */
export interface Held {
  readonly privateKey: KeyObject;
  readonly certificate: string;
}

/** What a client of TLS 1.3 is told, over connections of its own. */
export class Caller {
  readonly agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #url: string;
  readonly client: Client;

  constructor(
    url: string,
    tls: {
      ca: string;
      held: Held | null;
      headers: Readonly<Record<string, string>>;
      /** An address of this machine. */
      from?: string;
    },
  ) {
    const { ca, held, headers, from = "127.0.0.1" } = tls;
    this.#headers = headers;
    this.#url = url;
    const own =
      held === null
        ? {}
        : {
            cert: held.certificate,
            key: held.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
          };
    const secure = { ca, ...own, minVersion: "TLSv1.3" } as const;
    this.agent = new Agent({ ...secure, keepAlive: true, localAddress: from });
    this.client = client(url, this.#fetch, () => this.#headers);
  }

  readonly #fetch: FetchPort = ({ url, method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const options = {
        method,
        headers,
        agent: this.agent,
        ...(signal === null ? {} : { signal }),
      };
      const sent = request(url, options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const given = Object.entries(answer.headers).map(([name, value]) => [
            name,
            String(value),
          ]);
          const all: Record<string, string> = Object.fromEntries(given);
          resolve({ status: answer.statusCode ?? 0, headers: all, body: Buffer.concat(chunks) });
        });
      });
      sent.on("error", reject);
      sent.end(body ?? undefined);
    });

  async status(method: "GET" | "POST", path: string): Promise<number> {
    const answer = await this.#plain(method, path);
    return answer.status;
  }

  async text(path: string): Promise<string> {
    return Buffer.from((await this.#plain("GET", path)).body).toString();
  }

  /** /v1/stream, which ends when the connection does. */
  stream(): { readonly began: Promise<void>; readonly ended: Promise<string> } {
    const headers = { ...this.#headers, "nixwave-protocol": "1" };
    const sent = request(`${this.#url}/v1/stream`, { headers, agent: this.agent });
    sent.end();
    const ended = Promise.withResolvers<string>();
    const began = new Promise<void>((resolve, reject) => {
      sent.on("error", reject);
      sent.on("response", (answer) => {
        answer.on("error", () => ended.resolve("ended"));
        answer.on("close", () => ended.resolve("ended"));
        answer.resume();
        resolve();
      });
    });
    return { began, ended: ended.promise };
  }

  /** The open connections that no request uses. */
  sockets(): readonly TLSSocket[] {
    const free = Object.values(this.agent.freeSockets).flatMap((sockets) => sockets ?? []);
    return free.filter((socket) => socket instanceof TLSSocket);
  }

  #plain(method: "GET" | "POST", path: string) {
    const headers = { ...this.#headers, "nixwave-protocol": "1" };
    return this.#fetch({ url: `${this.#url}${path}`, method, headers, body: null, signal: null });
  }

  close(): void {
    this.agent.destroy();
  }
}

export interface TlsPlane {
  readonly test: TestPlane;
  readonly fleet: TestFleet;
  readonly ca: string;
  /** With this certificate or none, and these headers beside. */
  readonly as: (held: Held | null, headers?: Readonly<Record<string, string>>) => Caller;
  readonly agent: (held: Held) => Caller;
  /** A request for a new key, proven by an SSH host key. */
  readonly ask: (host: string, sshKey: KeyObject, now?: Instant) => Promise<Asked>;
  /** Declares the host with an SSH key of its own, and enrols it. */
  readonly enrol: (host: string, sshKey?: KeyObject) => Promise<Held>;
  /** Once so many polls are parked. */
  readonly parked: (count: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Asked {
  readonly request: EnrolmentRequest;
  readonly privateKey: KeyObject;
  readonly asked: EnrolmentAsk;
}

export const TLS: TlsConfig = {
  name: NAME,
  authority: { kind: "own" },
  server: { kind: "own", names: [NAME, "localhost"] },
  allowTokenAdmin: false,
};

export async function openTlsPlane(options: PlaneOptions = {}): Promise<TlsPlane> {
  const fleet = new TestFleet();
  const test = await openPlane({ tls: TLS, fleetTrust: fleet, now: REAL_NOW, ...options });
  const ca = readFileSync(join(test.folder.data, "tls", "ca.pem"), "utf8");
  const callers: Caller[] = [];
  const as: TlsPlane["as"] = (held, headers = {}) => {
    const caller = new Caller(test.plane.url, { ca, held, headers });
    callers.push(caller);
    return caller;
  };
  let token: string | null = null;
  const viewer = (): string => {
    const db = openDatabase(databasePath(test.folder.data));
    const random = { bytes: (count: number) => randomBytes(count) };
    const asked = { name: "eye", role: "viewer", days: 1, by: "root", random } as const;
    token ??= grantToken(db, { ...asked, now: test.time.now }).token;
    db.close();
    return `Bearer ${token}`;
  };
  const ask: TlsPlane["ask"] = async (name, sshKey, now = test.time.now) => {
    const { asked, privateKey } = await askFor(name, now);
    return { asked, privateKey, request: enrolWithSshKey(asked, sshKey) };
  };
  const enrol: TlsPlane["enrol"] = async (name, sshKey = newKey()) => {
    const known = fleet.facts()?.hosts ?? new Map();
    fleet.declare({ [name]: sshKey });
    fleet.sign({ hosts: new Map([...known, ...(fleet.facts()?.hosts ?? [])]) });
    const { request: body, privateKey } = await ask(name, sshKey);
    const answer = await as(null).client.call("enroll", { body });
    if (!answer.ok) throw new Error(answer.error.detail);
    return { privateKey, certificate: answer.value.certificate };
  };
  return {
    test,
    fleet,
    ca,
    as,
    agent: (held) => as(held, { "nixwave-journal": "0".repeat(32) }),
    ask,
    enrol,
    parked: async (count) => {
      const { server } = test.plane;
      const metrics = async () =>
        (await server.inject({ url: "/metrics", headers: { authorization: viewer() } })).body;
      while (!(await metrics()).includes(`nixwave_polls_parked ${count}\n`))
        await new Promise((resolve) => setImmediate(resolve));
    },
    close: async () => {
      for (const caller of callers) caller.close();
      await test.close();
    },
  };
}
