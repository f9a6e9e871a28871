import { createConnection } from "node:net";
import { type ConsoleReply, type ConsoleRequest, replySchema } from "../console/request.ts";

export type ConsoleCall =
  | { readonly kind: "answered"; readonly reply: ConsoleReply }
  /** Nobody listens there. */
  | { readonly kind: "no-agent"; readonly reason: string };

/**
 * An enrolment waits for the control plane, and for whoever signs there. The others wait for a commit at the most, which a full disk and a
 * busy host make late; an agent that does not run is known at once.
 */
const ANSWER_WITHIN_MS = {
  status: 30_000,
  hold: 30_000,
  rollback: 30_000,
  enroll: 90_000,
} as const satisfies Record<ConsoleRequest["command"], number>;

/** Asks the agent that runs on this host. Never rejects. */
export function callConsole(path: string, request: ConsoleRequest): Promise<ConsoleCall> {
  return new Promise((resolve) => {
    let text = "";
    const none = (reason: string): void => {
      socket.destroy();
      resolve({ kind: "no-agent", reason });
    };
    const socket = createConnection(path, () => {
      socket.write(`${JSON.stringify(request)}\n`);
    });
    socket.setEncoding("utf8");
    const withinMs = ANSWER_WITHIN_MS[request.command];
    socket.setTimeout(withinMs, () => none(`no answer within ${withinMs / 1000} s`));
    socket.on("error", (cause) => none(cause.message));
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("end", () => {
      try {
        const json: unknown = JSON.parse(text);
        resolve({ kind: "answered", reply: replySchema.parse(json) });
        socket.destroy();
      } catch {
        none("the answer was cut off");
      }
    });
  });
}
