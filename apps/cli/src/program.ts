import { Command, CommanderError } from "@commander-js/extra-typings";
import { actionCommands } from "./commandLine/actions.ts";
import { hostIdentityCommands } from "./commandLine/hosts.ts";
import { importCommands } from "./commandLine/imports.ts";
import { keyCommands } from "./commandLine/keys.ts";
import { readCommands } from "./commandLine/reads.ts";
import { releaseCommands } from "./commandLine/releases.ts";
import { trustCommands } from "./commandLine/trust.ts";
import { connect, operatorOf } from "./connect.ts";
import { credentialsOf } from "./credentials.ts";
import type { Ask, Desk } from "./desk.ts";
import { EXIT, EXIT_HELP, type ExitCode } from "./exit.ts";
import { Refusal } from "./refusal.ts";
import { styleOf } from "./style.ts";
import type { Surroundings } from "./surroundings.ts";

const DEFAULT_CP = "http://127.0.0.1:8460";

/** How the command line hands over to a command, and the command its exit code back. */
export interface Shell {
  readonly surroundings: Surroundings;
  desk(): Desk;
  exitWith(code: ExitCode): void;
}

export type Root = ReturnType<typeof rootCommand>;

const HELP = `
Times are relative; with --json they are RFC 3339 in UTC. Colour is off with NO_COLOR.

${EXIT_HELP}

Begin here:
  $ nixwave init demo && cd demo    an example fleet that teaches, a key, and the repository that it signs
  $ nixwave release                 make a signed release of it
  $ nixwave status --watch          see it roll out
  $ nixwave why web-1               see why a host is where it is
`;

function rootCommand(surroundings: Surroundings) {
  const { terminal } = surroundings;
  return new Command("nixwave")
    .description(
      "Rolls signed releases out to a fleet, wave by wave; this is the operator's command.",
    )
    .option(
      "--cp <URL>",
      "the control plane (or NIXWAVE_CP)",
      surroundings.env["NIXWAVE_CP"] ?? DEFAULT_CP,
    )
    .option(
      "--authority <FILE>",
      "over https: the CA that certified it, PEM (or NIXWAVE_AUTHORITY)",
    )
    .option("--token-file <FILE>", "your token, in a file of mode 0600 (or NIXWAVE_TOKEN_FILE)")
    .option("--cert <FILE>", "or your certificate, PEM (or NIXWAVE_CERT)")
    .option("--cert-key <FILE>", "and its key, of mode 0600 (or NIXWAVE_CERT_KEY)")
    .option("--json", "data as JSON, one documented schema per command")
    .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(terminal.columns(), 100) })
    .configureOutput({
      writeOut: (text) => terminal.data(text),
      writeErr: (text) => terminal.talk(text),
      outputError: (text, write) => write(text.replace(/^error: /, "nixwave: ")),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError()
    .showHelpAfterError("(--help shows the options, and examples)")
    .exitOverride()
    .addHelpText("after", HELP);
}

/** Credentials are read for the first question: who signs releases needs none. */
function lazily(make: () => Ask): Ask {
  let ask: Ask | null = null;
  return async (route, request) => {
    ask ??= make();
    return await ask(route, request);
  };
}

/** Runs one command line and comes back with its exit code. Nothing is thrown but our own bugs. */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let exit: ExitCode = EXIT.fine;
  const root = rootCommand(surroundings);
  const shell: Shell = {
    surroundings,
    desk: () => {
      const { json = false, ...typed } = root.opts();
      return {
        surroundings,
        style: styleOf(surroundings),
        json,
        ask: lazily(() =>
          connect({
            address: typed.cp,
            operator: operatorOf(surroundings.env),
            credentials: credentialsOf(surroundings, typed),
            stop: surroundings.stop,
          }),
        ),
      };
    },
    exitWith: (code) => {
      exit = code;
    },
  };
  readCommands(root, shell);
  releaseCommands(root, shell);
  trustCommands(root, shell);
  keyCommands(root, shell);
  hostIdentityCommands(root, shell);
  actionCommands(root, shell);
  importCommands(root, shell);
  try {
    await root.parseAsync(argv, { from: "user" });
    return exit;
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? EXIT.fine : EXIT.usage;
    if (!(cause instanceof Refusal)) throw cause;
    // Who pressed Ctrl-C knows why nothing came.
    if (surroundings.stop.aborted) return EXIT.usage;
    surroundings.terminal.talk(`nixwave: ${cause.message}\n`);
    return EXIT.usage;
  }
}
