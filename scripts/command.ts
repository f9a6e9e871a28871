import { type ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Values<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O }>
>["values"];

/** What was typed can't be meant. The message says what was typed, and what was expected. */
export class Misuse extends Error {}

interface Command<O extends Options> {
  /** As in `pnpm NAME`. */
  readonly name: string;
  /** One line for each way to call it. */
  readonly usage: string;
  readonly options: O;
}

/**
 * Runs one of this repository's own commands and sets the exit code: what `main` answers; 0 after `--help`; 2 for what was typed
 * wrongly, with a sentence and the usage; 2 for a mistake of the command itself, with its stack.
 */
export async function runCommand<const O extends Options>(
  { name, usage, options }: Command<O>,
  main: (values: Values<O>) => number | Promise<number>,
): Promise<void> {
  // pnpm hands over the `--` that may stand before the options.
  const args = process.argv.slice(2).filter((word) => word !== "--");
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(`${usage.trimEnd()}\n`);
    return;
  }
  try {
    process.exitCode = await main(parsed(args, options));
  } catch (cause) {
    process.exitCode = 2;
    if (cause instanceof Misuse)
      process.stderr.write(`${name}: ${cause.message}\n\n${usage.trimEnd()}\n`);
    else console.error(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
  }
}

function parsed<O extends Options>(args: string[], options: O): Values<O> {
  try {
    return parseArgs({ args, options }).values;
  } catch (cause) {
    // Node's further sentences teach how to pass a word that begins with a dash, which none of these commands takes.
    throw new Misuse(cause instanceof Error ? (cause.message.split(". ")[0] ?? "") : String(cause));
  }
}

/** A whole number from 1, as people write it: `1,000,000` is one too. */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text.replaceAll(",", ""));
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Misuse(`--${option} is "${text}"; expected a whole number from 1`);
}
