import { refresh } from "../commands/refresh.ts";
import { drop, sign } from "../commands/sign.ts";
import { verify } from "../commands/verify.ts";
import type { Root, Shell } from "../program.ts";
import { repositoryOf } from "../signing/settings.ts";
import { REPOSITORY, signing } from "./signing.ts";

/** The commands that keep a repository signed. */
export function trustCommands(root: Root, shell: Shell): void {
  signCommand(root, shell);
  dropCommand(root, shell);
  refreshCommand(root, shell);
  verifyCommand(root, shell);
}

function signCommand(root: Root, shell: Shell): void {
  signing(
    root
      .command("sign")
      .description("Show what waits for signatures, and add yours; with the last one it goes live")
      .argument("[ROLES...]", "only these: root, targets, or channels"),
  )
    .option("--repository <DIR>", REPOSITORY)
    .option("--yes", "do not ask")
    .option("--dry-run", "show what waits, and sign nothing; takes no key")
    .addHelpText(
      "after",
      `
What is signed is what was shown: if it changes in between, nothing is signed. It ends with 3 while signatures are missing.

Examples:
  $ nixwave sign --dry-run
  $ nixwave sign --key ~/ops-2.key
  $ nixwave sign stable --key ~/ops-2.key --yes`,
    )
    .action(async (roles, { repository, yes = false, dryRun = false, ...signers }) => {
      const place = repositoryOf(shell.surroundings, repository);
      shell.exitWith(await sign(shell.desk(), { place, roles, signers }, { yes, dryRun }));
    });
}

function dropCommand(root: Root, shell: Shell): void {
  root
    .command("drop")
    .description("Take back what waits for signatures; what is live stays")
    .argument("<ROLES...>", "root, targets, or channels")
    .option("--repository <DIR>", REPOSITORY)
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample:\n  $ nixwave drop stable")
    .action(async (roles, { repository, yes = false }) => {
      const place = repositoryOf(shell.surroundings, repository);
      shell.exitWith(await drop(shell.desk(), { place, roles }, { yes, dryRun: false }));
    });
}

function refreshCommand(root: Root, shell: Shell): void {
  signing(
    root
      .command("refresh")
      .description("Sign timestamp and snapshot anew, before they end: for cron or CI, once a day"),
  )
    .option(
      "--roles <ROLES>",
      "these too, with commas: root, targets, channels",
      (text: string) => text.split(",").filter((role) => role !== ""),
      [],
    )
    .option("--if-due", "only where a quarter of a validity or less is left")
    .option("--repository <DIR>", REPOSITORY)
    .addHelpText(
      "after",
      `
Expired, hosts start nothing new, and keep running what they run.

Examples:
  $ nixwave refresh
  $ NIXWAVE_KEY=/run/secrets/timestamp.key nixwave refresh --repository /srv/releases --if-due
  $ nixwave refresh --roles targets,stable,edge`,
    )
    .action(async ({ repository, roles, ifDue = false, ...signers }) => {
      const place = repositoryOf(shell.surroundings, repository);
      shell.exitWith(await refresh(shell.desk(), { place, roles, ifDue, signers }));
    });
}

function verifyCommand(root: Root, shell: Shell): void {
  root
    .command("verify")
    .description(
      "For auditors: who signed what, when it ends, and which closures are covered by digest",
    )
    .argument("[DIR|URL]", "the repository; else nixwave.json's, else releases")
    .option("--root <FILE>", "the root.json that hosts have; else the repository's own first one")
    .addHelpText(
      "after",
      `
It needs no key and no control plane. Exit codes: 0 sound, 2 not sound, 1 it could not be looked at.
With --json: { sound, at, rootVersion, roles: [{ role, version, threshold, keys, expired, expiresAt, validDays }], channels, problems }.

Examples:
  $ nixwave verify --root root.json
  $ nixwave verify https://releases.example.org --root root.json --json | jq .roles`,
    )
    .action(async (from, { root: rootFile }) => {
      const place = repositoryOf(shell.surroundings, from);
      const typed = { from: from ?? place.path, root: rootFile ?? null };
      shell.exitWith(await verify(shell.desk(), typed));
    });
}
