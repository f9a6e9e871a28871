import { resolve } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import { isControlPlaneName } from "@nixwave/protocol";
import type { AuthoritySource } from "./identity/authority.ts";
import type { ServerSource } from "./identity/serverCertificate.ts";

/** What TLS is served with. */
export interface TlsConfig {
  /** By which agents reach this control plane: in the server's certificate, in the URL, and in what enrolment signs. */
  readonly name: string;
  readonly authority: AuthoritySource;
  readonly server: ServerSource;
  /** Whether a token may do what an admin does; else that takes a certificate. */
  readonly allowTokenAdmin: boolean;
}

/** What names the CA. */
export interface AuthorityFlags {
  readonly caCert?: string | undefined;
  readonly caKey?: string | undefined;
  readonly caSignCmd?: string | undefined;
}

/** As typed, or as the config file has them. */
export interface TlsFlags extends AuthorityFlags {
  readonly name?: string | undefined;
  readonly serverCert?: string | undefined;
  readonly serverKey?: string | undefined;
  readonly allowTokenAdmin?: boolean | undefined;
}

/** The flags by their names in the config file. */
const NAMES = {
  name: "--name",
  caCert: "--ca-cert",
  caKey: "--ca-key",
  caSignCmd: "--ca-sign-cmd",
  serverCert: "--server-cert",
  serverKey: "--server-key",
  allowTokenAdmin: "--allow-token-admin",
} as const satisfies Record<keyof TlsFlags, string>;

/** What of TLS was given where there is none: it would be taken for protection. */
export function withoutTls(flags: TlsFlags): string | null {
  const given = Object.entries(flags).find(([, value]) => value !== undefined);
  if (given === undefined) return null;
  const flag = Object.entries(NAMES).find(([name]) => name === given[0])?.[1] ?? given[0];
  return `${flag} is about TLS, and --insecure-loopback serves without it: leave one of them out.`;
}

const ANY_ADDRESS: readonly string[] = ["0.0.0.0", "::"];
const LOCAL: readonly string[] = ["localhost", "127.0.0.1", "::1"];

/** `listenHost`: an address, which is the name where no other is given. The error is a sentence. */
export function resolveTls(flags: TlsFlags, listenHost: string): Result<TlsConfig, string> {
  const name = flags.name ?? (ANY_ADDRESS.includes(listenHost) ? undefined : listenHost);
  if (name === undefined) {
    return err(
      `--listen ${listenHost} is every address of this machine: add --name with the one name by which agents reach it, such as cp.example.com.`,
    );
  }
  if (!isControlPlaneName(name) && name !== "::1") {
    return err(`--name ${name}: expected a DNS name or an address, such as cp.example.com.`);
  }
  const authority = authorityOf(flags);
  if (!authority.ok) return authority;
  const server = serverOf(flags, name);
  if (!server.ok) return server;
  return ok({
    name,
    authority: authority.value,
    server: server.value,
    allowTokenAdmin: flags.allowTokenAdmin ?? false,
  });
}

/** Where the CA comes from. The error is a sentence. */
export function authorityOf({
  caCert,
  caKey,
  caSignCmd,
}: AuthorityFlags): Result<AuthoritySource, string> {
  if (caCert === undefined) {
    return caKey === undefined && caSignCmd === undefined
      ? ok({ kind: "own" })
      : err(
          "--ca-key or --ca-sign-cmd without --ca-cert: add the CA's certificate with --ca-cert FILE.",
        );
  }
  const certFile = resolve(caCert);
  if (caKey !== undefined && caSignCmd === undefined)
    return ok({ kind: "key", certFile, keyFile: resolve(caKey) });
  const argv = caSignCmd?.split(/\s+/).filter((word) => word !== "") ?? [];
  if (caKey === undefined && argv.length > 0) return ok({ kind: "command", certFile, argv });
  return err(
    "--ca-cert needs one of --ca-key FILE and --ca-sign-cmd COMMAND: what signs the certificates of agents.",
  );
}

function serverOf({ serverCert, serverKey }: TlsFlags, name: string): Result<ServerSource, string> {
  if (serverCert === undefined && serverKey === undefined)
    return ok({ kind: "own", names: [name, ...LOCAL.filter((local) => local !== name)] });
  if (serverCert !== undefined && serverKey !== undefined)
    return ok({ kind: "files", certFile: resolve(serverCert), keyFile: resolve(serverKey) });
  return err("--server-cert and --server-key belong together: give both, or none.");
}
