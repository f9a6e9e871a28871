import type { Command } from "@commander-js/extra-typings";
import type { Care } from "../commands/act.ts";
import {
  freeze,
  liftQuarantine,
  listQuarantines,
  resumeAfterRestore,
  unfreeze,
} from "../commands/fleetActions.ts";
import { advance, cancel, clear, pause, resume, retry } from "../commands/rolloutActions.ts";
import type { Root, Shell } from "../program.ts";
import { Refusal } from "../refusal.ts";
import { untilOf } from "../until.ts";

const ROLLOUT_ARGUMENT = "a channel for its newest rollout, or stable@9f3c2ab, or 9f3c2ab";
const UNTIL = "end by itself: 30m, 2h, 7d, or an instant in UTC";

interface CareTyped {
  readonly yes?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

const careOf = ({ yes = false, dryRun = false }: CareTyped): Care => ({ yes, dryRun });

/** What every command that changes something takes. */
function changing<A extends unknown[], O extends Record<string, unknown>>(command: Command<A, O>) {
  return command
    .requiredOption("--reason <TEXT>", "why; it stands in the log beside your name", reasonOf)
    .option("--yes", "do not ask")
    .option("--dry-run", "say what would be sent, and send nothing");
}

/** The commands that change something. */
export function actionCommands(root: Root, shell: Shell): void {
  holdCommands(root, shell);
  endCommands(root, shell);
  freezeCommands(root, shell);
  quarantineCommands(root, shell);
  replayCommand(root, shell);
}

function holdCommands(root: Root, shell: Shell): void {
  changing(
    root
      .command("pause")
      .description("Dispatch nothing more of a rollout; what has begun goes on to its end")
      .argument("<CHANNEL|ID>", ROLLOUT_ARGUMENT)
      .option("--until <WHEN>", UNTIL),
  )
    .addHelpText(
      "after",
      '\nExample:\n  $ nixwave pause stable --until 2h --reason "database maintenance"',
    )
    .action(async (rollout, { reason, until, ...typed }) => {
      const end = untilOf(until, shell.surroundings.now());
      await pause(shell.desk(), { rollout, reason, until: end }, careOf(typed));
    });
  changing(
    root.command("resume").description("End a pause").argument("<CHANNEL|ID>", ROLLOUT_ARGUMENT),
  )
    .addHelpText("after", '\nExample:\n  $ nixwave resume stable --reason "maintenance is over"')
    .action(async (rollout, { reason, ...typed }) => {
      await resume(shell.desk(), { rollout, reason }, careOf(typed));
    });
  changing(
    root
      .command("advance")
      .description("Take a wave as complete, so that the next one opens")
      .argument("<CHANNEL|ID>", ROLLOUT_ARGUMENT)
      .option("--wave <NUMBER>", "the wave; without it, the one that is open"),
  )
    .addHelpText(
      "after",
      '\nExample:\n  $ nixwave advance stable --wave 1 --reason "the canary is in repair"',
    )
    .action(async (rollout, { reason, wave, ...typed }) => {
      await advance(shell.desk(), { rollout, reason, wave: waveOf(wave) }, careOf(typed));
    });
  changing(
    root
      .command("retry")
      .description("Give one host one more attempt at its channel's rollout")
      .argument("<HOST>", "a host of the fleet"),
  )
    .addHelpText("after", '\nExample:\n  $ nixwave retry web-7 --reason "its disk has room again"')
    .action(async (host, { reason, ...typed }) => {
      await retry(shell.desk(), { host, reason }, careOf(typed));
    });
}

function endCommands(root: Root, shell: Shell): void {
  changing(
    root
      .command("clear")
      .description("Forgive the failures of a halted rollout and go on; quarantines stay")
      .argument("<CHANNEL|ID>", ROLLOUT_ARGUMENT),
  )
    .addHelpText(
      "after",
      `
Where the probe was wrong and not the closure, lift the quarantine first:
  $ nixwave quarantine lift stable 5kxq1 --reason "the probe asked the wrong port"
  $ nixwave clear stable --reason "the probe asked the wrong port"`,
    )
    .action(async (rollout, { reason, ...typed }) => {
      await clear(shell.desk(), { rollout, reason }, careOf(typed));
    });
  changing(
    root
      .command("cancel")
      .description("End a rollout for good; only a new release follows it")
      .argument("<CHANNEL|ID>", ROLLOUT_ARGUMENT),
  )
    .addHelpText("after", '\nExample:\n  $ nixwave cancel stable@9f3c2ab --reason "wrong branch"')
    .action(async (rollout, { reason, ...typed }) => {
      await cancel(shell.desk(), { rollout, reason }, careOf(typed));
    });
}

function freezeCommands(root: Root, shell: Shell): void {
  changing(
    root
      .command("freeze")
      .description("Dispatch nothing to some hosts, a channel or all, whatever is released")
      .option("--all", "the whole fleet")
      .option("--channel <CHANNEL>", "the hosts of a channel")
      .option("--hosts <SELECTOR>", "@tag, names with commas, or a selector in JSON")
      .option("--until <WHEN>", UNTIL),
  )
    .addHelpText(
      "after",
      `
Examples:
  $ nixwave freeze --all --until 2h --reason "holiday"
  $ nixwave freeze --hosts @db --reason "migration" --dry-run`,
    )
    .action(async ({ all = false, channel = null, hosts = null, until, reason, ...typed }) => {
      const end = untilOf(until, shell.surroundings.now());
      const scope = { all, channel, hosts };
      await freeze(shell.desk(), { scope, reason, until: end }, careOf(typed));
    });
  changing(
    root
      .command("unfreeze")
      .description("End a freeze")
      .argument("[FREEZE]", "its id or the beginning of it; without, the only one in force"),
  )
    .addHelpText("after", '\nExample:\n  $ nixwave unfreeze --reason "the holiday is over"')
    .action(async (id, { reason, ...typed }) => {
      await unfreeze(shell.desk(), { freeze: id ?? null, reason }, careOf(typed));
    });
}

function quarantineCommands(root: Root, shell: Shell): void {
  const quarantine = root
    .command("quarantine")
    .description("Closures that are refused on a channel because a host rolled back from them");
  quarantine
    .command("list")
    .description("What is quarantined, since when, and whom it holds back")
    .argument("[CHANNEL]", "of one channel")
    .addHelpText("after", "\nExample:\n  $ nixwave quarantine list stable")
    .action(async (channel) => {
      await listQuarantines(shell.desk(), channel ?? null);
    });
  changing(
    quarantine
      .command("lift")
      .description("Let a closure be dispatched on its channel again")
      .argument("<CHANNEL>", "where it is quarantined")
      .argument(
        "<CLOSURE>",
        "its base name, the beginning of it, or 5kxq1…-cam-os as screens show it",
      ),
  )
    .addHelpText(
      "after",
      '\nExample:\n  $ nixwave quarantine lift stable 5kxq1 --reason "the probe was wrong"',
    )
    .action(async (channel, closure, { reason, ...typed }) => {
      await liftQuarantine(shell.desk(), { channel, closure, reason }, careOf(typed));
    });
}

function replayCommand(root: Root, shell: Shell): void {
  changing(
    root
      .command("resume-after-restore")
      .description("Dispatch again before every host was heard; the control plane was restored"),
  )
    .addHelpText(
      "after",
      '\nExample:\n  $ nixwave resume-after-restore --reason "the hosts that are silent are in repair"',
    )
    .action(async ({ reason, ...typed }) => {
      await resumeAfterRestore(shell.desk(), { reason }, careOf(typed));
    });
}

/** The log keeps it for as long as it lasts, and shows it on one line. */
const REASON_LENGTH_MAX = 500;

export function reasonOf(text: string): string {
  const reason = text.trim();
  if (reason === "")
    throw new Refusal("--reason is empty: expected a few words that tell others why.");
  if (reason.length <= REASON_LENGTH_MAX) return reason;
  throw new Refusal(
    `--reason has ${reason.length} characters, of at most ${REASON_LENGTH_MAX}: say it shorter.`,
  );
}

function waveOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Refusal(`--wave “${text}”: expected the number of a wave, from 1.`);
}
