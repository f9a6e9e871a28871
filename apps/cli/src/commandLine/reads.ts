import { Option } from "@commander-js/extra-typings";
import { isOffset, type Offset } from "@nixwave/effects";
import { LOG_LINE_KINDS, SHOWN } from "@nixwave/protocol";
import { events } from "../commands/events.ts";
import { hosts, why } from "../commands/hosts.ts";
import { logs } from "../commands/logs.ts";
import { showRollout } from "../commands/rollout.ts";
import { status } from "../commands/status.ts";
import { channelNamed, findRollout, hostNamed } from "../find.ts";
import type { Root, Shell } from "../program.ts";
import { Refusal } from "../refusal.ts";
import { secsOf } from "../until.ts";
import type { WatchOptions } from "../watch.ts";

/** A rollout of a large fleet takes hours; a script that waits says how long. */
const DEFAULT_TIMEOUT = "1h";

interface WatchTyped {
  readonly watch?: true | undefined;
  readonly wait?: true | undefined;
  readonly timeout: string;
}

const watchOptions = (typed: WatchTyped): WatchOptions => ({
  watch: typed.watch ?? false,
  waitSecs: typed.wait === true ? secsOf("--timeout", typed.timeout) : null,
});

/** The commands that only look. */
export function readCommands(root: Root, shell: Shell): void {
  root
    .command("status")
    .description("Every channel: its rollout, what is halted, and what to type next")
    .option("--watch", "look again every second; without a terminal, a line per change")
    .option("--wait", "until nothing moves by itself any more")
    .option("--timeout <DURATION>", "give up waiting after this", DEFAULT_TIMEOUT)
    .addHelpText(
      "after",
      `
Examples:
  $ nixwave status
  $ nixwave status --watch
  $ nixwave status --wait --timeout 10m; echo $?     2 where a channel is halted, 3 where a person is waited for
  $ nixwave status --json | jq '.channels[].rollout.state'`,
    )
    .action(async (typed) => {
      shell.exitWith(await status(shell.desk(), watchOptions(typed)));
    });
  rolloutCommand(root, shell);
  hostCommands(root, shell);
  eventsCommand(root, shell);
}

function rolloutCommand(root: Root, shell: Shell): void {
  root
    .command("rollout")
    .description("One rollout in detail")
    .command("show")
    .description("A rollout's waves, what holds each, and the hosts that move or are held")
    .argument("<CHANNEL|ID>", "a channel for its newest rollout, or stable@9f3c2ab, or 9f3c2ab")
    .option("--watch", "look again every second; without a terminal, a line per change")
    .option("--wait", "until it moves no more by itself")
    .option("--timeout <DURATION>", "give up waiting after this", DEFAULT_TIMEOUT)
    .addHelpText(
      "after",
      `
Examples:
  $ nixwave rollout show stable --watch
  $ nixwave rollout show stable@9f3c2ab
  $ nixwave rollout show stable --wait --timeout 30m && echo healthy`,
    )
    .action(async (rollout, typed) => {
      shell.exitWith(await showRollout(shell.desk(), rollout, watchOptions(typed)));
    });
}

function hostCommands(root: Root, shell: Shell): void {
  root
    .command("hosts")
    .description("Hosts: what they run, when they were heard, and why they are where they are")
    .option("--on <SELECTOR>", "@tag, names with commas, all, or a selector in JSON")
    .option("--channel <CHANNEL>", "of one channel")
    .addOption(new Option("--state <STATE>", "in one state").choices(SHOWN))
    .addHelpText(
      "after",
      `
Examples:
  $ nixwave hosts --on @web
  $ nixwave hosts --on web-1,web-2
  $ nixwave hosts --state failed`,
    )
    .action(async ({ on, channel, state }) => {
      await hosts(shell.desk(), {
        on,
        shown: state,
        channel: channel === undefined ? undefined : channelNamed(channel),
      });
    });
  root
    .command("why")
    .description("Why a host is where it is: the evidence, since when, and what clears it")
    .argument("<HOST>", "a host of the fleet")
    .addHelpText(
      "after",
      `
Examples:
  $ nixwave why web-7
  $ nixwave why web-7 --json | jq .explanation.clears`,
    )
    .action(async (host) => {
      await why(shell.desk(), host);
    });
  root
    .command("logs")
    .description("What a host's last switch or rollback printed")
    .argument("<HOST>", "a host of the fleet")
    .option("--rollout <CHANNEL|ID>", "in one rollout")
    .addHelpText(
      "after",
      `
The control plane asks for it after a failure. The host itself has all of it: journalctl -u 'nixwave-*'.

Examples:
  $ nixwave logs web-7
  $ nixwave logs web-7 --rollout stable@9f3c2ab`,
    )
    .action(async (host, { rollout }) => {
      await logs(shell.desk(), host, rollout);
    });
}

function eventsCommand(root: Root, shell: Shell): void {
  root
    .command("events")
    .description("The log: what hosts reported, what was decided, what operators did")
    .option("--follow", "go on as lines come")
    .option("--host <HOST>", "of one host")
    .option("--rollout <CHANNEL|ID>", "of one rollout")
    .addOption(new Option("--kind <KIND>", "of one kind").choices(LOG_LINE_KINDS))
    .option("--after <OFFSET>", "begin after this position of the log")
    .addHelpText(
      "after",
      `
Without a filter it begins a hundred lines before the end; with one, at the beginning.

Examples:
  $ nixwave events --follow
  $ nixwave events --host web-7 --rollout stable
  $ nixwave events --kind RolloutInput --json`,
    )
    .action(async ({ follow = false, host, rollout, kind, after }) => {
      const desk = shell.desk();
      const filter = {
        ...(host === undefined ? {} : { host: hostNamed(host) }),
        ...(rollout === undefined ? {} : { rollout: await findRollout(desk, rollout) }),
        ...(kind === undefined ? {} : { kind }),
      };
      await events(desk, { filter, after: offsetOf(after), follow });
    });
}

function offsetOf(text: string | undefined): Offset | null {
  if (text === undefined) return null;
  const offset = Number(text);
  if (/^\d+$/.test(text) && isOffset(offset)) return offset;
  throw new Refusal(`--after “${text}”: expected a position of the log, a whole number from 0.`);
}
