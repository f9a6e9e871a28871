import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

/** The services of all demo hosts: `/<host>/health` answers what the host's last switch wrote down. */
export interface Service {
  readonly address: string;
  readonly port: number;
  stop(): Promise<void>;
}

const ADDRESS = "127.0.0.1";

export async function startService(hostRoot: (host: string) => string | null): Promise<Service> {
  const server = createServer((request, response) => {
    const [, host = ""] = (request.url ?? "").split("/");
    const health = healthOf(hostRoot(host));
    response.writeHead(health === "ok" ? 200 : 503, {
      "content-type": "text/plain",
      connection: "close",
    });
    response.end(`${health}\n`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, ADDRESS, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("the demo's service has no port");
  return {
    address: ADDRESS,
    port: address.port,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

function healthOf(root: string | null): string {
  if (root === null) return "no such host";
  try {
    return readFileSync(join(root, "service/health"), "utf8").trim();
  } catch {
    return "not started";
  }
}
