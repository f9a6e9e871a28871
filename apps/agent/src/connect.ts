import type { EmitLog, JournalId } from "@nixwave/effects";
import type { Config } from "./config.ts";
import type { ControlPlane } from "./controlPlane.ts";
import { IdentityKeeper } from "./identity/keeper.ts";
import { httpControlPlane } from "./inbound/httpControlPlane.ts";
import { systemHttp } from "./perform/http.ts";
import type { Logs } from "./perform/logs.ts";
import { tlsConnection } from "./perform/tlsHttp.ts";
import type { Ports } from "./ports.ts";

export interface ConnectOptions {
  readonly config: Config;
  readonly ports: Pick<Ports, "clock" | "timer" | "random" | "disk">;
  /** Null: no agent runs here, and nothing is renewed. */
  readonly journalId: (() => JournalId) | null;
  readonly logs: Logs;
}

/** The way to the CP. Null `identity`: plain HTTP on the loopback, where a header stands for the certificate. */
export interface Connected {
  readonly controlPlane: ControlPlane;
  readonly identity: IdentityKeeper | null;
  close(): Promise<void>;
}

/** Makes the way to the CP that the configuration names; the only place where one is made (hazard 89). */
export function connect(options: ConnectOptions): Connected {
  const { config } = options;
  if (config.tls === null) {
    const http = systemHttp();
    return {
      controlPlane: httpControlPlane(config.controlPlane, config.host, http),
      identity: null,
      close: () => http.close(),
    };
  }
  const kept = keepIdentity(options, config.tls);
  return {
    ...kept,
    controlPlane: httpControlPlane(config.controlPlane, null, kept.identity.http),
  };
}

/** The keeper alone: for `enroll`, beside no agent. */
export function keepIdentity(
  { config, ports, journalId, logs }: ConnectOptions,
  { authority, controlPlaneName, enrolBy }: NonNullable<Config["tls"]>,
): { readonly identity: IdentityKeeper; close(): Promise<void> } {
  const connection = tlsConnection(controlPlaneName);
  const identity = new IdentityKeeper({
    host: config.host,
    url: config.controlPlane,
    controlPlaneName,
    authority,
    enrolBy,
    stateDir: config.stateDir,
    ports,
    connection,
    journalId,
    onChange: (level, message) => logs.write(lineOf(level, message)),
    onTrouble: (message, cause) => logs.trouble(message, cause),
  });
  return {
    identity,
    close: async () => {
      identity.close();
      await connection.close();
    },
  };
}

const lineOf = (level: "info" | "warn", message: string): EmitLog => ({
  kind: "EmitLog",
  level,
  target: "identity",
  message,
  fields: [],
});
