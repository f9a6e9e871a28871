import type { Bug } from "./bugs.ts";

const AGENT = "apps/agent/src";

const liars = (seed: number): Bug["ground"] => ({ kind: "liars", seed });

/** Mistakes that only somebody who lies can use: an honest control plane never says what they believe. */
export const TRUST_BUGS: readonly Bug[] = [
  {
    name: "rejected-closure-kept",
    what: "A dispatch that was refused has left its closure in the record, and the next honest one activates it.",
    file: `${AGENT}/decide/dispatch.ts`,
    find: "  const opened = { ...(at.record ?? open(offer, at)), channel, targetClosure };\n",
    replace: "  const opened = at.record ?? { ...open(offer, at), channel, targetClosure };\n",
    ground: liars(725),
    tells: ["I1", "I4"],
  },
  {
    name: "offered-closure-taken",
    what: "What is activated is what the dispatch says, and not what the verified release names for this host.",
    file: `${AGENT}/decide/dispatch.ts`,
    find: "  const release = input.release.value;\n",
    replace: "  const release = { ...input.release.value, closure: offer.targetClosure };\n",
    ground: liars(125),
    tells: ["I1"],
  },
  {
    name: "offered-soak-taken",
    what: "The soak is the one that the dispatch estimates, and not the signed one.",
    file: `${AGENT}/decide/dispatch.ts`,
    find: '    opened.kind === "Pending" ? { ...opened, terms: release.terms } : opened;\n',
    replace: `    opened.kind === "Pending"
      ? { ...opened, terms: { ...release.terms, soakSecs: Math.max(0, (offer.soakDueAt - offer.dispatchedAt) / 1000) } }
      : opened;\n`,
    ground: liars(75),
    tells: ["signed-terms"],
  },
  {
    name: "older-release-taken",
    what: "Any release that the channel's keys have signed is taken, and not the current one alone.",
    file: `${AGENT}/inbound/signedReleases.ts`,
    find: "    if (current.value !== ref) {\n",
    replace: '    if (current.value !== ref && wanted.ref === "") {\n',
    ground: liars(2675),
    tells: ["never-older"],
  },
  {
    name: "refusal-not-told",
    what: "An agent that refuses a dispatch writes it into its own log, and sends no event.",
    file: `${AGENT}/decide/dispatch.ts`,
    find: "  return decided([only(at.record, line), made]);\n",
    replace: "  return decided([only(at.record, line)]);\n",
    ground: liars(175),
    tells: ["refusal-told"],
  },
  {
    name: "refusal-told-once",
    what: "An agent that has refused a rollout tells no further refusal of the same kind there.",
    file: `${AGENT}/decide/dispatch.ts`,
    find: "  return decided([only(at.record, line), made]);\n",
    replace: `  const isTold = at.record?.lastReject?.code === code;
  return decided([only(at.record, line), ...(isTold ? [] : [made])]);\n`,
    ground: liars(175),
    tells: ["refusal-told"],
  },
  {
    name: "future-dated-taken",
    what: "A release from a year ahead is taken for the newest that there is.",
    file: "packages/protocol/src/trust/trustedReleases.ts",
    find: "  if (createdAt <= addSecs(now, AHEAD_SECS_MAX)) return ok(release);\n",
    replace: "  if (createdAt <= addSecs(now, AHEAD_SECS_MAX * 1000)) return ok(release);\n",
    ground: liars(1925),
    tells: ["I1"],
  },
  {
    name: "clock-by-metadata",
    what: "Verified metadata set the agent's clock forward to when they say that they were signed.",
    file: `${AGENT}/steadyClock.ts`,
    find: "    this.#newestMetadataAt = later(signedAt, this.#newestMetadataAt ?? signedAt);\n",
    replace: `    this.#newestMetadataAt = later(signedAt, this.#newestMetadataAt ?? signedAt);
    this.#base = later(this.now(), signedAt);
    this.#monotonicBase = this.#clock.monotonicMs();\n`,
    ground: liars(2525),
    tells: ["clock-ahead"],
  },
  {
    name: "refused-without-pause",
    what: "After a refusal the agent polls again at once, as often as a control plane that lies answers at once.",
    file: `${AGENT}/inbound/poll.ts`,
    find: "    this.#paceIsOwed = true;\n",
    replace: "    this.#backoff.succeeded();\n",
    ground: liars(2125),
    tells: ["pace"],
  },
];
