import {
  type Channel,
  type Freeze,
  type FreezeId,
  type Instant,
  invariant,
  type Offset,
  type RolloutId,
  type Who,
} from "@nixwave/effects";
import type { RolloutSummary } from "@nixwave/protocol";
import { roleAllows } from "@nixwave/protocol";
import type { Submit } from "../command.ts";
import type { Writer } from "../loop.ts";
import type { Clock } from "../ports.ts";
import type { Reader } from "../store/reader.ts";
import { readAll } from "../views/logLines.ts";
import { quarantineView } from "../views/quarantineView.ts";
import { rolloutSummary } from "../views/rolloutSummary.ts";
import { granted } from "./granted.ts";
import type { OperatorHandlers } from "./handlers.ts";
import { knownRollout, type OperatorReads, refuseUnknownHost, whyOf } from "./operatorReads.ts";
import type { OperatorCaller } from "./principal.ts";
import { ProblemError } from "./problemError.ts";

export interface ActionPorts {
  readonly submit: Submit;
  readonly writer: Writer;
  readonly reader: Reader;
  readonly clock: Clock;
}

export type OperatorActions = Omit<OperatorHandlers, keyof OperatorReads>;

/** Who does it, in the log for as long as that lasts: the name is the principal's, never the body's. */
const whoOf = ({ principal }: OperatorCaller, { reason }: { readonly reason: string }): Who => ({
  by: principal.name,
  reason,
});

function refusePast(until: Instant | null, clock: Clock): void {
  if (until === null || until > clock.now()) return;
  throw ProblemError.of("bad-request", "body.until: expected an instant in the future, or null.");
}

type RolloutActions = `${"pause" | "resume" | "advance" | "clear" | "cancel"}Rollout`;

function rolloutActions(ports: ActionPorts): Pick<OperatorActions, RolloutActions> {
  const { submit, writer, clock } = ports;
  const isThere = (rolloutId: RolloutId): void => void knownRollout(writer.fleet(), rolloutId);
  const shown = (rolloutId: RolloutId): RolloutSummary => {
    const fleet = writer.fleet();
    const opened = knownRollout(fleet, rolloutId);
    const now = clock.now();
    return rolloutSummary(fleet, opened, now);
  };
  return {
    pauseRollout: async ({ params: { rolloutId }, body }, caller) => {
      isThere(rolloutId);
      refusePast(body.until, clock);
      const { until } = body;
      granted(await submit<"Pause">({ kind: "Pause", rolloutId, until, ...whoOf(caller, body) }));
      return shown(rolloutId);
    },
    resumeRollout: async ({ params: { rolloutId }, body }, caller) => {
      isThere(rolloutId);
      granted(await submit<"Resume">({ kind: "Resume", rolloutId, ...whoOf(caller, body) }));
      return shown(rolloutId);
    },
    advanceRollout: async ({ params: { rolloutId }, body }, caller) => {
      isThere(rolloutId);
      const { wave } = body;
      granted(
        await submit<"Advance">({ kind: "Advance", rolloutId, wave, ...whoOf(caller, body) }),
      );
      return shown(rolloutId);
    },
    clearRollout: async ({ params: { rolloutId }, body }, caller) => {
      isThere(rolloutId);
      granted(await submit<"Clear">({ kind: "Clear", rolloutId, ...whoOf(caller, body) }));
      return shown(rolloutId);
    },
    cancelRollout: async ({ params: { rolloutId }, body }, caller) => {
      isThere(rolloutId);
      granted(await submit<"Cancel">({ kind: "Cancel", rolloutId, ...whoOf(caller, body) }));
      return shown(rolloutId);
    },
  };
}

function freezeOf(writer: Writer, freezeId: FreezeId | null): Freeze | null {
  return (
    writer
      .fleet()
      .freezes()
      .find((freeze) => freeze.freezeId === freezeId) ?? null
  );
}

function freezeActions(ports: ActionPorts): Pick<OperatorActions, "postFreeze" | "liftFreeze"> {
  const { submit, writer, clock } = ports;
  return {
    postFreeze: async ({ body }, caller) => {
      refusePast(body.until, clock);
      const { scope, until } = body;
      const done = granted(
        await submit<"Freeze">({ kind: "Freeze", scope, until, ...whoOf(caller, body) }),
      );
      const freeze = freezeOf(writer, done.freezeId);
      invariant(freeze !== null, "a freeze that was committed is in force");
      return freeze;
    },
    liftFreeze: async ({ params: { freezeId }, body }, caller) => {
      const freeze = freezeOf(writer, freezeId);
      if (freeze === null) {
        throw ProblemError.of(
          "not-found",
          `${freezeId}: this freeze is not in force; nixwave freeze lists them.`,
        );
      }
      granted(
        await submit<"Unfreeze">({
          kind: "Unfreeze",
          freezeId,
          mayLiftOthers: roleAllows(caller.principal.role, "admin"),
          ...whoOf(caller, body),
        }),
      );
      return freeze;
    },
  };
}

/** Which channels waited: the committed line says it, and nobody counts them a second time. */
function channelsEnded(reader: Reader, at: Offset): readonly Channel[] {
  const [line] = readAll(reader, { kind: "FleetInput" }, { from: at, max: 1 });
  const ended = line?.kind === "FleetInput" && line.input.kind === "ReplayEnded";
  invariant(ended, `the line at ${at} is the ReplayEnded that was just committed`);
  return line.input.channels;
}

/** What people do. Each is in the log with who and why, and answers with the new state, after its commit. */
export function operatorActions(ports: ActionPorts): OperatorActions {
  const { submit, writer, reader } = ports;
  return {
    ...rolloutActions(ports),
    ...freezeActions(ports),
    retryHost: async ({ params: { host }, body }, caller) => {
      refuseUnknownHost(writer.fleet(), host);
      granted(await submit<"Retry">({ kind: "Retry", host, ...whoOf(caller, body) }));
      return whyOf(ports, host);
    },
    liftQuarantine: async ({ params: { channel, closure }, body }, caller) => {
      const since = writer.fleet().quarantinedSince(channel, closure);
      if (since === null) {
        throw ProblemError.of(
          "not-found",
          `${closure}: this closure is not quarantined on ${channel}; nixwave quarantine lists them.`,
        );
      }
      granted(
        await submit<"LiftQuarantine">({
          kind: "LiftQuarantine",
          channel,
          closure,
          ...whoOf(caller, body),
        }),
      );
      return quarantineView(writer.fleet(), { channel, closure, since });
    },
    endReplay: async ({ body }, caller) => {
      const { offset } = granted(
        await submit<"ResumeAfterRestore">({
          kind: "ResumeAfterRestore",
          ...whoOf(caller, body),
        }),
      );
      invariant(offset !== null, "what ends a replay is in the log");
      return { channels: channelsEnded(reader, offset) };
    },
  };
}
