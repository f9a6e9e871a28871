import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { sentence } from "@nixwave/protocol";
import { answerConsole, type ConsoleParts } from "../console/answer.ts";
import { type ConsoleReply, requestSchema } from "../console/request.ts";
import { callConsole } from "../perform/consoleCall.ts";

export const consolePath = (stateDir: string): string => join(stateDir, "agent.sock");

/** A request is a reason and a few fields. */
const REQUEST_BYTES_MAX = 4096;
/** sockaddr_un has 108 bytes, with its end. */
const PATH_BYTES_MAX = 107;

/**
 * Listens for the console on a socket that only root may open. Throws a sentence where another agent answers there
 * already: two of them on one journal would number the same events twice.
 */
export async function serveConsole(path: string, parts: ConsoleParts): Promise<Server> {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX)
    throw new Error(
      `${path} is longer than the ${PATH_BYTES_MAX} bytes of a socket's path: choose a shorter stateDir`,
    );
  const other = await callConsole(path, { command: "status" });
  if (other.kind === "answered")
    throw new Error(`another agent runs with this stateDir: it answers on ${path}. Stop it first.`);
  rmSync(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, parts));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

function serve(socket: Socket, parts: ConsoleParts): void {
  let text = "";
  socket.setEncoding("utf8");
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (text.length > REQUEST_BYTES_MAX) return void socket.destroy();
    const end = text.indexOf("\n");
    if (end === -1) return;
    socket.pause();
    reply(text.slice(0, end), parts).then(
      (said) => socket.end(`${JSON.stringify(said)}\n`),
      () => socket.destroy(),
    );
  });
}

async function reply(line: string, parts: ConsoleParts): Promise<ConsoleReply> {
  try {
    const json: unknown = JSON.parse(line);
    const request = requestSchema.safeParse(json);
    if (!request.success) return { ok: false, text: sentence(request.error, "request") };
    return await answerConsole(request.data, parts);
  } catch (cause) {
    return { ok: false, text: cause instanceof Error ? cause.message : String(cause) };
  }
}
