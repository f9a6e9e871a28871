import { type HostReport, isRolloutId, secsBetween } from "@nixwave/effects";
import type { Heartbeat as HeartbeatBody } from "@nixwave/protocol";
import type { Submit } from "../command.ts";
import type { Clock, Timer } from "../ports.ts";
import type { Reader } from "../store/reader.ts";
import { granted } from "./granted.ts";
import type { AgentHandlers } from "./handlers.ts";
import { cutLines } from "./lines.ts";
import { longPoll, type PollPorts } from "./longPoll.ts";
import type { MirroredFiles } from "./mirroredFiles.ts";
import type { ParkedPolls } from "./parkedPolls.ts";
import type { AgentCaller } from "./principal.ts";
import { ProblemError } from "./problemError.ts";
import { EVENTS_PER_SEC, type RateLimit } from "./rateLimit.ts";
import { repositoryHandlers } from "./repositoryHandlers.ts";
import type { UnitLogs } from "./unitLogs.ts";
import { refuseWithoutTls } from "./withoutTls.ts";

export interface AgentPorts {
  readonly submit: Submit;
  readonly reader: Reader;
  readonly polls: ParkedPolls;
  readonly limit: RateLimit;
  readonly mirrored: MirroredFiles;
  readonly unitLogs: UnitLogs;
  readonly clock: Clock;
  readonly timer: Timer;
}

/** A poll that does not say how long it waits. */
const WAIT_SECS_DEFAULT = 60;

function reportOf(body: HeartbeatBody, clock: Clock): HostReport {
  const { currentClosure, bootId, agentVersion, leaving, diskFreeBytes, waitsFor } = body;
  const streams = Object.entries(body.streams).flatMap(([rolloutId, stream]) =>
    isRolloutId(rolloutId) ? [{ rolloutId, ...stream }] : [],
  );
  const clockSkewSecs = secsBetween(clock.now(), body.wallClock);
  const said = { currentClosure, bootId, agentVersion, leaving, diskFreeBytes, waitsFor };
  return { ...said, streams, clockSkewSecs };
}

/** The routes that are not decided by the writer still tell an agent that its journal is not the current one. */
function refuseFormerJournal(reader: Reader, { principal, journalId }: AgentCaller): void {
  const journals = reader.host(principal.name)?.journals ?? [];
  const isFormer = journals.slice(0, -1).some((journal) => journal.journalId === journalId);
  if (!isFormer) return;
  throw ProblemError.of(
    "old-journal",
    `Nixwave-Journal: ${principal.name} has a newer journal than ${journalId}. Start a new one.`,
  );
}

/** Every name is the principal's: what a body says of itself is compared by the writer, and believed nowhere. */
export function agentHandlers(ports: AgentPorts): AgentHandlers {
  const { submit, reader, clock } = ports;
  const poll: PollPorts = {
    ...ports,
    take: (command) => submit<"TakeDispatch">(command),
  };
  return {
    getDispatch: ({ query }, { principal, journalId, gone }) =>
      longPoll(poll, {
        take: {
          kind: "TakeDispatch",
          host: principal.name,
          journalId,
          holding: query.holding ?? null,
        },
        waitSecs: query.wait ?? WAIT_SECS_DEFAULT,
        gone,
      }),
    postEvents: async ({ body }, { principal, journalId }) => {
      const lines = cutLines(body);
      if (!lines.ok) throw new ProblemError(lines.error);
      const host = principal.name;
      const waitSecs = ports.limit.take(host, lines.value.length, clock.now());
      if (waitSecs > 0) {
        throw ProblemError.of(
          "too-many",
          `${host} sends more than ${EVENTS_PER_SEC} events a second: send again in ${waitSecs} s.`,
          waitSecs,
        );
      }
      return granted(
        await submit<"AgentEvents">({ kind: "AgentEvents", host, journalId, lines: lines.value }),
      );
    },
    postHeartbeat: async ({ body }, { principal, journalId }) =>
      granted(
        await submit<"Heartbeat">({
          kind: "Heartbeat",
          host: principal.name,
          journalId,
          report: reportOf(body, clock),
          logHead: body.logHead,
        }),
      ),
    postLogs: ({ query, body }, caller) => {
      refuseFormerJournal(reader, caller);
      const host = caller.principal.name;
      ports.unitLogs.put({ host, ...query, receivedAt: clock.now(), text: body });
      return null;
    },
    renewCertificate: () => refuseWithoutTls(),
    ...repositoryHandlers(ports.mirrored),
  };
}
