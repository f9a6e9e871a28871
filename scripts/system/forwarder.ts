import { connect, createServer, type ListenOptions, type Socket } from "node:net";
import { fileURLToPath } from "node:url";

// node forwarder.ts ADDRESS PORT SOCKET: takes TCP inside of the lab's network namespace to a Unix socket, which no
// namespace holds back.

/** Bytes both ways, until one side ends. */
export function forward(from: ListenOptions, to: () => Socket) {
  return createServer((inner) => {
    const outer = to();
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  }).listen(from);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [host = "", port = "", path = ""] = process.argv.slice(2);
  forward({ host, port: Number(port) }, () => connect(path));
}
