import { spawn } from "node:child_process";

/** A service answers in a second; a person who must touch a token is not there when a host enrols. */
const SIGN_MS_MAX = 30_000;
/** A signature has 64 to 72 bytes. */
const SIGNATURE_BYTES_MAX = 4096;

/**
 * Runs `--ca-sign-cmd` without a shell: what is to be signed on stdin, the signature on stdout, so that the CA's key is never in this process.
 * It rejects with a sentence.
 */
export function runSignCommand(argv: readonly string[], stdin: Uint8Array): Promise<Uint8Array> {
  const [program = "", ...rest] = argv;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(SIGN_MS_MAX);
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"], signal });
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= SIGNATURE_BYTES_MAX) chunks.push(chunk);
      else child.kill();
    });
    child.on("error", (cause) => {
      const why = signal.aborted
        ? `gave nothing within ${SIGN_MS_MAX / 1000} s`
        : `could not be run: ${cause.message}`;
      reject(new Error(`--ca-sign-cmd ${program} ${why}.`));
    });
    child.on("close", (code, by) => {
      if (code === 0) resolve(Buffer.concat(chunks));
      else reject(new Error(`--ca-sign-cmd ${program} ended with ${code ?? by}.`));
    });
    // A program that needs none of it closes its stdin early; its signature decides.
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
  });
}
