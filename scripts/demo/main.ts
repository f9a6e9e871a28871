import { runCommand } from "../command.ts";
import { Board } from "./board.ts";
import {
  assertHalted,
  assertRunning,
  badRelease,
  canaryOf,
  goodRelease,
  runningOf,
  type Stage,
  showWhy,
} from "./chapters.ts";
import { NotReached } from "./deadline.ts";
import { CP, DemoFleet } from "./fleet.ts";
import { sayOfNix } from "./nixChapter.ts";
import { NixHosts, withoutNix } from "./nixHosts.ts";

const USAGE = `pnpm demo            a minute: a good release, a bad one that rolls itself back, the fix
pnpm demo --keep     the same, and then it stays up for you to try things
pnpm demo --nix      the same with real Nix: built, signed, fetched from a binary cache by hosts that have a /nix each; needs Nix and Linux
pnpm demo --ci       no board, and a non-zero exit code with a sentence where a chapter does not end as it must
`;

const DEMO = {
  name: "demo",
  usage: USAGE,
  options: { keep: { type: "boolean" }, nix: { type: "boolean" }, ci: { type: "boolean" } },
} as const;

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted.abort(signal);
  });
}

// Whoever reads has gone, a closed terminal or a full pipe: what was started must end all the same.
process.stdout.on("error", () => {
  interrupted.abort("EPIPE");
});

function boardFor(isCi: boolean): Board {
  const screen = process.stdout.isTTY && !isCi;
  return new Board({
    write: (text) => {
      process.stdout.write(text);
    },
    redraws: screen,
    colour: screen && (process.env["NO_COLOR"] ?? "") === "",
    columns: () => process.stdout.columns,
  });
}

async function tellTheStory(stage: Stage): Promise<void> {
  const { fleet, board } = stage;
  board.say(
    `One control plane and ${fleet.hosts.length} agents, all processes of their own, in ${fleet.folder}`,
  );
  if (fleet.kind instanceof NixHosts)
    board.say("Each host has a /nix of its own, below that folder; this machine's is not touched.");
  await fleet.start();
  board.say(`The control plane serves ${fleet.url}; every host runs app-0.`);
  const held = await goodRelease(
    stage,
    "app-1",
    "1. A good release: the canary first, then two more waves",
  );
  if (!held.budget || !held.edge) {
    throw new NotReached(
      `the good release was expected to show a budget and an edge that hold, and showed ${JSON.stringify(held)}`,
    );
  }
  const before = runningOf(fleet);
  const bad = await badRelease(stage, "app-2", "2. A bad release: its probe fails on the canary");
  await assertHalted(stage, bad);
  assertRunning(fleet, before);
  board.say("The closure is quarantined, the rollout is halted, seven hosts did not move.");
  await showWhy(stage);
  await goodRelease(stage, "app-3", "3. The fix");
  if (fleet.kind instanceof NixHosts) sayOfNix(stage, fleet.kind);
}

/** The control plane is stopped first, so that its database is whole and at rest. */
async function checkLog({ fleet, board }: Stage): Promise<void> {
  await fleet.kill(CP, "SIGTERM");
  const found = await fleet.check();
  if (found !== null) throw new NotReached(`nixwave-cp check is not clean: ${found}`);
  board.say("nixwave-cp check: the database follows from its log.");
}

async function keepUp({ fleet, board, stop }: Stage): Promise<void> {
  const exported = Object.entries(fleet.operatorEnv())
    .map(([name, value]) => `  export ${name}=${value}`)
    .join("\n");
  board.say(`
It stays up until Ctrl-C. In another terminal:

${exported}
  node apps/cli/bin/nixwave.mjs status
  node apps/cli/bin/nixwave.mjs rollout show ${fleet.channel}
  node apps/cli/bin/nixwave.mjs why ${canaryOf(fleet)}
  node apps/cli/bin/nixwave.mjs events --follow
  node apps/cli/bin/nixwave.mjs freeze --all --until 10m --reason "trying it"
  (cd ${fleet.home} && node ${fleet.nixwave} release)

Logs, databases and closures are in ${fleet.folder}, until then.`);
  await new Promise<void>((resolve) => {
    // A pending promise alone keeps no process alive.
    const alive = setInterval(() => undefined, 60_000);
    stop.addEventListener("abort", () => {
      clearInterval(alive);
      resolve();
    });
  });
}

await runCommand(DEMO, async ({ keep, nix, ci }) => {
  const missing = nix === true ? withoutNix(process.env["PATH"] ?? "") : null;
  if (missing !== null) {
    process.stderr.write(`demo: ${missing}\n`);
    return 1;
  }
  const stop = interrupted.signal;
  const fleet = new DemoFleet({
    stop,
    ...(nix === true ? { kind: (folder: string) => new NixHosts(folder) } : {}),
  });
  const board = boardFor(ci === true);
  const stage: Stage = { fleet, board, stop };
  try {
    await tellTheStory(stage);
    if (keep === true) await keepUp(stage);
    if (ci === true) await checkLog(stage);
  } catch (cause) {
    if (!stop.aborted) {
      const what = cause instanceof Error ? cause.message : String(cause);
      process.stderr.write(`\ndemo: ${what}\n${fleet.lastWords()}`);
      return 1;
    }
  } finally {
    await fleet.stop();
  }
  if (stop.aborted) return 130;
  board.say("\nEverything that was started has ended, and the scratch folder is gone.");
  return 0;
});
