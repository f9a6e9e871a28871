import { createServer } from "node:https";
import type { Authority, Issuer } from "@nixwave/protocol";
import type { FastifyServerFactory } from "fastify";
import { openIssuer } from "../identity/authority.ts";
import { ServingCertificate } from "../identity/servingCertificate.ts";
import type { TlsConfig } from "../tlsConfig.ts";
import { Connections } from "./connections.ts";
import type { InFlight } from "./inFlight.ts";
import type { WorldPorts } from "./world.ts";

/** A client that says nothing holds a socket and a context; TLS 1.3 takes one round trip. */
const HANDSHAKE_MS_MAX = 10_000;
/** How often Node looks for requests that take too long to arrive. */
const REQUESTS_LOOKED_AT_MS = 5000;
/** A parked poll for each of ten thousand hosts, another request of each fifth, and room; the rest waits in the backlog. */
const CONNECTIONS_MAX = 16_384;

/** What TLS takes beside HTTP: the CA, the certificate that is served with, and whose the connections are. */
export interface TlsListener {
  readonly issuer: Issuer;
  readonly authorities: readonly Authority[];
  readonly serving: ServingCertificate;
  readonly connections: Connections;
  readonly factory: FastifyServerFactory;
  readonly config: TlsConfig;
}

/** Opens or makes what TLS needs. It throws a sentence that names the file. */
export async function openTls(
  config: TlsConfig,
  dataDir: string,
  world: WorldPorts & { readonly inFlight: InFlight },
): Promise<TlsListener> {
  const { clock, random } = world;
  const issuer = await openIssuer(config.authority, { dataDir, random, now: clock.now() });
  const serving = await ServingCertificate.open(
    { source: config.server, issuer, dataDir, random },
    world,
  );
  const authorities = [issuer.authority];
  const connections = new Connections({
    ...world,
    authorities,
    isAnswering: (socket) => world.inFlight.isAnswering(socket),
  });
  return {
    issuer,
    authorities,
    serving,
    connections,
    factory: (handler) => {
      const server = createServer(
        { ...secureOptions(serving), connectionsCheckingInterval: REQUESTS_LOOKED_AT_MS },
        handler,
      );
      server.maxConnections = CONNECTIONS_MAX;
      connections.watch(server);
      serving.keepNew(() => server.setSecureContext(secureOptions(serving)));
      return server;
    },
    config,
  };
}

const secureOptions = ({ current: { cert, key } }: ServingCertificate) => ({
  cert,
  key,
  minVersion: "TLSv1.3" as const,
  // Enrolment lets in who has no certificate yet; principalOf says who holds which, complete in itself.
  requestCert: true,
  rejectUnauthorized: false,
  handshakeTimeout: HANDSHAKE_MS_MAX,
});
