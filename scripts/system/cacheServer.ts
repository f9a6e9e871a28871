import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { join, normalize } from "node:path";

// node cacheServer.ts FOLDER ADDRESS PORT MODE_FILE: a binary cache over HTTP, inside of the lab's network namespace. The
// mode file is read for each request: lines `ADDRESS MODE`, where `*` is every other host, with `serve`, `down` (no answer but a
// closed connection) or `slow` (1 kB/s).

const [folder = "", address = "", port = "", modeFile = ""] = process.argv.slice(2);
const SLOW_BYTES = 100;
const SLOW_EVERY_MS = 100;

createServer((request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://cache");
  const path = join(folder, normalize(decodeURIComponent(pathname)));
  const from = request.socket.remoteAddress ?? "";
  const mode = modeFor(from);
  if (mode === "down") {
    request.socket.destroy();
    return;
  }
  const size = sizeOf(path);
  if (size === null) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader("content-length", size);
  if (request.method === "HEAD") response.end();
  else if (mode === "slow" && path.includes("/nar/")) sendSlowly({ path, from }, response);
  else createReadStream(path).pipe(response);
}).listen(Number(port), address);

function modeFor(address: string): string {
  const lines = readFileSync(modeFile, "utf8").split("\n");
  const modes = new Map(lines.map((line) => [line.split(" ")[0], line.split(" ")[1] ?? ""]));
  return modes.get(address) ?? modes.get("*") ?? "serve";
}

function sizeOf(path: string): number | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : null;
}

function sendSlowly(
  { path, from }: { readonly path: string; readonly from: string },
  response: ServerResponse,
): void {
  const bytes = readFileSync(path);
  let sent = 0;
  const timer = setInterval(() => {
    // What was begun slowly does not stay slow for ever.
    const size = modeFor(from) === "slow" ? SLOW_BYTES : bytes.length;
    response.write(bytes.subarray(sent, sent + size));
    sent += size;
    if (sent < bytes.length) return;
    clearInterval(timer);
    response.end();
  }, SLOW_EVERY_MS);
  response.on("close", () => {
    clearInterval(timer);
  });
}
