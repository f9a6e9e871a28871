import type { HostName, Input, RolloutId } from "@nixwave/effects";
import type { LogLine } from "@nixwave/protocol";

/** Under which names a line is found again. */
export interface LineNames {
  readonly host: HostName | null;
  readonly rolloutId: RolloutId | null;
}

export function namesOf(line: LogLine): LineNames {
  switch (line.kind) {
    case "AgentEvent":
    case "EventRefused":
      return { host: line.host, rolloutId: line.rolloutId };
    case "RolloutInput":
    case "FleetInput":
      return namesOfInput(line.input);
    case "DispatchChanged":
      return { host: line.dispatch.host, rolloutId: line.dispatch.rolloutId };
    case "ReleaseVerified":
    case "GateChanged":
      return { host: null, rolloutId: line.rolloutId };
    case "Enrolled":
    case "JournalChanged":
      return { host: line.host, rolloutId: null };
    case "ReleaseRefused":
    case "Checkpoint":
      return { host: null, rolloutId: null };
  }
}

const namesOfInput = (input: Input): LineNames => ({
  host: "host" in input ? input.host : null,
  rolloutId: "rolloutId" in input ? input.rolloutId : null,
});
