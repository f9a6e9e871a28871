import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import { Agent, type Dispatcher } from "undici";
import type { Connection, HttpRequest, ShownIdentity } from "../ports.ts";
import { CONNECTIONS_MAX, exchange } from "./http.ts";

export interface ClosableConnection extends Connection {
  close(): Promise<void>;
}

/** Of OpenSSL and Node, with what they mean to a person. */
const REASONS: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not one of the CA that this host pins",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is not one of the CA that this host pins",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not one of the CA that this host pins",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not one of the CA that this host pins",
  CERT_SIGNATURE_FAILURE: "its certificate is not one of the CA that this host pins",
  CERT_HAS_EXPIRED: "its certificate has ended, or this host's clock is ahead",
  CERT_NOT_YET_VALID: "its certificate does not hold yet, or this host's clock is behind",
  INVALID_PURPOSE: "its certificate is not a server's",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

/**
 * TLS 1.3 to one server, which has to prove `serverName` with a certificate of the pinned CA. A new certificate of ours takes new connections:
 * those that are open finish what is under way on them, so that no event and no answer is lost.
 */
export function tlsConnection(serverName: string): ClosableConnection {
  const open = new Set<Dispatcher>();
  let pinned: string | null = null;
  let shown: ShownIdentity | null = null;
  let identified: Dispatcher | null = null;
  let anonymous: Dispatcher | null = null;
  let closed = false;
  const waiting = new Set<() => void>();

  const renewed = (old: Dispatcher | null, identity: ShownIdentity | null): Dispatcher | null => {
    // Closed once its last answer has come; a parked poll may take its time.
    if (old !== null) void old.close().finally(() => open.delete(old));
    if (pinned === null || closed) return null;
    const dispatcher = dispatcherFor(serverName, pinned, identity);
    open.add(dispatcher);
    return dispatcher;
  };
  const show = (identity: ShownIdentity | null): void => {
    shown = identity;
    identified = renewed(identified, shown);
    if (shown === null || identified === null) return;
    for (const wake of waiting) wake();
  };
  return {
    pin: (authorities) => {
      if (pinned === authorities) return;
      pinned = authorities;
      anonymous = renewed(anonymous, null);
      if (shown !== null) show(shown);
    },
    show,
    http: {
      request: async (request) => {
        if (shown === null) await appearance(waiting, request);
        if (identified === null) throw new Error("this host has no certificate yet");
        return await spoken(request, identified);
      },
    },
    anonymous: {
      request: async (request) => {
        if (anonymous === null) throw new Error("no CA is pinned yet");
        return await spoken(request, anonymous);
      },
    },
    close: async () => {
      closed = true;
      await Promise.all([...open].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

function dispatcherFor(serverName: string, ca: string, identity: ShownIdentity | null): Dispatcher {
  return new Agent({
    connections: CONNECTIONS_MAX,
    headersTimeout: 0,
    bodyTimeout: 0,
    // Every connection proves itself anew: the server reads who we are from the handshake.
    maxCachedSessions: 0,
    connect: {
      ca,
      ...(identity === null ? {} : { cert: identity.certificate, key: identity.key }),
      minVersion: "TLSv1.3",
      maxVersion: "TLSv1.3",
      // TLS knows no address as a server's name; the certificate may.
      servername: isIP(serverName) === 0 ? serverName : "",
      checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    },
  });
}

/** Resolves once there is a certificate to show; rejects when the request's time is over. */
function appearance(waiting: Set<() => void>, { signal, timeoutMs }: HttpRequest): Promise<void> {
  const late = AbortSignal.timeout(timeoutMs);
  const over = signal === undefined ? late : AbortSignal.any([signal, late]);
  return new Promise((resolve, reject) => {
    const end = (): void => {
      waiting.delete(wake);
      reject(new Error("this host has no certificate yet"));
    };
    const wake = (): void => {
      waiting.delete(wake);
      over.removeEventListener("abort", end);
      resolve();
    };
    if (over.aborted) return end();
    over.addEventListener("abort", end, { once: true });
    waiting.add(wake);
  });
}

async function spoken(request: HttpRequest, dispatcher: Dispatcher) {
  try {
    return await exchange(request, dispatcher);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const reason = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
    throw reason === undefined ? cause : new Error(`${reason} (${code})`, { cause });
  }
}
