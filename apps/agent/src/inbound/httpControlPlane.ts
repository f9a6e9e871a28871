import {
  type err,
  type HostName,
  type JournalId,
  ok,
  parseChannel,
  type Result,
} from "@nixwave/effects";
import { type Client, client, HEADER, type Problem, type Unreachable } from "@nixwave/protocol";
import type { Call, ControlPlane } from "../controlPlane.ts";
import { AnswerTooLong, type Http } from "../ports.ts";

/** Beyond what the answer itself may take. */
const ANSWER_WITHIN_MS = 30_000;
const ANSWER_BYTES_MAX = 1024 * 1024;
const PROBLEM_BYTES_MAX = 8 * 1024;

interface Allowance {
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
}
const USUAL: Allowance = { timeoutMs: ANSWER_WITHIN_MS, answerBytesMax: ANSWER_BYTES_MAX };

/** The CP behind the one typed client. `host`, without TLS on the loopback: a header stands for the certificate's name. */
export function httpControlPlane(base: string, host: HostName | null, http: Http): ControlPlane {
  const clientFor = (journalId: JournalId, allowance: Allowance): Client =>
    client(
      base,
      ({ signal, ...request }) =>
        http.request({ ...request, ...allowance, ...(signal === null ? {} : { signal }) }),
      () => ({
        ...(host === null ? {} : { [HEADER.host]: host }),
        [HEADER.journal]: journalId,
      }),
    );
  return {
    poll: async (journalId, { waitSecs, holding }, signal) => {
      const allowance = { ...USUAL, timeoutMs: waitSecs * 1000 + ANSWER_WITHIN_MS };
      const query = { wait: waitSecs, ...(holding === null ? {} : { holding }) };
      return callOf(await clientFor(journalId, allowance).call("getDispatch", { query, signal }));
    },
    postEvents: async (journalId, lines, signal) => {
      const body = `${lines.join("\n")}\n`;
      return callOf(await clientFor(journalId, USUAL).call("postEvents", { body, signal }));
    },
    heartbeat: async (journalId, body, signal) =>
      callOf(await clientFor(journalId, USUAL).call("postHeartbeat", { body, signal })),
    postLog: async (journalId, { rolloutId, attempt, purpose, text: body }, signal) => {
      const query = { rolloutId, attempt, purpose };
      return callOf(await clientFor(journalId, USUAL).call("postLogs", { query, body, signal }));
    },
    repositoryFile: async (journalId, path, { bytesMax, signal }) => {
      // A refusal in words must fit too, however short the file is.
      const answerBytesMax = Math.max(bytesMax, PROBLEM_BYTES_MAX);
      const asked = clientFor(journalId, { ...USUAL, answerBytesMax });
      const answer = await askForFile(asked, path, signal);
      if (answer.ok) return { kind: "answered", value: answer.value };
      const { error } = answer;
      if (error.code === "not-found") return { kind: "answered", value: null };
      if (error.code === "unreachable" && error.cause instanceof AnswerTooLong)
        return { kind: "too-long", bytesMax: answerBytesMax };
      return callOf(answer);
    },
  };
}

/** A path that no route takes is one that a hostile repository names: it leads nowhere. */
async function askForFile(
  asked: Client,
  path: string,
  signal: AbortSignal,
): Promise<Result<Uint8Array | null, Problem | Unreachable>> {
  const [kind = "", first = "", second = "", ...rest] = path.split("/");
  if (kind === "metadata" && second === "" && rest.length === 0)
    return await asked.call("getMetadataFile", { params: { file: first }, signal });
  const folder = parseChannel(first);
  if (kind === "targets" && folder.ok && rest.length === 0)
    return await asked.call("getTargetFile", {
      params: { folder: folder.value, file: second },
      signal,
    });
  return ok(null);
}

type Answered<T> = ReturnType<typeof ok<T>> | ReturnType<typeof err<Problem | Unreachable>>;

function callOf<T>(answer: Answered<T>): Call<T> {
  if (answer.ok) return { kind: "answered", value: answer.value };
  const { error } = answer;
  if (error.code === "unreachable") return { kind: "unreachable", reason: error.detail };
  const { code, detail, retryAfterSecs } = error;
  return { kind: "problem", code, detail, retryAfterSecs };
}
