import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Channel, HostName } from "@nixwave/effects";
import { PROBLEM_MEDIA_TYPE, problem } from "@nixwave/protocol";
import { journal as journalOf } from "@nixwave/testkit";
import { Journal } from "../journal/journal.ts";
import { systemDisk } from "../perform/systemPorts.ts";
import { AnswerTooLong, type Http, type HttpAnswer } from "../ports.ts";
import { httpControlPlane } from "./httpControlPlane.ts";
import { SignedReleases } from "./signedReleases.ts";

const PREFIX = "/v1/tuf/";

/** What a control plane serves of a repository in a directory; null: the path is none of it. */
export async function repositoryAnswer(
  directory: string,
  pathname: string,
): Promise<HttpAnswer | null> {
  if (!pathname.startsWith(PREFIX)) return null;
  const body = await readFile(join(directory, pathname.slice(PREFIX.length))).catch(() => null);
  if (body !== null) return { status: 200, headers: {}, body };
  return {
    status: 404,
    headers: { "content-type": PROBLEM_MEDIA_TYPE },
    body: Buffer.from(JSON.stringify(problem("not-found", "no such file"))),
  };
}

/** A control plane that only serves a directory, and counts what is asked for. */
function servingHttp(directory: () => string): Http & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    request: async ({ url, answerBytesMax }) => {
      const { pathname } = new URL(url);
      asked.push(pathname.slice(PREFIX.length));
      const answer = await repositoryAnswer(directory(), pathname);
      if (answer === null) throw new Error(`nothing is asked for but the repository: ${pathname}`);
      if (answer.body.length > answerBytesMax) throw new AnswerTooLong(pathname);
      return answer;
    },
  };
}

/** One host's memory: its journal and trust directory outlive each process. */
export interface TestHost {
  readonly stateDir: string;
  readonly asked: string[];
  /** A process begins: what it has not on its disk it does not know. */
  start(root: Uint8Array): SignedReleases;
  remove(): void;
}

export function signedHost(
  { channel, host }: { readonly channel: Channel; readonly host: HostName },
  directory: () => string,
): TestHost {
  const stateDir = mkdtempSync(join(tmpdir(), "nixwave-signed-"));
  const http = servingHttp(directory);
  let journal: Journal | null = null;
  return {
    stateDir,
    asked: http.asked,
    start: (root) => {
      journal?.close();
      journal = Journal.open({ stateDir, newJournalId: () => journalOf("1"), wallMs: () => 0 });
      const controlPlane = httpControlPlane("http://127.0.0.1:1", host, http);
      return new SignedReleases({
        stateDir,
        root,
        channel,
        journal,
        controlPlane,
        disk: systemDisk,
      });
    },
    remove: () => {
      journal?.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
