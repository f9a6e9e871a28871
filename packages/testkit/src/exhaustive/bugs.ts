import { type Bug, type Setting, setting } from "./setting.ts";

interface Planted {
  readonly bug: Bug;
  /** The invariant that has to tell. */
  readonly tells: string;
  readonly world: Setting;
}

const planted = (bug: Bug, tells: string, over: Partial<Setting>): Planted => ({
  bug,
  tells,
  world: setting(`planted: ${bug}`, { waves: [["a"]], ...over, bug }),
});

/** What shows that the search can fail: each of them breaks one promise, and has to be found by it. */
export const PLANTED: readonly Planted[] = [
  planted("superseded-timer", "superseded", { releases: 2, lagMax: 2 }),
  planted("unproven-rollback", "unproven", { releases: 2, lagMax: 2 }),
  planted("quarantine-not-loaded", "I7", {
    releases: 2,
    sameClosure: true,
    lagMax: 2,
  }),
  planted("budget-not-loaded", "I9", { waves: [["a", "b"]], maxInFlight: 1, lagMax: 2 }),
  planted("host-edges-not-loaded", "I8", { waves: [["a", "b"]], edges: [["a", "b"]], lagMax: 2 }),
  planted("channel-edges-not-loaded", "I8", { gated: ["b"], lagMax: 2 }),
  planted("edge-to-nobody", "I14", {
    waves: [["a", "b"]],
    edges: [["a", "b"]],
    spend: { faults: 0, copies: 0, acts: 0 },
  }),
  planted("outbox-emptied-early", "I4", { spend: { faults: 0, copies: 1, acts: 0 } }),
];
