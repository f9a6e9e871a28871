import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  type Audit,
  type AuditedRole,
  audit,
  type FetchFile,
  fetchFromDirectory,
  fetchFromUrl,
  formatInstant,
  isDue,
} from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { Refusal, systemCode } from "../refusal.ts";
import { age } from "../render/duration.ts";
import { counted } from "../render/name.ts";
import { harmless, paint } from "../render/style.ts";
import { table } from "../render/table.ts";

export interface VerifyTyped {
  /** A directory, or a URL that serves one. */
  readonly from: string;
  readonly root: string | null;
}

/** Looks at a repository as a host would that never saw it: 0 if it is sound, 2 if it is not, 1 if it could not be looked at. */
export async function verify(desk: Desk, { from, root }: VerifyTyped): Promise<ExitCode> {
  const { surroundings } = desk;
  const now = surroundings.now();
  const audited = await audit(fetchOf(surroundings.cwd, from), rootOf(surroundings.cwd, root), now);
  if (!audited.ok) {
    const { code, reason } = audited.error;
    if (code === "unreachable" || code === "missing") throw new Refusal(`${from}: ${reason}.`);
    if (desk.json) print(desk, [JSON.stringify({ sound: false, problems: [audited.error] })]);
    say(desk, `NOT SOUND  ${code}: ${harmless(reason)}`);
    return EXIT.halted;
  }
  const { problems } = audited.value;
  if (desk.json) print(desk, [toJson(audited.value)]);
  else print(desk, screen(desk, audited.value));
  if (root === null) {
    say(
      desk,
      "Verified from the repository's own first root, which whoever made the repository could choose. With the root that hosts have: --root root.json",
    );
  }
  for (const { code, reason } of problems) say(desk, `NOT SOUND  ${code}: ${harmless(reason)}`);
  for (const { role, expiry } of audited.value.roles) {
    if (expiry.expiresAt > now && isDue(expiry, now)) {
      say(
        desk,
        `warning: ${role} ends in ${age((expiry.expiresAt - now) / 1000)}: nixwave refresh${isOnline(role) ? "" : ` --roles ${role}`}`,
      );
    }
  }
  for (const { channel, release } of audited.value.channels) {
    if (release === null || release.covered === release.hosts) continue;
    say(
      desk,
      `warning: ${counted(release.hosts - release.covered, "host")} of ${channel} without a closureDigest: for them a cache's key is as strong as a release key.`,
    );
  }
  return problems.length === 0 ? EXIT.fine : EXIT.halted;
}

const isOnline = (role: string): boolean => role === "timestamp" || role === "snapshot";

const toJson = ({ at, rootVersion, roles, channels, problems }: Audit): string =>
  JSON.stringify({
    sound: problems.length === 0,
    at: formatInstant(at),
    rootVersion,
    roles: roles.map(({ expiry, ...role }) => ({
      ...role,
      expiresAt: formatInstant(expiry.expiresAt),
      validDays: expiry.validDays,
    })),
    channels: channels.map(({ channel, release }) => ({
      channel,
      release:
        release === null ? null : { ...release, createdAt: formatInstant(release.createdAt) },
    })),
    problems: problems.map(({ code, file, reason }) => ({ code, file, reason })),
  });

function screen({ style }: Desk, { at, roles, channels, problems }: Audit): readonly string[] {
  const left = ({ expiry, expired }: AuditedRole): string =>
    expired ? paint(style, "bad", "✗ expired") : age((expiry.expiresAt - at) / 1000);
  const roleRows = roles.map((role) => [
    role.role,
    String(role.version),
    `${role.keys.filter(({ signed }) => signed).length} of ${role.keys.length}, ${role.threshold} must`,
    left(role),
    harmless(role.keys.map(({ name, signed }) => `${signed ? "✓" : "–"} ${name}`).join("  ")),
  ]);
  const channelRows = channels.map(({ channel, release }) =>
    release === null
      ? [channel, "–", "", "", "no release yet"]
      : [
          channel,
          release.ref.slice(0, 7),
          String(release.hosts),
          `${release.covered} of ${release.hosts}`,
          harmless(`by ${release.createdBy} at ${formatInstant(release.createdAt)}`),
        ],
  );
  return [
    ...table(
      style,
      ["ROLE", "VERSION", "SIGNED", "VALID FOR", "BY"].map((title) => ({ title })),
      roleRows,
    ),
    "",
    ...table(
      style,
      ["CHANNEL", "RELEASE", "HOSTS", "DIGESTS", "MADE"].map((title) => ({ title })),
      channelRows,
    ),
    "",
    problems.length === 0
      ? paint(style, "good", "✓ sound")
      : paint(style, "bad", `✗ not sound: ${counted(problems.length, "problem")}`),
  ];
}

function fetchOf(cwd: string, from: string): FetchFile {
  return /^https?:/.test(from) ? fetchFromUrl(from) : fetchFromDirectory(resolve(cwd, from));
}

function rootOf(cwd: string, file: string | null): Uint8Array | null {
  if (file === null) return null;
  try {
    return new Uint8Array(readFileSync(resolve(cwd, file)));
  } catch (cause) {
    throw new Refusal(`--root ${file} can't be read (${systemCode(cause)}).`);
  }
}
