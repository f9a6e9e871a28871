import { connect } from "node:net";
import type { Timer } from "../ports.ts";
import { type CheckOutcome, failed, PASS, type RunCheck } from "./check.ts";

export interface TcpCheck {
  readonly host: string;
  readonly port: number;
  readonly timeoutSecs: number;
}

/** Passes when a connection is made; nothing is sent. */
export function tcpCheck(check: TcpCheck, timer: Timer): RunCheck {
  const { host, port, timeoutSecs } = check;
  const where = `${host} port ${port}`;
  return (signal) =>
    new Promise<CheckOutcome>((resolve) => {
      const socket = connect({ host, port });
      const end = (outcome: CheckOutcome): void => {
        cancel();
        signal.removeEventListener("abort", giveUp);
        socket.destroy();
        resolve(outcome);
      };
      const giveUp = (): void => end(failed(`the connection to ${where} was given up`));
      const cancel = timer.after(timeoutSecs * 1000, () =>
        end(failed(`${where} took no connection within ${timeoutSecs} s`)),
      );
      signal.addEventListener("abort", giveUp, { once: true });
      socket.once("connect", () => end(PASS));
      // Stays on: a socket that fails once more while it is destroyed must not end the agent.
      socket.on("error", (cause) => end(failed(`${where} took no connection: ${cause.message}`)));
    });
}
