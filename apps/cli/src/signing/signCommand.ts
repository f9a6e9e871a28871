import { spawn } from "node:child_process";

/** A person may have to touch a token; a service that takes longer has hung. */
const SIGN_MS_MAX = 120_000;
/** A signature has 64 to 72 bytes. */
const SIGNATURE_BYTES_MAX = 4096;

/** Runs `--sign-cmd` without a shell: bytes on stdin, the signature on stdout. What it says on stderr is for the person. */
export function runSignCommand(
  argv: readonly string[],
  stdin: Uint8Array,
  { cwd, stop }: { cwd: string; stop: AbortSignal },
): Promise<Uint8Array> {
  const [program = "", ...rest] = argv;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(SIGN_MS_MAX)]);
    const child = spawn(program, rest, { cwd, stdio: ["pipe", "pipe", "inherit"], signal });
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= SIGNATURE_BYTES_MAX) chunks.push(chunk);
      else child.kill();
    });
    child.on("error", (cause) => {
      const late = signal.aborted && !stop.aborted;
      reject(
        late
          ? new Error(`--sign-cmd ${program} gave nothing within ${SIGN_MS_MAX / 1000} s`)
          : new Error(`--sign-cmd ${program} could not be run: ${cause.message}`),
      );
    });
    child.on("close", (code, by) => {
      if (code === 0) resolve(Buffer.concat(chunks));
      else reject(new Error(`--sign-cmd ${program} ended with ${code ?? by}`));
    });
    // A program that needs none of it closes its stdin early; its signature decides.
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
  });
}
