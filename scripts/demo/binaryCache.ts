import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize } from "node:path";

/** A folder that `nix copy` wrote, as any static server would give it. */
export interface BinaryCache {
  readonly url: string;
  /** Archives that were fetched from it. */
  readonly fetched: () => number;
  stop(): Promise<void>;
}

const ADDRESS = "127.0.0.1";

export async function startBinaryCache(folder: string): Promise<BinaryCache> {
  let fetched = 0;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://cache");
    const path = join(folder, normalize(decodeURIComponent(pathname)));
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("content-length", stat.size);
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    if (pathname.startsWith("/nar/")) fetched += 1;
    createReadStream(path).pipe(response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, ADDRESS, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the cache has no port");
  return {
    url: `http://${ADDRESS}:${address.port}`,
    fetched: () => fetched,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}
