/** What a person has to mend before the command can do anything: exit code 1. The message is the whole sentence. */
export class Refusal extends Error {
  override readonly name: string = "Refusal";
}

/** The control plane knows no such thing: final for most, but what was just released may not be there yet. */
export class NotThere extends Refusal {
  override readonly name = "NotThere";
}

/** The control plane could not be asked, or not now. Whoever watches goes on and asks again. */
export class NoAnswer extends Refusal {
  override readonly name = "NoAnswer";
}

/** The system's word for why a file could not be used: `ENOENT`, `EACCES`. */
export const systemCode = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
