import { createPublicKey } from "node:crypto";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Channel } from "@nixwave/effects";
import {
  addChannel,
  changeKeys,
  formatInstant,
  generateKey,
  type KeyChange,
  nameOfKey,
  openRepository,
  writeKeyFile,
} from "@nixwave/protocol";
import { type Desk, print, say } from "../desk.ts";
import type { ExitCode } from "../exit.ts";
import { Refusal, systemCode } from "../refusal.ts";
import { age } from "../render/duration.ts";
import { harmless } from "../render/style.ts";
import { table } from "../render/table.ts";
import { agreed, handsOf, must, report } from "../signing/outcome.ts";
import { newPassphrase, type PassphraseTyped } from "../signing/passphrase.ts";
import { keyNamed, type RoleNow, rolesOf } from "../signing/roles.ts";
import type { Place } from "../signing/settings.ts";
import { publicKeyIn, type SignersTyped } from "../signing/signers.ts";

/** Writes a private key, mode 0600, and its public half beside it. */
export async function generate(
  desk: Desk,
  file: string,
  { kind, ...typed }: PassphraseTyped & { readonly kind: "ed25519" | "p256" },
): Promise<void> {
  const { surroundings } = desk;
  const publicFile = `${file.replace(/\.key$/, "")}.pub`;
  const passphrase = await newPassphrase(surroundings, typed);
  const key = generateKey(kind);
  const written = await writeKeyFile(resolve(surroundings.cwd, file), key, passphrase);
  if (!written.ok) throw new Refusal(`${written.error}.`);
  try {
    const pem = createPublicKey(key).export({ format: "pem", type: "spki" });
    writeFileSync(resolve(surroundings.cwd, publicFile), pem, { flag: "wx" });
  } catch (cause) {
    throw new Refusal(
      `${publicFile} could not be written (${systemCode(cause)}); the private key is in ${file}.`,
    );
  }
  const name = nameOfKey(publicKeyIn(surroundings.cwd, publicFile));
  if (desk.json) print(desk, [JSON.stringify({ key: file, publicKey: publicFile, name })]);
  else print(desk, [file, publicFile]);
  say(
    desk,
    `Made key ${name}. Keep ${file}; ${publicFile} goes to whoever may sign root, who runs: nixwave key add ROLE ${publicFile}`,
  );
}

/** Who may sign what, as it is live. */
export async function listKeys(desk: Desk, place: Place, role: string | null): Promise<void> {
  const roles = rolesOf((await must(openRepository(place.path))).live);
  const shown = role === null ? roles : [roleNamed(roles, role)];
  if (desk.json) {
    const json = shown.map(({ expiry, ...rest }) => ({
      ...rest,
      expiresAt: formatInstant(expiry.expiresAt),
      validDays: expiry.validDays,
    }));
    print(desk, [JSON.stringify(json)]);
    return;
  }
  const now = desk.surroundings.now();
  const rows = shown.map(({ role: name, threshold, keys, expiry }) => [
    name,
    `${threshold} of ${keys.length}`,
    expiry.expiresAt <= now ? "✗ expired" : age((expiry.expiresAt - now) / 1000),
    harmless(keys.map((key) => key.name).join(", ")),
  ]);
  const columns = ["ROLE", "MUST SIGN", "VALID FOR", "KEYS"].map((title) => ({ title }));
  print(desk, table(desk.style, columns, rows));
}

/** What is done to the keys of each role that is named, as typed. */
export type KeyChangeTyped =
  | { readonly kind: "add"; readonly publicKey: string }
  | { readonly kind: "remove"; readonly key: string }
  | { readonly kind: "rotate"; readonly key: string; readonly publicKey: string }
  | { readonly kind: "threshold"; readonly threshold: number };

export interface KeysTyped {
  readonly place: Place;
  /** Names with commas, or `all`. */
  readonly roles: string;
  readonly yes: boolean;
  readonly signers: SignersTyped;
}

/** Changes the keys of roles: all of it, or nothing. */
export async function changeRoles(
  desk: Desk,
  change: KeyChangeTyped,
  { place, roles: typed, yes, signers }: KeysTyped,
): Promise<ExitCode> {
  const { live, pending } = await must(openRepository(place.path));
  // What waits is changed further: names are looked for where the change is made.
  const next = {
    ...live,
    root: pending.root ?? live.root,
    targets: pending.targets ?? live.targets,
  };
  const steps = rolesTyped(rolesOf(next), typed).map((role) => stepOf(desk, role, change));
  await agreed(desk, `${steps.map(({ doing }) => doing).join("\n")}\nDo it?`, yes);
  const hands = await handsOf(desk, place, signers);
  const changes = steps.map(({ change: one }) => one);
  return report(desk, await must(changeKeys(hands, changes)));
}

interface KeyStep {
  readonly doing: string;
  readonly change: KeyChange;
}

function stepOf({ surroundings }: Desk, of: RoleNow, change: KeyChangeTyped): KeyStep {
  const { role } = of;
  switch (change.kind) {
    case "add": {
      const key = publicKeyIn(surroundings.cwd, change.publicKey);
      return {
        doing: `${role}: key ${nameOfKey(key)} will count`,
        change: { kind: "add", role, key },
      };
    }
    case "remove": {
      const { keyId, name } = keyNamed(of, change.key);
      return {
        doing: `${role}: key ${harmless(name)} will count no more`,
        change: { kind: "remove", role, keyId },
      };
    }
    case "rotate": {
      const { keyId, name } = keyNamed(of, change.key);
      const key = publicKeyIn(surroundings.cwd, change.publicKey);
      return {
        doing: `${role}: key ${nameOfKey(key)} takes the place of ${harmless(name)}`,
        change: { kind: "rotate", role, keyId, key },
      };
    }
    case "threshold": {
      const { threshold } = change;
      return {
        doing: `${role}: ${threshold} of ${of.keys.length} keys must sign, before ${of.threshold}`,
        change: { kind: "threshold", role, threshold },
      };
    }
  }
}

function rolesTyped(known: readonly RoleNow[], typed: string): readonly RoleNow[] {
  if (typed === "all") return known;
  return typed.split(",").map((name) => roleNamed(known, name));
}

function roleNamed(known: readonly RoleNow[], name: string): RoleNow {
  const role = known.find((one) => one.role === name);
  if (role !== undefined) return role;
  throw new Refusal(
    `“${name}” is no role of this repository: expected one of ${known.map((one) => one.role).join(", ")}, several with commas, or all.`,
  );
}

/** A new channel: its role gets the keys that are named, else those that sign this. */
export async function addChannelTo(
  desk: Desk,
  channel: Channel,
  typed: {
    readonly place: Place;
    readonly public: readonly string[];
    readonly threshold: number;
    readonly signers: SignersTyped;
  },
): Promise<ExitCode> {
  const hands = await handsOf(desk, typed.place, typed.signers);
  const keys =
    typed.public.length === 0
      ? hands.signers.map(({ publicKey }) => publicKey)
      : typed.public.map((file) => publicKeyIn(desk.surroundings.cwd, file));
  return report(desk, await must(addChannel(hands, { channel, keys, threshold: typed.threshold })));
}
