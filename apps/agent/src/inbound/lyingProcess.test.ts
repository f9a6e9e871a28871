import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import {
  addSecs,
  type ClosureHash,
  FIRST_ATTEMPT,
  instant,
  type OutboundAgentEvent,
  type Release,
  rolloutId,
} from "@nixwave/effects";
import {
  type DispatchOffer,
  decodeLine,
  dispatchOffer,
  type HostRelease,
  heartbeatAnswer,
  writeRelease,
} from "@nixwave/protocol";
import { edge, Forger, NOW, stable } from "@nixwave/protocol/attacks.fixture";
import { closure, hostName, policy } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { type TestHost, testHost } from "../activation/host.fixture.ts";
import { systemClock } from "../perform/systemPorts.ts";
import { repositoryAnswer } from "./signed.fixture.ts";

// The program itself, over a socket, against a control plane that is a script: one lie after the other, and then the truth.

const BIN = join(import.meta.dirname, "../../bin/nixwave-agent.mjs");
const HOST = hostName("web-1");
const SOON = { timeout: 60_000, interval: 20 };

let forger: Forger;
let host: TestHost;
let server: Server;
let agent: ChildProcess;
const started = instant(systemClock.wallMs());
/** Handed out one after the other; an answered one is followed by the next. */
let script: DispatchOffer[];
let said: OutboundAgentEvent[];

beforeEach(() => {
  script = [];
  said = [];
  forger = new Forger();
  for (const role of ["root", "targets", "snapshot", "timestamp", "stable", "edge"] as const)
    forger.days[role] = Math.ceil((started - NOW) / 86_400_000) + 30;
  forger.hosts[HOST] = { channel: "stable", sshHostKey: null };
  forger.writeHosts();
  forger.release(edge, [entry(closure("edge-only"), "c")]);
  forger.writeRoot();
  host = testHost();
  for (const name of ["old", "new", "theirs", "evil", "weak"])
    host.makeClosure(name, { switch: `echo ${name} >> switches; swap boot; swap current-system` });
  host.setLinks(closure("old"), "current-system", "profile", "boot");
});
afterEach(() => {
  agent.kill("SIGKILL");
  server.closeAllConnections();
  server.close();
  host.remove();
  forger.remove();
});

const entry = (of: ClosureHash, name: string): Release["hosts"][number] => ({
  host: hostName(name),
  system: "x86_64-linux",
  closure: of,
  wave: 1,
  tags: [],
  closureDigest: null,
});

let made = 0;
function publish(of: ClosureHash): Release {
  made += 1;
  const createdAt = addSecs(started, made - 3600);
  const release = forger
    .next("stable", "targets", "edge")
    .release(stable, [entry(of, HOST), entry(closure("theirs"), "b")], { createdAt });
  forger.writeAll();
  return release;
}

const offer = (
  { rolloutId: id, channel, ref }: Pick<HostRelease, "rolloutId" | "channel" | "ref">,
  targetClosure: ClosureHash,
): DispatchOffer => ({
  rolloutId: id,
  channel,
  ref,
  targetClosure,
  attempt: FIRST_ATTEMPT,
  wave: 1,
  soakDueAt: started,
  dispatchedAt: started,
  leaseSecs: 120,
  timestampVersion: null,
});

/** Every line is acknowledged; a dispatch that was answered is followed by the next lie. */
function eventsAnswer(body: string): object {
  const streams: Record<string, { ackedThrough: number; refused: [] }> = {};
  for (const line of body.split("\n").filter((each) => each !== "")) {
    const decoded = decodeLine(line);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    const { rolloutId: id, seq, event } = decoded.value;
    streams[id] = { ackedThrough: seq, refused: [] };
    said.push(event);
    if (event.kind === "DispatchReject" || event.kind === "DispatchAck") script.shift();
  }
  return { streams, badLines: [] };
}

async function answer(pathname: string, body: string) {
  const served = await repositoryAnswer(forger.directory, pathname);
  if (served !== null) return served;
  const json = (value: unknown) => ({ status: 200, headers: {}, body: JSON.stringify(value) });
  const [next] = script;
  switch (pathname) {
    case "/v1/agent/dispatch":
      return next === undefined
        ? { status: 204, headers: {}, body: "" }
        : json(z.encode(dispatchOffer, next));
    case "/v1/agent/events":
      return json(eventsAnswer(body));
    default:
      return json(
        z.encode(heartbeatAnswer, { intervalSecs: 60, replayFrom: {}, logHead: null, want: [] }),
      );
  }
}

async function listen(): Promise<string> {
  const reply = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? "/", "http://agent.invalid");
    const { status, headers, body } = await answer(pathname, await text(request));
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
  };
  server = createServer((request, response) => {
    reply(request, response).catch((cause: unknown) => response.destroy(Error(String(cause))));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  return `http://127.0.0.1:${address.port}`;
}

async function start(): Promise<void> {
  const root = join(host.dir, "root.json");
  writeFileSync(root, forger.root());
  const config = join(host.dir, "agent.json");
  const activation = {
    backend: "directory",
    root: host.root,
    closures: join(host.dir, "closures"),
  };
  const content = {
    host: HOST,
    channel: stable,
    controlPlane: await listen(),
    insecureLoopback: true,
    root,
    stateDir: join(host.dir, "state"),
    pollWaitSecs: 1,
    activation,
  };
  writeFileSync(config, JSON.stringify(content));
  agent = spawn(process.execPath, [BIN, "run", "--config", config], { stdio: "ignore" });
}

test("the program refuses every lie by its name, switches to nothing, and still does what is true", {
  timeout: 120_000,
}, async () => {
  const weak = publish(closure("weak"));
  const now = publish(closure("new"));
  const { release: unsigned } = writeRelease({
    ...now,
    policy: policy(),
    note: "nobody signed this",
    hosts: [entry(closure("evil"), HOST)],
  });
  const lies: readonly (readonly [DispatchOffer, string])[] = [
    [offer(weak, closure("weak")), "rollback"],
    [offer(unsigned, closure("evil")), "unsigned"],
    [
      offer({ ...now, channel: edge, rolloutId: rolloutId(edge, now.ref) }, closure("new")),
      "wrong-channel",
    ],
    [offer(now, closure("theirs")), "not-as-signed"],
  ];
  script = [...lies.map(([lie]) => lie), offer(now, closure("new"))];
  await start();
  const rejects = () => said.filter((event) => event.kind === "DispatchReject");
  await vi.waitFor(() => expect(rejects()).toHaveLength(lies.length), SOON);
  expect(rejects().map(({ code }) => code)).toEqual(lies.map(([, code]) => code));
  const switches = join(host.root, "switches");
  await vi.waitFor(
    () => expect(said.map(({ kind }) => kind)).toContain("ActivationCompleted"),
    SOON,
  );
  expect(existsSync(switches) && readFileSync(switches, "utf8").trim()).toBe("new");
});
