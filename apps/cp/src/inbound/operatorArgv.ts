import { type Command, Option } from "@commander-js/extra-typings";
import { ROLES } from "@nixwave/protocol";
import type { AuthorityFlags } from "../tlsConfig.ts";
import type { DataFlags } from "./argv.ts";
import type { CertificateFlags, TokenFlags } from "./operatorCommands.ts";

/** The commands about who may act, each with the exit code that it ends in. */
export interface OperatorProgram {
  readonly ca: (flags: DataFlags & AuthorityFlags) => Promise<number>;
  readonly tokenAdd: (flags: DataFlags & TokenFlags) => Promise<number>;
  readonly tokenList: (flags: DataFlags) => Promise<number>;
  readonly tokenRevoke: (id: string, flags: DataFlags) => Promise<number>;
  readonly certificateAdd: (flags: DataFlags & CertificateFlags) => Promise<number>;
  readonly certificateList: (flags: DataFlags) => Promise<number>;
  readonly certificateRevoke: (serial: string, flags: DataFlags) => Promise<number>;
}

const ROLE = "viewer reads; operator pauses, freezes, retries; admin clears, cancels, lifts";

const withData = <A extends unknown[]>(command: Command<A>) =>
  command
    .option("--data <dir>", "the data directory")
    .option("--config <file>", "a JSON file with the same settings; flags go before it");

const withAuthority = <A extends unknown[]>(command: Command<A>) =>
  withData(command)
    .option("--ca-cert <file>", "the CA's certificate, where it is not in the data directory")
    .option("--ca-key <file>", "its private key, of mode 0600")
    .option("--ca-sign-cmd <command>", "instead: a command that signs stdin");

const role = () => new Option("--role <role>", ROLE).choices(ROLES).makeOptionMandatory();
const days = (count: number) =>
  ["--days <count>", `how long it holds, up to 365 days (default: ${count})`] as const;

/** They work while the control plane serves, and are in force with the next request. */
export function addOperatorCommands(
  program: Command,
  commands: OperatorProgram,
  exit: (code: number) => void,
): void {
  withAuthority(program.command("ca"))
    .description(
      "print the CA's certificate, which agents and operators pin; makes the CA if there is none",
    )
    .action(async (flags) => exit(await commands.ca(flags)));
  const token = program.command("token").description("operators' bearer tokens");
  withData(token.command("add"))
    .description("make a token; it is shown once, and only its hash is kept")
    .requiredOption("--name <name>", "whose it is, as the log will name them")
    .addOption(role())
    .option(...days(90))
    .option("--out <file>", "write it to a new file of mode 0600 instead of stdout")
    .action(async (flags) => exit(await commands.tokenAdd(flags)));
  withData(token.command("list"))
    .description("whose tokens there are, and when each was last used")
    .action(async (flags) => exit(await commands.tokenList(flags)));
  withData(token.command("revoke").argument("<id>", "as token list shows it"))
    .description("refuse a token from now on")
    .action(async (id, flags) => exit(await commands.tokenRevoke(id, flags)));
  const certificate = program
    .command("operator-certificate")
    .description("operators' certificates, which admin actions need");
  withAuthority(certificate.command("add"))
    .description("issue NAME.pem for a request, or make NAME.key and NAME.pem")
    .requiredOption("--name <name>", "whose it is, as the log will name them")
    .addOption(role())
    .option(...days(90))
    .option("--csr <file>", "a certificate request; only its key is taken from it")
    .option("--out <dir>", "the folder for the files (default: this one)")
    .action(async (flags) => exit(await commands.certificateAdd(flags)));
  withData(certificate.command("list"))
    .description("which were issued here, and until when they hold")
    .action(async (flags) => exit(await commands.certificateList(flags)));
  withData(certificate.command("revoke").argument("<serial>", "as the list shows it"))
    .description("refuse a certificate from now on")
    .action(async (serial, flags) => exit(await commands.certificateRevoke(serial, flags)));
}
