import { generateKeyPairSync } from "node:crypto";
import { type Instant, instant } from "@nixwave/effects";
import {
  hostName,
  issueAuthority,
  issueForAgent,
  keyIssuer,
  publicHalf,
  renewAt,
  SERIAL_BYTES,
} from "@nixwave/protocol";
import { expect, test } from "vitest";
import { decideIdentity, type Identity, type Proof, type Setback } from "./state.ts";

// One table: what is known → the state that is shown, and what is done about it.

const NOW = instant(Date.UTC(2026, 10, 24, 13));
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const at = (ms: number): Instant => instant(NOW + ms);

const { privateKey } = generateKeyPairSync("ed25519");
const serial = new Uint8Array(SERIAL_BYTES).fill(3);
const authority = await issueAuthority({ privateKey, serial, now: at(-400 * DAY) });
const issued = (now: Instant) =>
  issueForAgent(keyIssuer(authority, privateKey), {
    name: hostName.parse("web-1"),
    key: publicHalf(privateKey),
    serial,
    now,
  });
const fresh = await issued(NOW);
const aging = await issued(at(-20 * DAY));
const ended = await issued(at(-200 * DAY));

const NOTHING: Identity = {
  enrolBy: "ssh",
  held: null,
  isDisowned: false,
  kept: null,
  hasUnheard: false,
  renews: true,
  setback: null,
};
const setback = (
  kind: Setback["kind"],
  proof: Proof,
  retryInMs: number,
): Pick<Identity, "setback"> => ({
  setback: { kind, proof, code: "x", sentence: "No.", retryAt: at(retryInMs) },
});
const refused = (proof: Proof, retryInMs = MINUTE) => setback("refused", proof, retryInMs);
const silent = (proof: Proof, retryInMs = MINUTE) => setback("unanswered", proof, retryInMs);
const clock = (ms: number) => at(ms).toString();

test.each<readonly [string, Partial<Identity>, string]>([
  ["nothing yet", {}, "None: ask ssh"],
  ["nothing yet, by token", { enrolBy: "token" }, "None: ask token"],
  ["a request was made, and nothing is known of its answer", { kept: "ssh" }, "Enrolling: ask ssh"],
  [
    "no answer, and it is early",
    { kept: "ssh", ...silent("ssh") },
    `Enrolling: wait ${clock(MINUTE)}`,
  ],
  ["no answer, and it is time", { kept: "ssh", ...silent("ssh", 0) }, "Enrolling: ask ssh"],
  [
    "no answer, and the clock was set back by a day",
    { kept: "ssh", ...silent("ssh", DAY) },
    "Enrolling: ask ssh",
  ],
  ["refused", refused("ssh"), `Refused: wait ${clock(MINUTE)}`],
  ["refused, and it is time", refused("ssh", 0), "Refused: ask ssh"],
  ["refused, and the clock was set back by a day", refused("ssh", DAY), "Refused: ask ssh"],
  [
    "a token's request was answered and never heard of",
    { enrolBy: "token", kept: "token", hasUnheard: true, ...refused("token") },
    "None: ask unheard",
  ],
  [
    "a setback of another way than the one configured now",
    { enrolBy: "token", ...refused("ssh") },
    "None: ask token",
  ],

  ["a fresh certificate", { held: fresh }, `Valid: wait ${renewAt(fresh)}`],
  [
    "a fresh one, whatever was refused before",
    { held: fresh, ...refused("renewal") },
    `Valid: wait ${renewAt(fresh)}`,
  ],
  ["half of its life is over", { held: aging }, "Due: ask renewal"],
  [
    "half of its life is over, and no agent runs",
    { held: aging, renews: false },
    `Due: wait ${aging.notAfter}`,
  ],
  [
    "due, and the CP is silent",
    { held: aging, kept: "renewal", ...silent("renewal") },
    `Due: wait ${clock(MINUTE)}`,
  ],
  ["due, and the renewal is refused", { held: aging, ...refused("renewal") }, "Due: ask ssh"],
  [
    "due, and everything is refused",
    { held: aging, ...refused("ssh") },
    `Refused: wait ${clock(MINUTE)}`,
  ],
  [
    "due, everything was refused, and it is time",
    { held: aging, ...refused("ssh", 0) },
    "Refused: ask renewal",
  ],

  ["ended months ago", { held: ended }, "Expired: ask previous"],
  [
    "ended while its renewal was never answered",
    { held: ended, kept: "renewal", ...silent("renewal") },
    "Expired: ask previous",
  ],
  ["ended, and the CP forgot us", { held: ended, ...refused("previous") }, "Expired: ask ssh"],
  [
    "ended, and the CP knows us by a key of which we never heard",
    { held: ended, hasUnheard: true, ...refused("previous") },
    "Expired: ask unheard",
  ],
  [
    "ended, and that key is refused too",
    { held: ended, hasUnheard: true, ...refused("unheard") },
    "Expired: ask ssh",
  ],
  [
    "ended, and everything is refused",
    { held: ended, ...refused("ssh") },
    `Refused: wait ${clock(MINUTE)}`,
  ],
  ["ended, and no agent runs", { held: ended, renews: false }, "Expired: ask previous"],

  [
    "fresh, and the CP knows nobody by it",
    { held: fresh, isDisowned: true },
    "Expired: ask previous",
  ],
  [
    "fresh, revoked, and enrolled by SSH key",
    { held: fresh, isDisowned: true, ...refused("previous") },
    "Expired: ask ssh",
  ],
  [
    "fresh, revoked for good",
    { held: fresh, isDisowned: true, ...refused("ssh") },
    `Refused: wait ${clock(MINUTE)}`,
  ],
])("%s", (_, known, expected) => {
  const { state, step } = decideIdentity({ ...NOTHING, ...known }, NOW);
  const next = step.kind === "Ask" ? `ask ${step.proof}` : `wait ${step.until}`;
  expect(`${state.kind}: ${next}`).toBe(expected);
});

test("a certificate is due from the instant at half of its life, and ended after its last one", () => {
  const kindAt = (now: Instant) => decideIdentity({ ...NOTHING, held: fresh }, now).state.kind;
  expect(kindAt(instant(renewAt(fresh) - 1))).toBe("Valid");
  expect(kindAt(renewAt(fresh))).toBe("Due");
  expect(kindAt(fresh.notAfter)).toBe("Due");
  expect(kindAt(instant(fresh.notAfter + 1))).toBe("Expired");
});
