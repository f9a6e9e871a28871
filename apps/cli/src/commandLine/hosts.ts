import { addHosts, replaceHosts, retireHosts } from "../commands/hostFiles.ts";
import { joinToken } from "../commands/joinToken.ts";
import { channelNamed, hostNamed } from "../find.ts";
import type { Root, Shell } from "../program.ts";
import { repositoryOf } from "../signing/settings.ts";
import type { SignersTyped } from "../signing/signers.ts";
import { secsOf } from "../until.ts";
import { reasonOf } from "./actions.ts";
import { REPOSITORY, signing } from "./signing.ts";

const FLEET = "the declaration; else nixwave.json's, else fleet.yaml";
const SSH_KEY = "the host's ssh_host_ed25519_key.pub; else the declaration's sshHostKey";

interface HostTyped extends SignersTyped {
  readonly repository?: string | undefined;
  readonly fleet?: string | undefined;
  readonly sshHostKey?: string | undefined;
  readonly yes?: true | undefined;
}

const hostGroup = (root: Root) =>
  root.command("host").description("Who is who: hosts that may enrol, and hosts that are refused");

type HostGroup = ReturnType<typeof hostGroup>;

/** The commands of who is who. All of it is signed by the targets role: no channel's key, and no control plane, can say it. */
export function hostIdentityCommands(root: Root, shell: Shell): void {
  const host = hostGroup(root);
  hostAddCommand(host, shell);
  hostRevokeCommands(host, shell);
  joinTokenCommand(root, shell);
}

const changing = (host: HostGroup, name: string, description: string) =>
  signing(host.command(name).description(description))
    .option("--repository <DIR>", REPOSITORY)
    .option("--fleet <FILE>", FLEET)
    .option("--yes", "do not ask")
    .argument("<HOSTS...>", "names of hosts");

function typedOf(shell: Shell, names: readonly string[], typed: HostTyped) {
  const { repository, fleet, sshHostKey, yes = false, ...rest } = typed;
  const { key, passphraseFile, signCmd, publicKey } = rest;
  const place = repositoryOf(shell.surroundings, repository);
  const signers = { key, passphraseFile, signCmd, publicKey };
  return { place, hosts: names.map(hostNamed), fleet, sshHostKey, yes, signers };
}

function hostAddCommand(host: HostGroup, shell: Shell): void {
  changing(
    host,
    "add",
    "Sign who hosts are, so that they may enrol; takes a revocation of theirs back",
  )
    .option("--channel <CHANNEL>", "the channel that may release to them; else the declaration's")
    .option("--ssh-host-key <FILE>", SSH_KEY)
    .addHelpText(
      "after",
      `
nixwave release does this too, with a key that may sign targets. Without an SSH host key a host enrols with a token.

Examples:
  $ nixwave host add web-9
  $ nixwave host add web-9 --channel stable --ssh-host-key web-9.pub`,
    )
    .action(async (names, { channel, ...typed }) => {
      const named = channel === undefined ? undefined : channelNamed(channel);
      shell.exitWith(
        await addHosts(shell.desk(), { ...typedOf(shell, names, typed), channel: named }),
      );
    });
}

function hostRevokeCommands(host: HostGroup, shell: Shell): void {
  changing(host, "retire", "Refuse hosts from now on, on connections that are open too")
    .requiredOption("--reason <TEXT>", "why; it is signed, and nixwave why shows it", reasonOf)
    .addHelpText(
      "after",
      `
Their names stay in fleet/hosts.json, because earlier releases list them. Take them out of the declaration with the next release.
To take it back: nixwave host add

Example:
  $ nixwave host retire web-9 --reason "stolen"`,
    )
    .action(async (names, { reason, ...typed }) => {
      shell.exitWith(await retireHosts(shell.desk(), { ...typedOf(shell, names, typed), reason }));
    });
  changing(
    host,
    "replace",
    "Refuse what hosts were issued before now: for a machine that is installed anew",
  )
    .option("--ssh-host-key <FILE>", SSH_KEY)
    .option("--reason <TEXT>", "why; it is signed", reasonOf, "installed anew")
    .addHelpText(
      "after",
      `
The new machine enrols by its new SSH host key, or with: nixwave join-token

Example:
  $ nixwave host replace web-9 --ssh-host-key web-9.pub`,
    )
    .action(async (names, { reason, ...typed }) => {
      shell.exitWith(await replaceHosts(shell.desk(), { ...typedOf(shell, names, typed), reason }));
    });
}

function joinTokenCommand(root: Root, shell: Shell): void {
  signing(
    root
      .command("join-token")
      .description("Make a token with which one host may enrol once; shown once, and kept nowhere")
      .argument("<HOST>", "a host of fleet/hosts.json that has no SSH host key there"),
  )
    .requiredOption("--for <NAME>", "the control plane's name, as nixwave-cp serve --name has it")
    .option("--expires <DURATION>", "at most 7d", "24h")
    .option("--key-thumbprint <TEXT>", "only for the host with this TLS key (RFC 7638)")
    .option("--out <FILE>", "into a new file of mode 0600, instead of showing it")
    .option(
      "--enrolment-key <FILE>",
      "the key that signs tokens; made where it is missing, and then signed into fleet/enrolment.json",
      "keys/enrolment.key",
    )
    .option("--repository <DIR>", REPOSITORY)
    .addHelpText(
      "after",
      "\nExample:\n  $ nixwave join-token web-9 --for cp.example.org --out web-9.token",
    )
    .action(async (name, { repository, for: controlPlane, expires, enrolmentKey, ...typed }) => {
      const { out = null, keyThumbprint = null, ...signers } = typed;
      const place = repositoryOf(shell.surroundings, repository);
      const validSecs = secsOf("--expires", expires);
      const host = hostNamed(name);
      shell.exitWith(
        await joinToken(shell.desk(), {
          place,
          host,
          controlPlane,
          validSecs,
          keyThumbprint,
          enrolmentKey,
          out,
          signers,
        }),
      );
    });
}
