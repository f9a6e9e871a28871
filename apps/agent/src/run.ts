import { chooseActivation } from "./activation/choose.ts";
import { type Agent, startAgent } from "./agent.ts";
import { type Config, reachTargets, redactor } from "./config.ts";
import { connect } from "./connect.ts";
import { statusOf } from "./console/status.ts";
import { shownTrust } from "./console/trust.ts";
import type { ControlPlane } from "./controlPlane.ts";
import type { IdentityKeeper } from "./identity/keeper.ts";
import { consolePath, serveConsole } from "./inbound/console.ts";
import type { Leaving } from "./inbound/heartbeat.ts";
import { readRoot } from "./inbound/root.ts";
import { SignedReleases } from "./inbound/signedReleases.ts";
import { Journal } from "./journal/journal.ts";
import { Outage } from "./outage.ts";
import { newJournalId } from "./outbox.ts";
import { systemHttp } from "./perform/http.ts";
import { jsonLogs, type Logs } from "./perform/logs.ts";
import { Metrics, publishMetrics } from "./perform/metrics.ts";
import { systemProcess } from "./perform/process.ts";
import { leavingOf, notifySystemd } from "./perform/systemd.ts";
import {
  systemClock,
  systemCrash,
  systemDisk,
  systemRandom,
  systemTimer,
} from "./perform/systemPorts.ts";
import { type Ports, pause } from "./ports.ts";
import type { HostReleases } from "./releases.ts";

interface RunOptions {
  readonly config: Config;
  readonly agentVersion: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What a stop means where systemd can't tell; null: ask it. */
  readonly leaving: Leaving | null;
  /** Aborted on SIGTERM and SIGINT. */
  readonly stopping: AbortSignal;
}

interface Closable {
  close(): void;
}

/** A full disk is looked at again after so long. */
const OPEN_AGAIN_MS = 5000;

/** Runs the agent until it is told to stop. Rejects on our bug, or where it must not run at all. */
export async function runAgent(options: RunOptions): Promise<void> {
  const { config, agentVersion, env, stopping } = options;
  const logs = jsonLogs(() => systemClock.wallMs());
  const ports = systemPorts(env["NIXWAVE_CRASH_AT"]);
  const journal = await openJournal(options, logs);
  if (journal === null) return;
  logs.write({
    kind: "EmitLog",
    level: "info",
    target: "agent",
    message: "the agent runs",
    fields: [
      ["host", config.host],
      ["channel", config.channel],
      ["journal", journal.facts().journalId],
    ],
  });
  const journalId = () => journal.facts().journalId;
  const { controlPlane, identity, ...connected } = connect({ config, ports, journalId, logs });
  const releases = releasesOf(config, journal, controlPlane);
  const metrics = new Metrics(() => {
    const { rows, bytes } = journal.outbox.size();
    return {
      outboxRows: rows,
      outboxBytes: bytes,
      certificateExpiresAt: identity?.expiresAt ?? null,
    };
  });
  const broken = Promise.withResolvers<never>();
  const agent = startAgent({
    ...config,
    agentVersion,
    probeEnv: { PATH: env["PATH"] ?? "/usr/bin:/bin" },
    reach: reachTargets(config),
    journal,
    activation: chooseActivation(config.activation, ports, env),
    controlPlane,
    releases,
    ports,
    redact: redactor(config.redact),
    metrics,
    logs,
    onBroken: broken.reject,
  });
  let server: Closable | null = null;
  const unpublish = publishMetrics(metrics, config.metrics, ports, logs);
  try {
    server = await openConsole({ agent, journal, identity, releases }, options, logs);
    // Only one agent of a state directory asks for certificates.
    identity?.run().catch(broken.reject);
    const unnotify = notifySystemd(env, ports);
    await Promise.race([aborted(stopping), broken.promise]);
    unnotify();
  } finally {
    const leaving = stopping.aborted ? (options.leaving ?? (await leavingOf(systemProcess))) : null;
    await agent.stop(leaving);
    unpublish();
    server?.close();
    journal.close();
    await connected.close();
  }
}

const systemPorts = (crashAt: string | undefined): Ports => ({
  clock: systemClock,
  timer: systemTimer,
  random: systemRandom,
  // Probes get connections of their own: a slow one must not hold up a heartbeat.
  http: systemHttp(),
  process: systemProcess,
  disk: systemDisk,
  crash: systemCrash(crashAt),
});

function releasesOf(config: Config, journal: Journal, controlPlane: ControlPlane): HostReleases {
  const { root: path, stateDir, channel } = config;
  const root = readRoot(path, systemDisk);
  if (!root.ok) throw new Error(root.error);
  const parts = { stateDir, channel, journal, controlPlane, disk: systemDisk };
  return new SignedReleases({ ...parts, root: root.value });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Waits for space where there is none: an agent that gave up would need a person, and one that goes on needs none. */
async function openJournal(
  { config: { stateDir }, env, stopping }: RunOptions,
  logs: Logs,
): Promise<Journal | null> {
  const line = (message: string, level: "error" | "warn" | "info") =>
    logs.write({ kind: "EmitLog", level, target: "agent", message, fields: [] });
  const outage = new Outage(
    (error) => line(error instanceof Error ? error.message : String(error), "error"),
    () => line("the journal can be written again", "info"),
  );
  while (!stopping.aborted) {
    try {
      const journal = Journal.open({
        stateDir,
        newJournalId: () => newJournalId(systemRandom),
        wallMs: () => systemClock.wallMs(),
        syncCopyDir: env["NIXWAVE_SYNC_COPY"],
      });
      outage.over();
      if (journal.setAside !== null)
        line(
          `the journal was corrupt: it was set aside as ${journal.setAside}, and a new one begun`,
          "warn",
        );
      return journal;
    } catch (error) {
      if (!outage.covers(error)) throw error;
      await pause(systemTimer, OPEN_AGAIN_MS, stopping);
    }
  }
  return null;
}

const WALL_AHEAD =
  "the wall clock is more than 30 days ahead of the newest signed metadata, and is ignored: set the clock, or run nixwave refresh";

interface Shown {
  readonly agent: Agent;
  readonly journal: Journal;
  readonly identity: IdentityKeeper | null;
  readonly releases: HostReleases;
}

async function openConsole(
  { agent, journal, identity, releases }: Shown,
  { config, agentVersion }: RunOptions,
  logs: Logs,
): Promise<Closable | null> {
  const { host, channel, stateDir } = config;
  const status = () => {
    const now = agent.clock.now();
    const trouble = agent.outage.reason ?? (agent.clock.wallIsAhead ? WALL_AHEAD : null);
    const known = identity?.shown() ?? null;
    const about = { host, channel, agentVersion, now, trouble, identity: known };
    return statusOf(journal, { ...about, trust: shownTrust(releases, now) });
  };
  try {
    return await serveConsole(consolePath(stateDir), {
      mailbox: agent.mailbox,
      status,
      enrol: identity === null ? null : () => identity.ask(),
    });
  } catch (cause) {
    if (!agent.outage.covers(cause)) throw cause;
    // Without a console the agent still does what it is for.
    logs.trouble("the console can't be served", cause);
    return null;
  }
}
