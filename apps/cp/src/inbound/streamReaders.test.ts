import { addSecs } from "@nixwave/effects";
import { rolloutMoved, type StreamSink } from "@nixwave/protocol";
import { channelName, hostName } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fleetOf, openPlane, type TestPlane } from "../endToEnd/plane.fixture.ts";
import { operatorClient, ScriptedAgent } from "../endToEnd/scriptedAgent.fixture.ts";
import { databasePath } from "../store/database.ts";
import { openReader, type Reader } from "../store/reader.ts";
import { StreamReaders } from "./streamReaders.ts";

let plane: TestPlane;
let reader: Reader;
let streams: StreamReaders;
beforeEach(async () => {
  plane = await openPlane();
  reader = openReader(databasePath(plane.folder.data));
  const { writer } = plane.plane;
  streams = new StreamReaders({
    fleet: () => writer.fleet(),
    newest: () => writer.logHead()?.offset ?? null,
    reader,
    clock: { now: () => plane.time.now },
    timer: plane.time.timer,
  });
});
afterEach(async () => {
  streams.stop();
  reader.close();
  await plane.close();
});

/** A reader that keeps what it is told; `waiting` is what its connection has not taken. */
function sinkOf(lastEventId: string | null, waiting = 0) {
  const told: string[] = [];
  const gone = new AbortController();
  const sink: StreamSink = {
    lastEventId,
    waitingBytes: () => waiting,
    write: (text) => void told.push(text),
    end: () => gone.abort(),
    gone: gone.signal,
  };
  const messages = () =>
    told.flatMap((text) =>
      [...text.matchAll(/data: (.*)\n/g)].map(([, data = ""]) =>
        rolloutMoved.parse(JSON.parse(data)),
      ),
    );
  const lastId = () => [...told.join("").matchAll(/id: (\d+)\n/g)].at(-1)?.[1] ?? null;
  return { sink, told, messages, lastId, ended: () => gone.signal.aborted };
}

const released = () => plane.release(fleetOf("new", [["canary"], ["web-1", "web-2"]]), "new");
const touched = async () => {
  const rollout = plane.plane.writer.fleet().newestRollout(channelName("stable"));
  if (rollout === null) throw new Error("a rollout is open");
  return {
    rolloutId: rollout.rolloutId,
    say: (...hosts: readonly string[]) =>
      streams.committed(new Map([[rollout.rolloutId, new Set(hosts.map(hostName))]])),
  };
};

test("a new reader is told how each rollout stands, and to read it", async () => {
  const { rolloutId } = await released();
  const { sink, messages } = sinkOf(null);
  streams.admit("ann")(sink);
  expect(messages()).toMatchObject([
    {
      rolloutId,
      state: "Active",
      cursor: 1,
      changed: "reload",
      counts: { hosts: 3, done: 0, waiting: { wave: 2 } },
    },
  ]);
});

test("many commits are one message, at most four times a second, with the hosts that they were about", async () => {
  await released();
  const { say } = await touched();
  const { sink, messages } = sinkOf(null);
  streams.admit("ann")(sink);
  say("web-1");
  say("web-2", "web-1");
  plane.time.pass(0);
  expect(messages().slice(1)).toMatchObject([{ changed: ["web-1", "web-2"] }]);
  for (let n = 0; n < 20; n += 1) {
    say("canary");
    plane.time.pass(0.05);
  }
  expect(messages().slice(2)).toHaveLength(4);
  say(...Array.from({ length: 101 }, (_, n) => `web-${n}`));
  plane.time.pass(1);
  expect(messages().at(-1)?.changed).toBe("reload");
});

test("a reader that comes back is told what it missed, and nothing where it missed nothing", async () => {
  const { rolloutId } = await released();
  const first = sinkOf(null);
  streams.admit("ann")(first.sink);
  const id = first.lastId();
  expect(id).toBe(String(plane.plane.writer.logHead()?.offset));
  const again = sinkOf(id);
  streams.admit("ann")(again.sink);
  expect(again.messages()).toEqual([]);
  const canary = new ScriptedAgent(plane.plane.url, { host: hostName("canary"), running: null });
  await canary.heartbeat();
  const offer = await canary.poll(0);
  expect(offer).not.toBeNull();
  const later = sinkOf(id);
  streams.admit("ann")(later.sink);
  expect(later.messages()).toMatchObject([{ rolloutId, changed: ["canary"] }]);
  // One that this log never had: a restored control plane, or another one.
  const strange = sinkOf("99999");
  streams.admit("ann")(strange.sink);
  expect(strange.messages()).toMatchObject([{ changed: "reload" }]);
});

test("a slow reader is dropped at 1 MiB that waits, and the others go on", async () => {
  await released();
  const { say } = await touched();
  const [slow, quick] = [sinkOf("0", 1024 * 1024), sinkOf(null)];
  streams.admit("ann")(quick.sink);
  streams.admit("ann")(slow.sink);
  say("web-1");
  plane.time.pass(1);
  expect([slow.ended(), quick.ended()]).toEqual([true, false]);
  expect(quick.messages()).toHaveLength(2);
});

test("an operator has 32 readers at once, and another still gets in; one that goes makes room", async () => {
  await released();
  await touched();
  const sinks = Array.from({ length: 32 }, () => sinkOf(null));
  for (const { sink } of sinks) streams.admit("ann")(sink);
  expect(() => streams.admit("ann")).toThrow(/ann has 32 readers/);
  streams.admit("bob")(sinkOf(null).sink);
  sinks[0]?.sink.end();
  streams.admit("ann")(sinkOf(null).sink);
});

test("over HTTP: one with the role viewer reads along, a silent connection is kept alive, a stop ends it", async () => {
  await released();
  const ops = operatorClient(plane.plane.url, "ops-2");
  const over = new AbortController();
  const response = await fetch(`${plane.plane.url}/v1/stream`, {
    headers: { "nixwave-protocol": "1", "nixwave-operator": "ops-2" },
    signal: over.signal,
  });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const body = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const next = async (): Promise<string> => String((await body?.read())?.value);
  expect(await next()).toMatch(/^id: \d+\nevent: rollout\ndata: \{.*"changed":"reload"\}\n\n$/);
  const { rolloutId } = await touched();
  const until = addSecs(plane.time.now, 600);
  await ops.call("pauseRollout", { params: { rolloutId }, body: { reason: "lunch", until } });
  plane.time.pass(0.25);
  expect(await next()).toContain('"changed":[]');
  plane.time.pass(20);
  expect(await next()).toBe(":\n\n");
  const stopped = plane.plane.stop();
  await expect(next()).rejects.toThrow();
  await stopped;
});
