import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { addSecs, type Instant, instant } from "@nixwave/effects";
import { HEADER } from "@nixwave/protocol";
import { run } from "./program.ts";
import type { Surroundings } from "./surroundings.ts";

/** For tests: the program run with a terminal that is remembered, a clock that moves when it waits, and real files. */
export interface Ran {
  readonly code: number;
  readonly data: string;
  readonly talk: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What the person answers; without it nobody is there to ask. */
  readonly answer?: string;
  /** What the person types where nothing is shown, one after the other. */
  readonly secrets?: readonly string[];
  /** The clock when it begins. */
  readonly now?: Instant;
  /** stdout is a terminal that can be redrawn. */
  readonly screen?: boolean;
  /** Called for each wait, before the clock moves on; `ctrlC` is the key. */
  readonly onWait?: (waits: number, ctrlC: () => void) => void;
}

export const TEST_NOW: Instant = instant(Date.parse("2026-11-24T09:24:10.000Z"));
/** A command that waits more often than this in a test waits for ever. */
const WAITS_MAX = 10_000;

export async function runCli(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  let data = "";
  let talk = "";
  let now = options.now ?? TEST_NOW;
  const secrets = [...(options.secrets ?? [])];
  let waits = 0;
  const stop = new AbortController();
  const surroundings: Surroundings = {
    terminal: {
      data: (text) => {
        data += text;
      },
      talk: (text) => {
        talk += text;
      },
      ask: async (question) => {
        talk += question;
        return options.answer ?? "";
      },
      askSecret: async (question) => {
        talk += question;
        return secrets.shift() ?? "";
      },
      interactive: options.answer !== undefined || options.secrets !== undefined,
      screen: options.screen ?? false,
      columns: () => 100,
      rows: () => 40,
    },
    env: { NIXWAVE_OPERATOR: "ops-2", ...options.env },
    cwd: options.cwd ?? "/",
    timeZone: "UTC",
    now: () => now,
    wait: async (secs) => {
      waits += 1;
      if (waits > WAITS_MAX) throw new Error(`waited ${WAITS_MAX} times`);
      options.onWait?.(waits, () => {
        stop.abort();
      });
      now = addSecs(now, secs);
    },
    stop: stop.signal,
  };
  const code = await run(argv, surroundings);
  return { code, data, talk };
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly operator: string;
}

export type Canned = Readonly<Record<string, unknown>>;

/** As an answer: what is no JSON. */
export class PlainText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** As an answer: the connection breaks, as when the control plane is restarted. */
export const AWAY = "away";

/** A control plane on a real socket that answers what it is told: `GET /v1/status` → the JSON; 404 for the rest. */
export async function cannedCp(
  answers: () => Canned,
): Promise<{ readonly url: string; readonly asked: readonly Asked[]; close(): Promise<void> }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const { method = "", url = "", headers } = request;
      const body: unknown = text === "" ? null : JSON.parse(text);
      asked.push({ method, path: url, body, operator: String(headers[HEADER.operator]) });
      const known = answers();
      const answer = known[`${method} ${url}`] ?? known[`${method} ${url.replace(/\?.*/, "")}`];
      if (answer === AWAY) {
        request.socket.destroy();
        return;
      }
      response.setHeader("connection", "close");
      if (answer === undefined) {
        response.writeHead(404, { "content-type": "application/problem+json" });
        response.end(JSON.stringify(problem("not-found", 404, `${url} is not known here.`)));
      } else {
        const isText = answer instanceof PlainText;
        response.writeHead(200, { "content-type": isText ? "text/plain" : "application/json" });
        response.end(isText ? answer.text : JSON.stringify(answer));
      }
    });
  });
  const url = await listening(server);
  return {
    url,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

const problem = (code: string, status: number, detail: string): object => ({
  type: `urn:nixwave:problem:${code}`,
  code,
  status,
  title: "There is no such thing",
  detail,
  retryAfterSecs: null,
});

function listening(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(`http://127.0.0.1:${address.port}`);
    });
  });
}

/** The view of a transcript, as the wire has it. */
export function viewOf(name: string): unknown {
  const text = readFileSync(join(import.meta.dirname, "testdata", `${name}.txt`), "utf8");
  const [, view = ""] = /^(?:#.*\n)*\w+\n([\s\S]*?)----\n/.exec(text) ?? [];
  const json: unknown = JSON.parse(view);
  return json;
}

/** Sets fields of nested JSON by path, for variations of a view. */
export function withField(json: unknown, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  const copy: object = Array.isArray(json)
    ? [...json]
    : { ...(typeof json === "object" ? json : {}) };
  Reflect.set(copy, first, withField(Reflect.get(copy, first), rest, value));
  return copy;
}
