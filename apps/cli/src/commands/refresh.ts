import { type Instant } from "@nixwave/effects";
import { formatInstant, isDue, openRepository, refreshRepository } from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { age } from "../render/duration.ts";
import { handsOf, must, report } from "../signing/outcome.ts";
import { rolesOf } from "../signing/roles.ts";
import type { Place } from "../signing/settings.ts";
import type { SignersTyped } from "../signing/signers.ts";

export interface RefreshTyped {
  readonly place: Place;
  readonly roles: readonly string[];
  readonly ifDue: boolean;
  readonly signers: SignersTyped;
}

/** Signs snapshot and timestamp anew, and roles that are named: what is not refreshed ends, and then nothing new starts on any host. */
export async function refresh(
  desk: Desk,
  { place, roles, ifDue, signers }: RefreshTyped,
): Promise<ExitCode> {
  const now = desk.surroundings.now();
  if (ifDue) {
    const known = rolesOf((await must(openRepository(place.path))).live);
    const meant = known.filter(
      ({ role }) => role === "timestamp" || role === "snapshot" || roles.includes(role),
    );
    if (!meant.some(({ expiry }) => isDue(expiry, now))) {
      say(desk, "Nothing is due: more than a quarter of each validity is left.");
      if (desk.json) print(desk, [JSON.stringify({ live: {}, waiting: [] })]);
      return EXIT.fine;
    }
  }
  const hands = await handsOf(desk, place, signers);
  const code = report(desk, await must(refreshRepository(hands, roles)));
  await sayExpiries(desk, place, now);
  return code;
}

/** When each role ends, the first to end first. */
async function sayExpiries(desk: Desk, place: Place, now: Instant): Promise<void> {
  const { live } = await must(openRepository(place.path));
  const sorted = [...rolesOf(live)].sort((a, b) => a.expiry.expiresAt - b.expiry.expiresAt);
  for (const { role, expiry } of sorted) {
    const left = (expiry.expiresAt - now) / 1000;
    const due = isDue(expiry, now) ? "   renew it" : "";
    say(
      desk,
      `  ${role} ${left <= 0 ? "ended" : `valid for ${age(left)}`}, until ${formatInstant(expiry.expiresAt)}${due}`,
    );
  }
}
