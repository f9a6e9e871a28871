import type { HostRow, RolloutView, Shown } from "@nixwave/protocol";

/** What the board shows at one moment. */
export interface Scene {
  readonly title: string;
  /** Null while the control plane does not answer. */
  readonly rollout: RolloutView | null;
  readonly hosts: readonly HostRow[];
}

export interface Screen {
  readonly write: (text: string) => void;
  /** Redraw in place; otherwise a line per change. */
  readonly redraws: boolean;
  readonly colour: boolean;
  /** A longer line would wrap, and the next picture would begin in the wrong place. */
  readonly columns: () => number;
}

const LOOKS = {
  waiting: ["·", "2"],
  dispatched: ["◦", "36"],
  activating: ["░", "36"],
  deferred: ["◌", "33"],
  soaking: ["▒", "36"],
  converged: ["█", "32"],
  "rolling-back": ["↺", "31"],
  failed: ["✗", "31"],
  reverted: ["↶", "31"],
  lost: ["?", "31"],
  skipped: ["–", "2"],
} as const satisfies Record<Shown, readonly [glyph: string, colour: string]>;

const ESCAPE = /(\p{Cc}\[[0-9;]*m)/u;
const HOST_COLUMNS = 10;
const STATE_COLUMNS = 14;

/**
 * The live board. On a terminal it is redrawn under what was said before; elsewhere it prints one line for each host
 * whose state or reason has changed, so that a log of it can be read.
 */
export class Board {
  private readonly screen: Screen;
  private readonly last = new Map<string, string>();
  private lines = 0;

  constructor(screen: Screen) {
    this.screen = screen;
  }

  /** A sentence above the board; the board goes on below it. */
  say(text: string): void {
    this.erase();
    this.screen.write(`${text}\n`);
  }

  /** Leaves the last picture where it is; what comes next begins below it. */
  leave(): void {
    this.lines = 0;
  }

  show(scene: Scene): void {
    if (this.screen.redraws) this.redraw(scene);
    else this.printChanges(scene);
  }

  private redraw(scene: Scene): void {
    const lines = this.picture(scene).map((line) => this.cut(line));
    this.erase();
    this.screen.write(`${lines.join("\n")}\n`);
    this.lines = lines.length;
  }

  private erase(): void {
    if (this.lines > 0) this.screen.write(`\u001B[${this.lines}A\u001B[J`);
    this.lines = 0;
  }

  private picture({ title, rollout, hosts }: Scene): readonly string[] {
    const head =
      rollout === null
        ? this.paint("33", "the control plane does not answer; agents go on alone")
        : `${shortId(rollout.rollout.rolloutId)}  ${rollout.rollout.state}  ${rollout.rollout.done} of ${rollout.rollout.hosts} hosts`;
    const lines = [this.paint("1", title), head];
    let wave: number | null = null;
    for (const row of hosts) {
      if (row.wave !== wave) {
        const view = rollout?.waves.find(({ index }) => index === row.wave);
        lines.push(
          this.paint(
            "2",
            `wave ${row.wave ?? "–"} ${view?.description ?? ""} ${view?.state ?? ""}`.trimEnd(),
          ),
        );
        wave = row.wave;
      }
      lines.push(`  ${this.hostLine(row)}`);
    }
    return lines;
  }

  private hostLine(row: HostRow): string {
    const [glyph, colour] = LOOKS[row.shown];
    const state = this.paint(colour, `${glyph} ${row.shown}`.padEnd(STATE_COLUMNS));
    return `${row.host.padEnd(HOST_COLUMNS)} ${state} ${reasonOf(row)}`.trimEnd();
  }

  /** Escapes take no room; a cut line ends its colour. */
  private cut(line: string): string {
    let room = Math.max(20, this.screen.columns() - 1);
    let kept = "";
    for (const part of line.split(ESCAPE)) {
      if (ESCAPE.test(part)) kept += part;
      else {
        kept += part.slice(0, room);
        room = Math.max(0, room - part.length);
      }
    }
    return kept;
  }

  private printChanges({ rollout, hosts }: Scene): void {
    const lines: [string, string][] = hosts.map((row) => [row.host, this.hostLine(row)]);
    const headline =
      rollout === null
        ? "the control plane does not answer"
        : `${shortId(rollout.rollout.rolloutId)} is ${rollout.rollout.state}`;
    for (const [key, line] of [["", headline] as const, ...lines]) {
      if (this.last.get(key) === line) continue;
      this.last.set(key, line);
      this.screen.write(`  ${line}\n`);
    }
  }

  private paint(code: string, text: string): string {
    return this.screen.colour ? `\u001B[${code}m${text}\u001B[0m` : text;
  }
}

const shortId = (rolloutId: string): string => rolloutId.slice(0, -33);

/** The gate that holds a host, in the fewest words; nothing for a host that moves or is done. */
function reasonOf({ explanation: { answer } }: HostRow): string {
  if (answer.kind === "queued") return "its turn";
  if (answer.kind !== "gate") return "";
  const { block } = answer;
  switch (block.gate) {
    case "budget":
      return `budget ${block.budget}: ${block.holders.join(", ")} ${block.holders.length === 1 ? "holds" : "hold"} ${block.held} of ${block.maxInFlight}`;
    case "host-edge":
      return `waits for ${block.host}: ${block.reason}`;
    case "wave":
      return `waits for wave ${block.cursor}`;
    case "rollout-halted":
      return `halted: ${block.hosts.join(", ")} failed`;
    case "quarantine":
      return "its closure is quarantined";
    case "replay":
    case "release-unverified":
    case "paused":
    case "frozen":
    case "channel-conflict":
    case "duplicate-host":
    case "offline":
    case "refused":
    case "channel-edge":
    case "host-busy":
      return block.gate;
  }
}
