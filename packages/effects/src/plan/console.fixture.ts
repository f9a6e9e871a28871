import { invariant } from "../invariant.ts";
import type { FreezeScope } from "../rollout/input.ts";
import { addSecs, type Instant } from "../time.ts";
import { act, type Deed } from "./agent.fixture.ts";
import {
  ControlPlane,
  channel,
  closure,
  freezeId,
  host,
  idOf,
  journal,
} from "./controlPlane.fixture.ts";
import { explainHost } from "./explain.ts";
import {
  frozen,
  operatorAdvanced,
  operatorCancelled,
  operatorCleared,
  operatorPaused,
  operatorResumed,
  operatorRetried,
  quarantineLifted,
  replayEnded,
  unfrozen,
} from "./inputs.ts";
import { nextPlanAt, type Plan } from "./plan.ts";
import { releaseOf } from "./release.fixture.ts";
import { clock, effectWords, explanationWords, inputWords, waitingWords } from "./words.fixture.ts";

const who = { by: "ops-1", reason: "a look" };
const DEEDS: { readonly [verb: string]: Deed } = {
  ack: "ack",
  reject: "reject",
  refuse: "refuse",
  run: "run",
  defer: "defer",
  break: "break",
  converge: "converge",
  fail: "fail",
  "rollback-failed": "rollbackFailed",
  revert: "revert",
};

/** Runs a transcript's commands against a control plane and says what each led to. */
export class Console {
  readonly #cp = new ControlPlane({ planned: (plan) => this.#plan(plan), queued: () => undefined });
  #lines: string[] = [];
  #inputsSaid = 0;
  readonly #waits = new Map<string, string>();

  run(line: string): readonly string[] {
    this.#lines = [];
    const [verb = "", ...words] = line.split(" ");
    const options = new Map(
      words.filter((word) => word.includes("=")).map((word) => [before(word), after(word)]),
    );
    const said = this.#do(
      verb,
      words.filter((word) => !word.includes("=")),
      options,
    );
    this.#inputs();
    return said === null ? this.#lines : [...this.#lines, `  ${said}`];
  }

  #do(verb: string, words: readonly string[], options: ReadonlyMap<string, string>): string | null {
    const [first = "", second = ""] = words;
    const cp = this.#cp;
    const deed = DEEDS[verb];
    if (deed !== undefined) return this.#deed(first, deed);
    switch (verb) {
      case "release":
        return this.#release(first, second, options);
      case "unverified":
        cp.commit({
          kind: "ChannelUnverified",
          channel: channel(first),
          reason: second.replaceAll("-", " "),
          since: cp.now,
        });
        return null;
      case "verified":
        cp.commit({
          kind: "ChannelUnverified",
          channel: channel(first),
          reason: null,
          since: cp.now,
        });
        return null;
      case "heard": {
        const leaving = options.get("leaving");
        const id = options.get("journal");
        const runs = options.get("runs");
        for (const name of first.split(","))
          cp.heard(host(name), {
            ...(leaving === "off" || leaving === "sleep" ? { leaving } : {}),
            ...(id === undefined ? {} : { journalId: journal(id) }),
            ...(runs === undefined ? {} : { runs: closure(runs) }),
          });
        return null;
      }
      case "hand-out":
        cp.handOut(host(first));
        return null;
      case "tick":
        cp.now = this.#later(first);
        cp.commit();
        return null;
      case "meanwhile":
        // Time passes, and the next command's commit is the first to see it.
        cp.now = this.#later(first);
        return null;
      case "revoke":
        cp.commit({ kind: "HostRevoked", host: host(first), revoked: true });
        return null;
      case "quarantine":
        cp.commit({
          kind: "QuarantineInserted",
          channel: channel(first),
          closure: closure(second),
          since: cp.now,
        });
        return null;
      case "recover":
        cp.commit({ kind: "ReplayBegan", channels: [channel(first)], since: cp.now });
        return null;
      case "replayed":
        cp.commit({ kind: "HostReplayed", host: host(first) });
        return null;
      case "why":
        return explanationWords(explainHost(cp.fleet, host(first), cp.now));
      case "waiting": {
        const newest = cp.fleet.newestRollout(channel(first));
        if (newest === null) return "no rollout";
        const counts = [...cp.fleet.waitingByGate(newest.rolloutId)];
        const of = (gate: string) =>
          cp.fleet
            .waiting(newest.rolloutId)
            .flatMap((one) => (one.block.gate === gate ? [one.host] : []));
        return counts
          .map(([gate, n]) => `${gate} holds ${n}: ${of(gate).join(", ") || "not looked at yet"}`)
          .join("; ");
      }
      case "state":
        return `${first} is ${cp.fleet.newestRollout(channel(first))?.kind ?? "not opened"}`;
      case "next":
        return `next plan ${clock(nextPlanAt(cp.fleet))}`;
      default:
        return this.#operator(verb, words, options);
    }
  }

  #operator(
    verb: string,
    [first = "", second = ""]: readonly string[],
    options: ReadonlyMap<string, string>,
  ): string | null {
    const cp = this.#cp;
    const { fleet, now } = cp;
    const until = {
      ...who,
      until: options.has("for") ? this.#later(options.get("for") ?? "") : null,
    };
    const newest = () =>
      fleet.newestRollout(channel(first))?.rolloutId ?? idOf(channel(first), "a");
    switch (verb) {
      case "pause":
        return cp.submit(operatorPaused(fleet, newest(), until, now));
      case "resume":
        return cp.submit(operatorResumed(fleet, newest(), who, now));
      case "clear":
        return cp.submit(operatorCleared(fleet, newest(), who, now));
      case "cancel":
        return cp.submit(operatorCancelled(fleet, newest(), who, now));
      case "advance":
        return cp.submit(
          operatorAdvanced(fleet, { rolloutId: newest(), wave: Number(second) }, who, now),
        );
      case "retry":
        return cp.submit(operatorRetried(fleet, host(first), who, now));
      case "lift":
        return cp.submit(
          quarantineLifted(fleet, { channel: channel(first), closure: closure(second) }, who, now),
        );
      case "freeze": {
        const names = first.split(",");
        const scope: FreezeScope =
          first === "all"
            ? { kind: "all" }
            : second === "channel"
              ? { kind: "channel", channel: channel(first) }
              : { kind: "hosts", hosts: names.map(host) };
        return cp.submit(frozen(fleet, { freezeId: freezeId("1"), scope }, until, now));
      }
      case "unfreeze":
        return cp.submit(unfrozen(fleet, freezeId("1"), who, now));
      case "resume-after-restore":
        return cp.submit(replayEnded(fleet, fleet.channels(), who, now));
      default:
        invariant(false, `a transcript has no command "${verb}"`);
    }
  }

  #release(name: string, digit: string, options: ReadonlyMap<string, string>): string | null {
    const lists = (key: string, split: string) =>
      (options.get(key) ?? "").split(split).filter((one) => one !== "");
    const maxFailures = options.get("maxFailures");
    const release = releaseOf({
      channel: name,
      ref: digit,
      createdAt: addSecs(this.#cp.now, Number(options.get("age") ?? 0) * -1),
      waves: lists("waves", ";").map((wave) => wave.split(",")),
      budgets: lists("budget", ";").map((one) => {
        const [budget = "", max = "", hosts = ""] = one.split(":");
        return { name: budget, max: Number(max), hosts: hosts.split(",") };
      }),
      edges: lists("edge", ";").map((one) => ({ gates: before(one, ">"), gated: after(one, ">") })),
      after: lists("after", ","),
      policy: {
        ...(maxFailures === undefined ? {} : { maxFailures: Number(maxFailures) }),
        ...(options.has("deferred") ? { deferredCounts: "done" } : {}),
      },
      ...(options.has("closure") ? { closure: options.get("closure") ?? "" } : {}),
    });
    const current = options.get("current") !== "no";
    this.#cp.commit({ kind: "ReleaseVerified", release, current, at: this.#cp.now });
    return null;
  }

  #deed(names: string, deed: Deed): string | null {
    for (const name of names.split(",")) {
      const dispatch = this.#cp.fleet.openDispatch(host(name));
      const newest = this.#cp.fleet.recordsOf(host(name)).at(-1);
      const record =
        dispatch === null
          ? newest
          : (this.#cp.fleet.record(dispatch.rolloutId, dispatch.host) ?? newest);
      invariant(record !== undefined, `${name} has a record`);
      if (!act(this.#cp, record, deed, dispatch?.attempt ?? record.attempt))
        return `${name} may not ${deed}`;
    }
    return null;
  }

  #plan({ effects, waiting }: Plan): void {
    this.#inputs();
    for (const effect of effects) this.#unsaid.push(`  effect  ${effectWords(effect)}`);
    for (const one of waiting) {
      const words = waitingWords(one);
      const key = `${one.rolloutId} ${one.host}`;
      if (this.#waits.get(key) === words) continue;
      this.#waits.set(key, words);
      this.#unsaid.push(`  waits   ${words}`);
    }
  }

  /** Effects of a plan are committed after its inputs are folded, so they are said after them. */
  #unsaid: string[] = [];

  #inputs(): void {
    const said = this.#cp?.inputs.slice(this.#inputsSaid) ?? [];
    this.#inputsSaid += said.length;
    this.#lines.push(...said.map((input) => `  input   ${inputWords(input)}`), ...this.#unsaid);
    this.#unsaid = [];
  }

  #later(secs: string): Instant {
    return addSecs(this.#cp.now, Number(secs.replace(/^\+|s$/g, "")));
  }
}

const before = (text: string, mark = "="): string => text.slice(0, text.indexOf(mark));
const after = (text: string, mark = "="): string => text.slice(text.indexOf(mark) + 1);
