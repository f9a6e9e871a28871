import { Command } from "@commander-js/extra-typings";
import {
  CONFIG_KEYS,
  DEFAULT_LISTEN,
  LOG_DAYS_DEFAULT,
  LOG_GIB_DEFAULT,
  type ServeFlags,
} from "../config.ts";
import { addOperatorCommands, type OperatorProgram } from "./operatorArgv.ts";

/** What a maintenance command works on; the config file may name the directory instead. */
export interface DataFlags {
  readonly data?: string | undefined;
  readonly config?: string | undefined;
}

/** The commands, each with the exit code that it ends in: 0 done, 1 usage, connection or something found wrong. */
export interface Commands extends OperatorProgram {
  readonly init: (flags: DataFlags) => Promise<number>;
  readonly serve: (flags: ServeFlags & { readonly config?: string | undefined }) => Promise<number>;
  readonly checkConfig: (
    flags: ServeFlags & { readonly config?: string | undefined },
  ) => Promise<number>;
  readonly check: (flags: DataFlags) => Promise<number>;
  readonly rebuild: (flags: DataFlags) => Promise<number>;
  readonly backup: (file: string, flags: DataFlags) => Promise<number>;
  readonly restore: (file: string, flags: DataFlags) => Promise<number>;
  readonly resumeAfterRestore: (flags: DataFlags & { readonly reason: string }) => Promise<number>;
}

export interface ProgramPorts {
  readonly commands: Commands;
  readonly version: string;
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  /** Called with what the command ended in. */
  readonly exit: (code: number) => void;
}

const DATA = "the data directory: the database and its lock";
const CONFIG = "a JSON file with the same settings; flags go before it";

const EXAMPLES = `
A control plane from nothing:
  nixwave-cp init --data ./data
  nixwave-cp serve --data ./data --repository ./releases --root ./root.json --name cp.example.com --listen 0.0.0.0:8460
  nixwave-cp ca --data ./data > ca.pem        agents and operators pin it
  nixwave-cp operator-certificate add --data ./data --name ann --role admin
  nixwave-cp token add --data ./data --name grafana --role viewer > grafana.token

With --insecure-loopback it serves without TLS, on the loopback only: anyone on this machine can then act as
any host or operator.

Lost or damaged:
  nixwave-cp check --data ./data                      does the database follow from its log?
  nixwave-cp rebuild --data ./data                    makes the derived tables anew from the log
  nixwave-cp restore backup.db --data ./data          and then serve: dispatches wait until the hosts were heard
  nixwave-cp serve --recover --data ./new …           when there is no backup at all`;

const SERVE_HELP = `
The file of --config has the keys ${CONFIG_KEYS}, for example
  { "data": "/var/lib/nixwave", "repository": "/srv/releases", "root": "/etc/nixwave/root.json", "listen": "0.0.0.0:8460", "name": "cp.example.com" }

Logs are JSON on stderr, one line per change; the first names the address: {"msg":"listening","url":"http://127.0.0.1:8460",…}.
SIGTERM or SIGINT stops within ten seconds: what was taken is committed, parked polls are answered.`;

const BACKUP_HELP = `
The copy is the database, whole. What else a new machine needs, kept apart from it and as keys are kept:
  DIR/tls/ca.key and DIR/tls/ca.pem   the CA that agents and operators pin, unless --ca-cert names another
  the files of --ca-cert, --ca-key, --server-cert and --server-key, where they are given
  root.json                           for --root; the releases are copied from --repository again`;

const withData = <A extends unknown[]>(command: Command<A>) =>
  command.option("--data <dir>", DATA).option("--config <file>", CONFIG);

const withServe = <A extends unknown[]>(command: Command<A>) =>
  withData(command)
    .option(
      "--repository <place>",
      "the signed repository of releases: a directory, an http(s) address, or a git repository",
    )
    .option("--root <file>", "the root.json to verify it from; needed at the first start")
    .option(
      "--listen <host:port>",
      `where to listen; port 0 chooses one (default: ${DEFAULT_LISTEN})`,
    )
    .option(
      "--name <name>",
      "the name by which agents reach it, in its certificate (default: the address)",
    )
    .option("--ca-cert <file>", "the CA's certificate, instead of the one of the first start")
    .option("--ca-key <file>", "its private key, of mode 0600")
    .option("--ca-sign-cmd <command>", "instead: a command that signs stdin (HSM, TPM, KMS)")
    .option("--server-cert <file>", "the server's certificate, instead of one of the CA's")
    .option("--server-key <file>", "its private key, of mode 0600")
    .option("--allow-token-admin", "let admins act with a token; else it takes a certificate")
    .option("--insecure-loopback", "serve without TLS, on the loopback only")
    .option(
      "--recover",
      "begin after a loss: hold dispatches until the hosts were heard and replayed",
    )
    .option(
      "--log-days <n>",
      `archive lines of the log that are older (default: ${LOG_DAYS_DEFAULT})`,
    )
    .option(
      "--log-gib <n>",
      `archive the log's beginning where it is larger (default: ${LOG_GIB_DEFAULT})`,
    )
    .option("--ready-file <file>", "write the URL there, in one step, once it is served");

/** The command line. Nothing is done here: each command is called with what was typed. */
export function createProgram({ commands, version, exit, ...out }: ProgramPorts): Command {
  const program = new Command("nixwave-cp")
    .description("The control plane: decides when a host may move.")
    .version(version, "--version", "print the version")
    .configureOutput({ writeOut: out.writeOut, writeErr: out.writeErr })
    .showHelpAfterError("(nixwave-cp --help says more)")
    .exitOverride()
    .addHelpText("after", EXAMPLES);

  withData(program.command("init"))
    .description("make the database of a new fleet; refuses where one is")
    .action(async (flags) => exit(await commands.init(flags)));
  withServe(program.command("serve"))
    .description("serve agents and operators until it is told to stop")
    .addHelpText("after", SERVE_HELP)
    .action(async (flags) => exit(await commands.serve(flags)));
  withServe(program.command("check-config"))
    .description("say what serve would do with these settings, and what is missing")
    .action(async (flags) => exit(await commands.checkConfig(flags)));
  withData(program.command("check"))
    .description("fold the log and compare with the stored tables; exits 1 where they differ")
    .action(async (flags) => exit(await commands.check(flags)));
  withData(program.command("rebuild"))
    .description("make the derived tables anew from the log; the control plane must be stopped")
    .action(async (flags) => exit(await commands.rebuild(flags)));
  withData(program.command("backup").argument("<file>", "where to write the copy"))
    .description("copy the database, also while it is served")
    .addHelpText("after", BACKUP_HELP)
    .action(async (file, flags) => exit(await commands.backup(file, flags)));
  withData(program.command("restore").argument("<file>", "a copy that backup made"))
    .description(
      "put a copy in place; dispatches then wait until the hosts were heard and replayed",
    )
    .action(async (file, flags) => exit(await commands.restore(file, flags)));
  withData(program.command("resume-after-restore"))
    .description("end that wait early; the control plane must be stopped meanwhile")
    .requiredOption("--reason <text>", "why; it is in the log beside your name")
    .action(async (flags) => exit(await commands.resumeAfterRestore(flags)));
  addOperatorCommands(program, commands, exit);
  program
    .command("version")
    .description("print the version")
    .action(() => {
      out.writeOut(`nixwave-cp ${version}\n`);
      exit(0);
    });
  return program;
}
