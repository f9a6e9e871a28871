import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "@commander-js/extra-typings";
import { wrongActivation } from "./activation/choose.ts";
import { type Config, readConfig, reasonOf } from "./config.ts";
import { type ConsoleRequest, parseDurationSecs } from "./console/request.ts";
import { showJournal } from "./console/show.ts";
import { checkIdentityFiles } from "./identity/check.ts";
import { consolePath } from "./inbound/console.ts";
import { readRoot } from "./inbound/root.ts";
import { callConsole } from "./perform/consoleCall.ts";
import { enrolAlone } from "./perform/enrolAlone.ts";
import { systemDisk } from "./perform/systemPorts.ts";
import { runAgent } from "./run.ts";

/** The version of the package, which the heartbeat says. */
function agentVersion(): string {
  const text = readFileSync(join(import.meta.dirname, "../package.json"), "utf8");
  const json: unknown = JSON.parse(text);
  const version: unknown =
    typeof json === "object" && json !== null ? Reflect.get(json, "version") : null;
  return typeof version === "string" ? version : "unknown";
}

class Refused extends Error {
  override readonly name = "Refused";
}

function configOf(file: string): Config {
  const config = readConfig(file);
  if (!config.ok) throw new Refused(config.error);
  return config.value;
}

function wrongRoot({ root: path }: Config): readonly string[] {
  const root = readRoot(path, systemDisk);
  return root.ok === false ? [root.error] : [];
}

const DEFAULT_CONFIG = "/etc/nixwave/agent.json";
const program = new Command("nixwave-agent")
  .description(
    "Verifies signed releases, activates them, watches this host's health, rolls back by itself",
  )
  .version(agentVersion());

const configured = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .option("--config <file>", "configuration, in JSON", DEFAULT_CONFIG);

configured("run", "runs the agent")
  .addOption(
    new Option(
      "--leaving <how>",
      "what a stop means to the fleet, where systemd can't tell",
    ).choices(["reboot", "off", "sleep"] as const),
  )
  .action(async ({ config: file, leaving }) => {
    const config = configOf(file);
    const [wrong] = [...wrongRoot(config), ...wrongActivation(config.activation, process.env)];
    if (wrong !== undefined) throw new Refused(`${file}: ${wrong}`);
    const stopping = new AbortController();
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.on(signal, () => {
        stopping.abort();
      });
    // Timers of the agent never keep it alive by themselves; waiting for a full disk must.
    const awake = setInterval(() => {}, 2 ** 30);
    try {
      await runAgent({
        config,
        agentVersion: agentVersion(),
        env: process.env,
        leaving: leaving ?? null,
        stopping: stopping.signal,
      });
    } finally {
      clearInterval(awake);
    }
  });

configured("check-config", "says whether the configuration can be used").action(({ config }) => {
  const read = configOf(config);
  const { host, channel, controlPlane } = read;
  const wrong = [...checkIdentityFiles(read, systemDisk), ...wrongRoot(read)];
  if (wrong.length > 0) throw new Refused(`${config}: ${wrong.join(" ")}`);
  process.stdout.write(`${config}: ${host} follows ${channel} and asks ${controlPlane}.\n`);
});

configured("status", "says what the agent does")
  .option("--json", "one object, for machines")
  .action(async ({ config, json }) => {
    const { text, status } = await ask(config, { command: "status" });
    process.stdout.write(`${json === true ? JSON.stringify(status) : text}\n`);
  });

configured("enroll", "gets this host's certificate now, and says what came of it").action(
  async ({ config }) => {
    process.stdout.write(`${await enrol(configOf(config))}\n`);
  },
);

configured("hold", "rejects dispatches as retryable for a while")
  .option("--for <duration>", "2h, 90m, 1d")
  .option("--end", "ends the hold")
  .requiredOption("--reason <text>", "why, for whoever asks")
  .action(async ({ config, for: duration, end, reason }) => {
    const secs = end === true ? 0 : parseDurationSecs(duration ?? "");
    if (secs === null)
      throw new Refused(
        `--for is "${duration ?? ""}"; expected a number and s, m, h or d, such as 2h`,
      );
    process.stdout.write(`${(await ask(config, { command: "hold", secs, reason })).text}\n`);
  });

configured("rollback", "lets the soaking rollout fail, so that it is rolled back")
  .requiredOption("--reason <text>", "why, for whoever asks")
  .action(async ({ config, reason }) => {
    process.stdout.write(`${(await ask(config, { command: "rollback", reason })).text}\n`);
  });

program
  .command("journal")
  .description("looks into the journal")
  .addCommand(
    new Command("show")
      .description(
        "prints records, history and outbox, one JSON object a line; the agent need not run",
      )
      .option("--config <file>", "configuration, in JSON", DEFAULT_CONFIG)
      .action(({ config }) => {
        for (const line of showJournal(configOf(config).stateDir))
          process.stdout.write(`${line}\n`);
      }),
  );

async function ask(
  file: string,
  request: ConsoleRequest,
): Promise<{ text: string; status: unknown }> {
  const path = consolePath(configOf(file).stateDir);
  const call = await callConsole(path, request);
  if (call.kind === "no-agent")
    throw new Refused(
      `No agent answers on ${path} (${call.reason}). Start it: nixwave-agent run --config ${file}`,
    );
  const { ok, text, status } = call.reply;
  if (!ok) throw new Refused(text);
  return { text, status };
}

/** Through the agent that runs, or instead of it. */
async function enrol(config: Config): Promise<string> {
  const call = await callConsole(consolePath(config.stateDir), { command: "enroll" });
  const { ok, text } = call.kind === "answered" ? call.reply : await enrolAlone(config);
  if (!ok) throw new Refused(text);
  return text;
}

try {
  await program.parseAsync();
} catch (cause) {
  process.stderr.write(`nixwave-agent: ${reasonOf(cause)}\n`);
  // Our bug, and not the world's: where it happened is worth the lines.
  if (!(cause instanceof Refused) && cause instanceof Error)
    process.stderr.write(`${cause.stack ?? ""}\n`);
  process.exitCode = 1;
}
