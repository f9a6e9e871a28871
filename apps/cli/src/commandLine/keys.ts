import { Option } from "@commander-js/extra-typings";
import {
  addChannelTo,
  changeRoles,
  generate,
  type KeyChangeTyped,
  listKeys,
} from "../commands/key.ts";
import { channelNamed } from "../find.ts";
import type { Root, Shell } from "../program.ts";
import { Refusal } from "../refusal.ts";
import { repositoryOf } from "../signing/settings.ts";
import type { SignersTyped } from "../signing/signers.ts";
import { collect, REPOSITORY, signing } from "./signing.ts";

const ROLES = "root, targets, snapshot, timestamp or a channel; several with commas, or all";
const PUBLIC = "the PEM of the public key; its owner's name is the file's";
const KEY = "its name, or its id or the beginning of that: nixwave key list";

const ABOUT = `
Roles: root says whose keys count for the others. targets says who is who and whose keys count for channels. A channel's role signs its
releases. snapshot and timestamp name the newest of all, and are signed anew every few days: give those a key that a machine may hold.
Keys of root, targets, snapshot and timestamp are changed by root; keys of channels by targets.

From one key to two of three people, each of whom may put live what is complete:
  $ nixwave key generate ops-2.key                     each person, on their own machine; ops-2.pub goes around
  $ nixwave key add all ops-2.pub                      whoever signs root
  $ nixwave key add all ops-3.pub
  $ nixwave key threshold root,targets,stable 2        from now on: nixwave release, and nixwave sign by another`;

interface ChangeTyped extends SignersTyped {
  readonly repository?: string | undefined;
  readonly yes?: true | undefined;
}

const keyGroup = (root: Root) =>
  root
    .command("key")
    .description("Who may sign what, and how many must")
    .addHelpText("after", ABOUT);

/** The commands of who may sign. */
export function keyCommands(root: Root, shell: Shell): void {
  const key = keyGroup(root);
  keyChangeCommands(key, shell);
  keyFileCommands(key, shell);
  channelCommand(root, shell);
}

function keyChangeCommands(key: ReturnType<typeof keyGroup>, shell: Shell): void {
  const run = async (change: KeyChangeTyped, roles: string, typed: ChangeTyped): Promise<void> => {
    const { repository, yes = false, ...signers } = typed;
    const place = repositoryOf(shell.surroundings, repository);
    shell.exitWith(await changeRoles(shell.desk(), change, { place, roles, yes, signers }));
  };
  const changing = <A extends string>(name: A, description: string) =>
    signing(key.command(name).description(description))
      .option("--repository <DIR>", REPOSITORY)
      .option("--yes", "do not ask")
      .argument("<ROLES>", ROLES);
  changing("add", "Make a key count for roles")
    .argument("<PUBLIC>", PUBLIC)
    .addHelpText("after", "\nExample:\n  $ nixwave key add stable ops-2.pub")
    .action((roles, publicKey, typed) => run({ kind: "add", publicKey }, roles, typed));
  changing("remove", "Make a key count no more for roles")
    .argument("<KEY>", KEY)
    .addHelpText("after", "\nExample:\n  $ nixwave key remove all ops-2")
    .action((roles, named, typed) => run({ kind: "remove", key: named }, roles, typed));
  changing("rotate", "Put a key in another's place, in one version")
    .argument("<KEY>", `the one that goes: ${KEY}`)
    .argument("<PUBLIC>", `the one that comes: ${PUBLIC}`)
    .addHelpText(
      "after",
      `
What the old key signed is signed anew by the new one: name both, or let the new one run nixwave sign.

Example:
  $ nixwave key rotate all ops-1 ops-4.pub --key ops-1.key --key ops-4.key`,
    )
    .action((roles, named, publicKey, typed) =>
      run({ kind: "rotate", key: named, publicKey }, roles, typed),
    );
  changing("threshold", "How many of a role's keys must sign")
    .argument("<NUMBER>", "from 1 to as many keys as the role has")
    .addHelpText("after", "\nExample:\n  $ nixwave key threshold root,stable 2")
    .action((roles, text, typed) =>
      run({ kind: "threshold", threshold: numberOf("<NUMBER>", text) }, roles, typed),
    );
}

function keyFileCommands(key: ReturnType<typeof keyGroup>, shell: Shell): void {
  key
    .command("generate")
    .description("Write a private key, mode 0600, and its public half beside it")
    .argument(
      "<FILE>",
      "where the private key goes; its name is its owner's, such as keys/ops-2.key",
    )
    .addOption(
      new Option("--kind <KIND>", "p256 where an HSM or a law asks for it")
        .choices(["ed25519", "p256"] as const)
        .default("ed25519" as const),
    )
    .option("--passphrase", "seal it with a passphrase, which is asked for")
    .option("--passphrase-file <FILE>", "the passphrase, in a file of mode 0600")
    .addHelpText("after", "\nExample:\n  $ nixwave key generate ~/ops-2.key --passphrase")
    .action(async (file, typed) => {
      await generate(shell.desk(), file, typed);
    });
  key
    .command("list")
    .description("Each role: its keys, how many must sign, and how long what they signed holds")
    .argument("[ROLE]", "one role only")
    .option("--repository <DIR>", REPOSITORY)
    .addHelpText("after", "\nExample:\n  $ nixwave key list stable")
    .action(async (role, { repository }) => {
      await listKeys(shell.desk(), repositoryOf(shell.surroundings, repository), role ?? null);
    });
}

function channelCommand(root: Root, shell: Shell): void {
  signing(
    root
      .command("channel")
      .description("Release trains of a repository")
      .command("add")
      .description(
        "Let a repository have one more channel; signed by targets and by the channel's keys",
      )
      .argument("<CHANNEL>", "its name, as the declaration has it"),
  )
    .option(
      "--public <FILE>",
      "who may sign it, PEM; may be repeated; else whoever signs this",
      collect,
      [],
    )
    .option("--threshold <NUMBER>", "how many must sign", "1")
    .option("--repository <DIR>", REPOSITORY)
    .addHelpText(
      "after",
      "\nExample:\n  $ nixwave channel add edge --public ops-1.pub --public ops-2.pub",
    )
    .action(async (name, { repository, public: publicKeys, threshold, ...signers }) => {
      const place = repositoryOf(shell.surroundings, repository);
      const typed = {
        place,
        public: publicKeys,
        threshold: numberOf("--threshold", threshold),
        signers,
      };
      shell.exitWith(await addChannelTo(shell.desk(), channelNamed(name), typed));
    });
}

function numberOf(what: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Refusal(`${what} “${text}”: expected a whole number from 1.`);
}
