import { describe, expect, test } from "vitest";
import {
  FIRST_ATTEMPT,
  nextAttempt,
  parseChannel,
  parseChannelRef,
  parseHostName,
  parseJournalId,
  rolloutId,
} from "../ids.ts";
import type { ByKind } from "../interpret.ts";
import { invariant } from "../invariant.ts";
import type { Result } from "../result.ts";
import { addSecs, type Instant, instant } from "../time.ts";
import { type HaltCause, ROLLOUT_STATES, type Rollout, type RolloutState } from "./state.ts";
import { type RolloutStepInput, type RolloutStepKind, stepRollout } from "./step.ts";

function must<T, E>(parsed: Result<T, E>): T {
  invariant(parsed.ok, "a fixture's id is well formed");
  return parsed.value;
}

const NOW: Instant = instant(1_767_614_400_000);
const channel = must(parseChannel("stable"));
const ref = must(parseChannelRef("a".repeat(40)));
const id = rolloutId(channel, ref);
const other = rolloutId(channel, must(parseChannelRef("b".repeat(40))));
const host = must(parseHostName("web-1"));
const journalId = must(parseJournalId("a".repeat(32)));

const base = {
  rolloutId: id,
  channel,
  ref,
  createdAt: NOW,
  openedAt: NOW,
  cursor: 2,
  advanced: [1],
  pause: { by: "ops-1", reason: "a look", since: NOW, until: null },
};
const halted = (cause: HaltCause) => ({ ...base, haltedAt: NOW, cause });
const ROLLOUTS: ByKind<Rollout> = {
  Active: { ...base, kind: "Active" },
  Completed: { ...base, kind: "Completed", completedAt: NOW },
  Failed: { ...halted("failures"), kind: "Failed" },
  Reverted: { ...halted("failures"), kind: "Reverted" },
  Superseded: { ...base, kind: "Superseded", supersededAt: NOW, supersededBy: other },
  Pruned: { ...base, kind: "Pruned", prunedAt: NOW },
};

const of = { rolloutId: id, at: NOW };
const who = { by: "ops-1", reason: "a look" };
const tooMany = { failures: 1, reverted: 1, maxFailures: 0 };
const INPUTS: ByKind<RolloutStepInput> = {
  RolloutOpened: { ...of, kind: "RolloutOpened", channel, ref, createdAt: NOW },
  HostJoined: {
    ...of,
    kind: "HostJoined",
    host,
    attempt: FIRST_ATTEMPT,
    journalId,
    dispatchedAt: NOW,
  },
  DispatchCancelled: {
    ...of,
    kind: "DispatchCancelled",
    host,
    attempt: FIRST_ATTEMPT,
    gate: "paused",
  },
  HostStateChanged: {
    ...of,
    ...tooMany,
    kind: "HostStateChanged",
    host,
    attempt: FIRST_ATTEMPT,
    from: "Soaking",
    to: "Failed",
  },
  HostSkipped: { ...of, kind: "HostSkipped", host, reason: "offline" },
  HostReturned: { ...of, kind: "HostReturned", host },
  WaveCompleted: { ...of, kind: "WaveCompleted", wave: 2 },
  RolloutCompleted: { ...of, kind: "RolloutCompleted" },
  SuccessorOpened: { ...of, kind: "SuccessorOpened", successor: other },
  OperatorPaused: { ...of, ...who, kind: "OperatorPaused", until: addSecs(NOW, 60) },
  OperatorResumed: { ...of, ...who, kind: "OperatorResumed" },
  OperatorAdvanced: { ...of, ...who, kind: "OperatorAdvanced", wave: 2 },
  OperatorCleared: { ...of, ...who, kind: "OperatorCleared", forgiven: [host], attempts: [] },
  OperatorRetried: {
    ...of,
    ...who,
    kind: "OperatorRetried",
    host,
    attempt: nextAttempt(FIRST_ATTEMPT),
  },
  OperatorCancelled: { ...of, ...who, kind: "OperatorCancelled" },
  RetentionExpired: { ...of, kind: "RetentionExpired" },
  HostLost: { ...of, ...tooMany, kind: "HostLost", host },
  HostFound: { ...of, ...tooMany, kind: "HostFound", host },
  HostForgot: {
    ...of,
    kind: "HostForgot",
    host,
    journalId,
    attempt: nextAttempt(FIRST_ATTEMPT),
  },
};

/** What each cell does: the state moved to, `=` nothing at all, `+` changed within the state, `-` refused. */
const EXPECTED: { readonly [K in RolloutStepKind]: { readonly [S in RolloutState]: string } } = {
  RolloutOpened: row("= = = = = ="),
  HostJoined: row("= = = = = ="),
  DispatchCancelled: row("= = = = = ="),
  HostStateChanged: row("Failed Failed = Failed = ="),
  HostSkipped: row("= = = = = ="),
  HostReturned: row("= = = = = ="),
  WaveCompleted: row("+ - - - - -"),
  RolloutCompleted: row("Completed = - - - -"),
  SuccessorOpened: row("Superseded Superseded Superseded Superseded = ="),
  OperatorPaused: row("+ + + + - -"),
  OperatorResumed: row("+ + + + - -"),
  OperatorAdvanced: row("+ - - - - -"),
  OperatorCleared: row("- - Active Active - -"),
  OperatorRetried: row("= = = = - -"),
  OperatorCancelled: row("Failed Failed + Failed - -"),
  RetentionExpired: row("- Pruned Pruned Pruned Pruned ="),
  HostLost: row("Failed Failed = Failed = ="),
  HostFound: row("= = Reverted = = ="),
  HostForgot: row("= = = = = ="),
};

function row(cells: string): { readonly [S in RolloutState]: string } {
  const [Active = "", Completed = "", Failed = "", Reverted = "", Superseded = "", Pruned = ""] =
    cells.split(" ");
  return { Active, Completed, Failed, Reverted, Superseded, Pruned };
}

function said(before: Rollout | null, input: RolloutStepInput): string {
  const { outcome, rollout } = stepRollout(before, input, addSecs(NOW, 1));
  switch (outcome.kind) {
    case "moved":
      expect(rollout?.kind).toBe(outcome.to);
      return outcome.to;
    case "stayed":
      return rollout === before ? "=" : "+";
    case "refused":
      expect(rollout).toBe(before);
      expect(outcome.why).toMatch(/stable@/);
      return "-";
  }
}

const kinds = Object.values(INPUTS);

describe("the rollout's table, cell by cell", () => {
  for (const state of ROLLOUT_STATES)
    test.each(kinds)(`${state} × $kind`, (input) => {
      expect(said(ROLLOUTS[state], input)).toBe(EXPECTED[input.kind][state]);
    });

  test.each(kinds)("a rollout never opened × $kind", (input) => {
    expect(said(null, input)).toBe(input.kind === "RolloutOpened" ? "Active" : "-");
  });

  test.each(kinds)("an input about another rollout is refused: $kind", (input) => {
    const strange = { ...ROLLOUTS.Active, rolloutId: other };
    expect(stepRollout(strange, input, NOW).outcome.kind).toBe("refused");
  });
});

const step = (rollout: Rollout, input: RolloutStepInput): Rollout | null =>
  stepRollout(rollout, input, NOW).rollout;

describe("the rollout's rules", () => {
  test("opening is insert-only: a second RolloutOpened never makes a live rollout new again (hazard 23)", () => {
    expect(step(ROLLOUTS.Completed, INPUTS.RolloutOpened)).toBe(ROLLOUTS.Completed);
  });

  test("only WaveCompleted moves the cursor, and only from the wave it stands on (hazard 24)", () => {
    for (const input of kinds) {
      const after = step(ROLLOUTS.Active, input);
      expect(after?.cursor).toBe(input.kind === "WaveCompleted" ? 3 : 2);
    }
    expect(step(ROLLOUTS.Active, { ...INPUTS.WaveCompleted, wave: 1 })).toBe(ROLLOUTS.Active);
    expect(step(ROLLOUTS.Active, { ...INPUTS.WaveCompleted, wave: 3 })).toBe(ROLLOUTS.Active);
  });

  test("as many failures as the policy bears halt nothing; one more does (hazard 29)", () => {
    const borne = { failures: 1, reverted: 0, maxFailures: 1 };
    for (const input of [INPUTS.HostStateChanged, INPUTS.HostLost])
      expect(step(ROLLOUTS.Active, { ...input, ...borne })).toBe(ROLLOUTS.Active);
  });

  test("Failed reads Reverted once every failed host has rolled back, and not before (hazard 30)", () => {
    const reverts = { ...INPUTS.HostStateChanged, from: "Failed", to: "Reverted" } as const;
    expect(step(ROLLOUTS.Failed, { ...reverts, failures: 2, reverted: 1 })).toBe(ROLLOUTS.Failed);
    expect(step(ROLLOUTS.Failed, { ...reverts, failures: 2, reverted: 2 })?.kind).toBe("Reverted");
    expect(step(ROLLOUTS.Failed, { ...reverts, failures: 0, reverted: 0 })).toBe(ROLLOUTS.Failed);
    const well = { ...reverts, from: "Soaking", to: "Converged" } as const;
    expect(step(ROLLOUTS.Failed, { ...well, failures: 2, reverted: 1 })).toBe(ROLLOUTS.Failed);
    expect(step(ROLLOUTS.Failed, { ...well, failures: 1, reverted: 1 })?.kind).toBe("Reverted");
  });

  test("nor is one that was lost and is found: with it the last failed host may be back", () => {
    const found = INPUTS.HostFound;
    expect(step(ROLLOUTS.Failed, { ...found, failures: 2, reverted: 1 })).toBe(ROLLOUTS.Failed);
    expect(step(ROLLOUTS.Failed, { ...found, failures: 1, reverted: 1 })?.kind).toBe("Reverted");
    expect(step(ROLLOUTS.Failed, { ...found, failures: 0, reverted: 0 })).toBe(ROLLOUTS.Failed);
    const cancelled = { ...halted("cancelled"), kind: "Failed" } as const;
    expect(step(cancelled, found)).toBe(cancelled);
  });

  test("a cancelled rollout is cleared by nobody and reverts by nothing", () => {
    const cancelled = { ...halted("cancelled"), kind: "Failed" } as const;
    const reverts = { ...INPUTS.HostStateChanged, from: "Failed", to: "Reverted" } as const;
    expect(step(cancelled, reverts)).toBe(cancelled);
    expect(stepRollout(cancelled, INPUTS.OperatorCleared, NOW).outcome.kind).toBe("refused");
    expect(step(cancelled, INPUTS.OperatorCancelled)).toBe(cancelled);
    expect(step(cancelled, INPUTS.SuccessorOpened)?.kind).toBe("Superseded");
  });

  test("what one state alone carries does not outlive it", () => {
    expect(step(ROLLOUTS.Failed, INPUTS.OperatorCleared)).toEqual(ROLLOUTS.Active);
    expect(step(ROLLOUTS.Completed, INPUTS.SuccessorOpened)).not.toHaveProperty("completedAt");
  });
});
