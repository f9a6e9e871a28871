import { execFile, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { instant } from "@nixwave/effects";
import {
  certificatePem,
  issueForServer,
  publicHalf,
  readCertificate,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { Forger } from "@nixwave/protocol/attacks.fixture";
import { closure, newSshHostKey, type SshHostKey } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CP_NAME, Enroller } from "./identity/enroller.fixture.ts";
import { identityPath } from "./identity/file.ts";

// The program itself against a control plane that enrols and does nothing else, over real TLS.

const BIN = join(import.meta.dirname, "../bin/nixwave-agent.mjs");
const now = () => instant(Date.now());

const forger = Forger.honest();
const ROOT = forger.root();
forger.remove();

let dir: string;
let enroller: Enroller;
let server: Server;
let url: string;
let hostKey: SshHostKey;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-enroll-"));
  for (const folder of ["root", "closures"]) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, "root.json"), ROOT);
  mkdirSync(join(dir, "closures", closure("old")));
  for (const link of ["current-system", "profile", "boot"])
    symlinkSync(join(dir, "closures", closure("old")), join(dir, "root", link));
  enroller = await Enroller.open(now);
  hostKey = newSshHostKey("root@web-1");
  enroller.sshHostKey = hostKey.publicLine;
  writeFileSync(join(dir, "host-key"), hostKey.privateText, { mode: 0o600 });
  writeFileSync(join(dir, "ca.pem"), certificatePem(enroller.authority));
  server = await serve();
  const address = server.address();
  url = typeof address === "object" && address !== null ? `https://127.0.0.1:${address.port}` : "";
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function serve(): Promise<Server> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = await issueForServer(enroller.issuer, {
    serial: randomBytes(SERIAL_BYTES),
    now: now(),
    key: publicHalf(privateKey),
    dnsNames: [CP_NAME],
    ipAddresses: [],
  });
  const peers = new WeakMap<object, TLSSocket>();
  const listener = createServer(
    {
      key: privateKey.export({ format: "pem", type: "pkcs8" }),
      cert: certificatePem(certificate),
      ca: certificatePem(enroller.authority),
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
    },
    (request, response) => {
      const raw = peers.get(request.socket)?.getPeerX509Certificate()?.raw;
      const peer = raw === undefined ? null : readCertificate(raw);
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const shown =
          peer?.ok === true ? { key: "", certificate: certificatePem(peer.value) } : null;
        const body = Buffer.concat(chunks).toString();
        const asked = {
          method: "POST" as const,
          url: `https://x${request.url ?? ""}`,
          headers: {},
          body,
          timeoutMs: 0,
          answerBytesMax: 0,
        };
        enroller.answer(asked, shown).then(
          (answer) => response.writeHead(answer.status).end(answer.body),
          () => response.destroy(),
        );
      });
    },
  );
  listener.on("secureConnection", (socket: TLSSocket) => peers.set(socket, socket));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return listener;
}

function config(over: Readonly<Record<string, unknown>> = {}): string {
  const file = join(dir, "agent.json");
  const settings = {
    host: "web-1",
    channel: "stable",
    controlPlane: url,
    controlPlaneName: CP_NAME,
    authority: join(dir, "ca.pem"),
    enrolment: { sshHostKey: join(dir, "host-key") },
    stateDir: join(dir, "state"),
    root: join(dir, "root.json"),
    activation: { backend: "directory", root: join(dir, "root"), closures: join(dir, "closures") },
    ...over,
  };
  writeFileSync(file, JSON.stringify(settings));
  return file;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
function call(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

const CERTIFIED =
  /^web-1 has a certificate of Nixwave CA [0-9a-f]{16} until \S+Z; it is renewed from \S+Z\.\n$/;

test("`enroll` gets the certificate, says so, and has nothing to do the second time", async () => {
  const first = await call("enroll", "--config", config());
  expect(first).toMatchObject({ code: 0, stderr: "" });
  expect(first.stdout).toMatch(CERTIFIED);
  const second = await call("enroll", "--config", config());
  expect(second.stdout).toBe(first.stdout);
  expect(enroller.requests).toEqual(["/v1/enroll: 200"]);
  expect(statSync(identityPath(join(dir, "state"))).mode & 0o777).toBe(0o600);
  expect(statSync(join(dir, "state")).mode & 0o777).toBe(0o700);
}, 30_000);

test("`enroll` that is refused ends with 1 and the control plane's own sentence", async () => {
  enroller.isDeclared = false;
  const { code, stdout, stderr } = await call("enroll", "--config", config());
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain("web-1 is not in fleet/hosts.json: add it with `nixwave host add`.");
  expect(stderr.trim().split("\n")).toHaveLength(1);
  // A control plane of another name, or of another CA, is none.
  const named = await call("enroll", "--config", config({ controlPlaneName: "cp-2" }));
  expect(named).toMatchObject({ code: 1, stderr: expect.stringContaining("is for another name") });
  const other = await Enroller.open(now);
  writeFileSync(join(dir, "ca.pem"), certificatePem(other.authority));
  const pinned = await call("enroll", "--config", config());
  expect(pinned).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("not one of the CA that this host pins"),
  });
}, 30_000);

test("check-config looks at the files: a sentence for each that can't be used", async () => {
  expect(await call("check-config", "--config", config())).toMatchObject({ code: 0 });
  writeFileSync(join(dir, "host-key"), "nothing");
  rmSync(join(dir, "ca.pem"));
  const { code, stderr } = await call("check-config", "--config", config());
  expect(code).toBe(1);
  expect(stderr).toContain(`${dir}/ca.pem is not there: \`nixwave-cp ca\` prints it.`);
  expect(stderr).toContain(`${dir}/host-key can't be used: expected one block from`);
  const token = await call(
    "check-config",
    "--config",
    config({ enrolment: { tokenFile: join(dir, "token") } }),
  );
  expect(token.stderr).toContain(`The join token ${dir}/token is not there`);
}, 30_000);

test("an agent that runs enrols by itself; `status` shows who it is; no key is in argv, title or output", async () => {
  enroller.isDeclared = false;
  const file = config();
  const child = spawn(process.execPath, [BIN, "run", "--config", file], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  const said = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (printed.includes(text)) resolve();
      };
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => {
          printed += chunk.toString();
          look();
        });
      look();
    });
  try {
    await said("add it with `nixwave host add`");
    const refused = await call("enroll", "--config", file);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("was refused one") });
    const status: unknown = JSON.parse((await call("status", "--json", "--config", file)).stdout);
    expect(status).toMatchObject({
      identity: { state: "Refused", certificate: null, setback: { code: "unknown-host" } },
    });
    enroller.isDeclared = true;
    const enrolled = await call("enroll", "--config", file);
    expect(enrolled.stdout).toMatch(CERTIFIED);
    const text = (await call("status", "--config", file)).stdout;
    expect(text).toMatch(/^identity {4}web-1 has a certificate of Nixwave CA/m);
    const json: unknown = JSON.parse((await call("status", "--json", "--config", file)).stdout);
    expect(json).toMatchObject({
      identity: {
        state: "Valid",
        certificate: { name: "web-1", serial: enroller.issued.at(-1) },
        setback: null,
      },
    });
    const proc = `/proc/${child.pid}`;
    const open = ["cmdline", "comm", "environ"].map((name) =>
      readFileSync(join(proc, name), "utf8"),
    );
    const identity = readFileSync(identityPath(join(dir, "state")), "utf8");
    const pems = [hostKey.privateText, ...identity.split("\\n")];
    const secrets = pems.flatMap((pem) =>
      pem.split("\n").filter((line) => /^[\w+/=]{40,}$/.test(line)),
    );
    expect(secrets.length).toBeGreaterThan(3);
    for (const secret of secrets)
      for (const place of [...open, printed, text]) expect(place).not.toContain(secret);
  } finally {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  expect(readdirSync(join(dir, "state")).filter((name) => name.endsWith(".new"))).toEqual([]);
  expect(existsSync(join(dir, "host-key"))).toBe(true);
}, 60_000);
