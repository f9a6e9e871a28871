import { Option } from "@commander-js/extra-typings";
import { init } from "../commands/init.ts";
import { release } from "../commands/release.ts";
import { operatorOf } from "../connect.ts";
import type { Push } from "../flake/build.ts";
import type { FlakeTyped } from "../flake/declaration.ts";
import type { Root, Shell } from "../program.ts";
import { Refusal } from "../refusal.ts";
import { DEFAULTS, repositoryOf, settingsIn } from "../signing/settings.ts";
import { secsOf } from "../until.ts";
import { collect, REPOSITORY, signing } from "./signing.ts";

/** The commands that make fleets and releases. */
export function releaseCommands(root: Root, shell: Shell): void {
  initCommand(root, shell);
  releaseCommand(root, shell);
}

function initCommand(root: Root, shell: Shell): void {
  signing(
    root
      .command("init")
      .description(
        "Make a fleet: an example that teaches, the repository of its releases, a key, and the root for hosts",
      )
      .argument(
        "[DIR]",
        "the fleet's folder; a fleet.yaml that is there is used, and never overwritten",
        ".",
      ),
  )
    .option("--passphrase", "seal the new key with a passphrase, which is asked for")
    .addHelpText(
      "after",
      `
It writes DIR/fleet.yaml, DIR/releases (the repository: copy or serve it as it is), DIR/keys (yours; mode 0600, ignored by git),
DIR/root.json (for every host) and DIR/nixwave.json, which tells the other commands where these are.

Examples:
  $ nixwave init demo && cd demo && $EDITOR fleet.yaml
  $ nixwave init demo --passphrase
  $ nixwave init demo --key ~/ops-1.key
  $ nixwave init demo --sign-cmd "ssh-hsm-sign slot-1" --public-key ops-1.pub`,
    )
    .action(async (folder, typed) => {
      await init(shell.desk(), folder, typed);
    });
}

const RELEASE_HELP = `
A broken declaration writes nothing: every fault is named with its line. Hosts that are new, or have another SSH key, are signed
into fleet/hosts.json first. Where more people have to sign, it waits in the repository, and this ends with 3: nixwave sign
--flake evaluates and builds the systems, digests their closures, says what changes by package on which hosts, and pushes them.
With --json: { dryRun, releases: [{ channel, rolloutId, previous, hosts, added, removed, moved, rules }], warnings, live, waiting }.

Examples:
  $ nixwave release --flake .#fleet --dry-run
  $ nixwave release --flake .#fleet --push-cmd "attic push main" --hosts @web
  $ nixwave release --flake .#fleet --copy-to "s3://cache?secret-key=/run/secrets/cache.key"
  $ nixwave release --dry-run
  $ nixwave release --note "kernel 6.12.9"
  $ nixwave release --closure web-1=$(basename $(readlink result))
  $ nixwave release --wait --timeout 2h && echo healthy
  $ NIXWAVE_KEY=/run/secrets/ci.key nixwave release --repository releases --yes`;

const PUSH_COMMAND = new Option(
  "--push-cmd <COMMAND>",
  "takes the closures' store paths as arguments",
).conflicts("copyTo");

function releaseCommand(root: Root, shell: Shell): void {
  signing(
    root
      .command("release")
      .description(
        "Resolve a fleet declaration, sign it, and make it the channels' current releases",
      ),
  )
    .option(
      "--fleet <FILE>",
      "the declaration, in YAML or JSON; else nixwave.json's, else fleet.yaml",
    )
    .addOption(
      new Option(
        "--flake <REF>",
        "the fleet that nixwave.lib.mkFleet made, such as .#fleet",
      ).conflicts("fleet"),
    )
    .option("--hosts <SELECTOR>", "of the flake's: these anew, the others keep their closures")
    .option("--no-build", "refuse what is not built yet")
    .addOption(PUSH_COMMAND)
    .option("--copy-to <STORE>", "nix copy the closures there, before the release goes live")
    .option("--repository <DIR>", REPOSITORY)
    .option("--channel <CHANNEL>", "of one channel only")
    .option("--closure <HOST=CLOSURE>", "instead of the declared one; may be repeated", collect, [])
    .option("--note <TEXT>", "what it is about, for people", "")
    .option("--revision <REV>", "the git commit that it was made from")
    .option("--yes", "do not ask")
    .option("--dry-run", "say what would change, and write nothing; takes no key")
    .option("--wait", "until the control plane has rolled it out, or it is stopped")
    .option("--timeout <DURATION>", "give up waiting after this", "1h")
    .addHelpText("after", RELEASE_HELP)
    .action(async ({ fleet, repository, closure, note, yes = false, dryRun = false, ...typed }) => {
      const { surroundings } = shell;
      const { channel = null, revision = null, wait = false, timeout } = typed;
      const waitSecs = wait ? secsOf("--timeout", timeout) : null;
      const place = repositoryOf(surroundings, repository);
      const flake = flakeOf(typed);
      const file = fleet ?? settingsIn(surroundings).fleet ?? DEFAULTS.fleet;
      shell.exitWith(
        await release(
          shell.desk(),
          {
            fleet: flake?.flake ?? file,
            channel,
            closures: closure,
            note,
            revision,
          },
          {
            yes,
            dryRun,
            waitSecs,
            flake,
            createdBy: operatorOf(surroundings.env),
            place,
            signers: typed,
          },
        ),
      );
    });
}

interface FlakeOptions {
  readonly flake?: string | undefined;
  readonly hosts?: string | undefined;
  readonly build: boolean;
  readonly pushCmd?: string | undefined;
  readonly copyTo?: string | undefined;
}

function flakeOf({ flake, hosts, build, pushCmd, copyTo }: FlakeOptions): FlakeTyped | null {
  if (flake !== undefined) {
    return { flake, hosts: hosts ?? null, mayBuild: build, push: pushOf(pushCmd, copyTo) };
  }
  const stray = Object.entries({ hosts, "push-cmd": pushCmd, "copy-to": copyTo }).find(
    ([, value]) => value !== undefined,
  );
  if (stray === undefined) return null;
  throw new Refusal(`--${stray[0]} goes with --flake: expected --flake .#fleet beside it.`);
}

function pushOf(command: string | undefined, to: string | undefined): Push | null {
  if (command !== undefined) return { kind: "command", command };
  return to === undefined ? null : { kind: "copy", to };
}
