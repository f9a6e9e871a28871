import {
  ableToSign,
  dropPending,
  nameOfKey,
  openRepository,
  seenPending,
  signRepository,
} from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { Refusal } from "../refusal.ts";
import { inspect } from "../signing/inspect.ts";
import { agreed, handsOf, must, report, sayWaiting } from "../signing/outcome.ts";
import type { Place } from "../signing/settings.ts";
import type { SignersTyped } from "../signing/signers.ts";
import type { Care } from "./act.ts";

/** Shows what waits, and adds the signatures of whoever is present; what is complete with them goes live. */
export async function sign(
  desk: Desk,
  { place, roles, signers }: { place: Place; roles: readonly string[]; signers: SignersTyped },
  care: Care,
): Promise<ExitCode> {
  const { surroundings, style } = desk;
  const { live, pending, waiting } = await must(openRepository(place.path));
  const shown = seenPending(pending);
  const meant = [...shown.keys()].filter((role) => roles.length === 0 || roles.includes(role));
  const absent = roles.find((role) => !shown.has(role));
  if (absent !== undefined)
    throw new Refusal(`nothing of ${absent} waits for signatures in ${place.shown}.`);
  if (meant.length === 0) {
    say(desk, `Nothing waits for signatures in ${place.shown}.`);
    if (desk.json) print(desk, [JSON.stringify({ live: {}, waiting: [] })]);
    return EXIT.fine;
  }
  const inspected = await inspect(
    style,
    { directory: place.path, live, pending },
    surroundings.now(),
  );
  for (const { role, version, lines } of inspected) {
    if (desk.json || !meant.includes(role)) continue;
    print(desk, [`${role} ${version}`, ...lines.map((line) => `  ${line}`)]);
  }
  if (care.dryRun) {
    if (desk.json) print(desk, [JSON.stringify({ dryRun: true, inspected, waiting })]);
    else sayWaiting(desk, waiting);
    return EXIT.person;
  }
  const hands = await handsOf(desk, place, signers);
  const able = meant.filter(
    (role) => ableToSign(hands.signers, role, { live, pending }).length > 0,
  );
  if (able.length === 0) {
    sayWaiting(
      desk,
      waiting.filter(({ role }) => meant.includes(role)),
    );
    const mine = hands.signers.map(({ publicKey }) => nameOfKey(publicKey)).join(", ");
    throw new Refusal(`nothing of this is for ${mine} to sign, or is signed by it already.`);
  }
  await agreed(desk, `Sign ${able.join(", ")}?`, care.yes);
  return report(
    desk,
    await must(
      signRepository(hands, able, new Map([...shown].filter(([role]) => able.includes(role)))),
    ),
  );
}

/** Takes back what waits. It needs no key: nothing of it was live. */
export async function drop(
  desk: Desk,
  { place, roles }: { place: Place; roles: readonly string[] },
  care: Care,
): Promise<ExitCode> {
  await agreed(desk, `Take back what waits of ${roles.join(", ")}?`, care.yes);
  const hands = { directory: place.path, signers: [], now: desk.surroundings.now() };
  const outcome = await must(dropPending(hands, roles));
  say(desk, `Taken back: what waited of ${roles.join(", ")}.`);
  return report(desk, outcome);
}
