import { type Setting, setting } from "./setting.ts";

const OPERATORS = ["pause", "resume", "clear", "cancel", "advance", "retry", "lift"] as const;
const spend = (faults: number, copies = 0, acts = 0) => ({ faults, copies, acts });

// What one path may use is bounded in each world: faults, copies (a batch that arrives twice, or whose receipt is lost), acts
// of an operator, and with `lagMax` how many events of a host may be unsent before it goes on. foundText prints all of it.

/** To closure, and in seconds: what is run with every test. */
export const QUICK: readonly Setting[] = [
  setting("one host, one wave, one fault, one copy", {
    waves: [["a"]],
    spend: spend(1, 1),
  }),
  setting("one host, two releases, one fault", {
    waves: [["a"]],
    releases: 2,
    spend: spend(1),
    lagMax: 1,
  }),
  setting("one host that must be booted, two releases, one fault", {
    waves: [["a"]],
    releases: 2,
    needsBoot: true,
    spend: spend(1),
    lagMax: 1,
  }),
  setting("one host, all that operators do, one fault", {
    waves: [["a"]],
    operators: [...OPERATORS, "freeze", "unfreeze"],
    spend: spend(1, 0, 2),
    lagMax: 2,
  }),
  setting("one host, two faults, and a second attempt", {
    waves: [["a"]],
    operators: ["clear", "retry", "lift"],
    spend: spend(2, 0, 2),
    lagMax: 1,
  }),
  setting("two hosts, one at a time, one failure is borne, one fault", {
    maxInFlight: 1,
    policy: { maxFailures: 1 },
    spend: spend(1),
  }),
  setting("two waves, one fault, one copy", {
    waves: [["a"], ["b"]],
    spend: spend(1, 1),
    lagMax: 2,
  }),
  setting("two hosts, one waits for the other, one failure is borne, one fault", {
    edges: [["a", "b"]],
    policy: { maxFailures: 1 },
    spend: spend(1),
    lagMax: 2,
  }),
  setting("two channels, one waits for the other, one fault", {
    waves: [["a"]],
    gated: ["b"],
    spend: spend(1),
    lagMax: 2,
  }),
];

/**
 * The full bounds. Two hosts at work at once with a copy keep `lagMax`: lifting it makes nine times the states of two waves, and
 * by that ratio more of these than one search is given.
 */
export const FULL: readonly Setting[] = [
  ...QUICK,
  setting("two waves, one fault, one copy, any number of events held back", {
    waves: [["a"], ["b"]],
    spend: spend(1, 1),
  }),
  setting("one host, two releases, one fault, events held back", {
    waves: [["a"]],
    releases: 2,
    spend: spend(1),
    lagMax: 3,
  }),
  setting("two hosts, one wave, one fault", { spend: spend(1) }),
  setting("two hosts, one wave, one fault, one copy", { spend: spend(1, 1), lagMax: 2 }),
  setting("one host, two faults, one copy", {
    waves: [["a"]],
    spend: spend(2, 1),
    lagMax: 2,
  }),
  setting("one host, three releases, and the first is pruned", {
    waves: [["a"]],
    releases: 3,
    operators: ["prune"],
    spend: spend(0, 0, 1),
    lagMax: 1,
  }),
  setting("two hosts, two faults", { spend: spend(2), lagMax: 1 }),
  setting("two hosts, one at a time, operators and a fault", {
    maxInFlight: 1,
    policy: { maxFailures: 1 },
    operators: OPERATORS,
    spend: spend(1, 0, 1),
    lagMax: 2,
  }),
  setting("two hosts, one at a time, two releases, one fault", {
    maxInFlight: 1,
    releases: 2,
    policy: { maxFailures: 1 },
    spend: spend(1),
    lagMax: 1,
  }),
  setting("two waves, operators and a fault", {
    waves: [["a"], ["b"]],
    operators: OPERATORS,
    spend: spend(1, 0, 1),
    lagMax: 1,
  }),
  setting("one host, two releases of one closure, operators and a fault", {
    waves: [["a"]],
    releases: 2,
    sameClosure: true,
    operators: ["clear", "lift", "retry"],
    spend: spend(1, 0, 2),
    lagMax: 2,
  }),
  setting("two waves, two releases, one fault", {
    waves: [["a"], ["b"]],
    releases: 2,
    spend: spend(1),
    lagMax: 1,
  }),
  setting("two hosts that must be booted, one at a time, one fault", {
    needsBoot: true,
    maxInFlight: 1,
    policy: { maxFailures: 1, deferredCounts: "done" },
    spend: spend(1),
    lagMax: 2,
  }),
  setting("two hosts, policy halt, one fault", {
    policy: { onHealthFailure: "halt" },
    spend: spend(1),
    lagMax: 1,
  }),
  setting("two hosts, one waits for the other, two faults", {
    edges: [["a", "b"]],
    policy: { maxFailures: 1 },
    spend: spend(2),
    lagMax: 1,
  }),
  setting("two hosts, one waits for the other, operators and a fault", {
    edges: [["a", "b"]],
    policy: { maxFailures: 1 },
    operators: OPERATORS,
    spend: spend(1, 0, 1),
    lagMax: 1,
  }),
  setting("two hosts that must be booted, one waits for the other, one fault", {
    edges: [["a", "b"]],
    needsBoot: true,
    policy: { maxFailures: 1, deferredCounts: "done" },
    spend: spend(1),
    lagMax: 2,
  }),
  setting("two channels, one waits for the other, operators and a fault", {
    waves: [["a"]],
    gated: ["b"],
    operators: OPERATORS,
    spend: spend(1, 0, 1),
    lagMax: 1,
  }),
  setting("two channels, one waits for the other, two releases, one fault", {
    waves: [["a"]],
    gated: ["b"],
    releases: 2,
    spend: spend(1),
    lagMax: 1,
  }),
  setting("three hosts, two waves, one fault, to depth 14", {
    waves: [["a", "b"], ["c"]],
    spend: spend(1),
    depthMax: 14,
  }),
];
