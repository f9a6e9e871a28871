import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { addSecs, type HostName } from "@nixwave/effects";
import {
  encodeEnrolmentKeys,
  formatInstant,
  generateKey,
  makeJoinToken,
  openRepository,
  publicHalf,
  readPrivateKey,
  sameKey,
  setFleetFiles,
  TOKEN_VALID_SECS_MAX,
  thumbprint,
  writeKeyFile,
} from "@nixwave/protocol";
import { operatorOf } from "../connect.ts";
import { type Desk, print, say } from "../desk.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { Refusal, systemCode } from "../refusal.ts";
import { age } from "../render/duration.ts";
import { fleetFilesOf, nextFleetFiles } from "../signing/fleetFiles.ts";
import { handsOf, must, report } from "../signing/outcome.ts";
import { passphraseFrom } from "../signing/passphrase.ts";
import type { Place } from "../signing/settings.ts";
import type { SignersTyped } from "../signing/signers.ts";
import { unknownHost } from "./hostFiles.ts";

export interface JoinTokenTyped {
  readonly place: Place;
  readonly host: HostName;
  /** The name of the control plane that takes it. */
  readonly controlPlane: string;
  readonly validSecs: number;
  readonly keyThumbprint: string | null;
  /** The key of join tokens: of its own, and made where it is missing. */
  readonly enrolmentKey: string;
  readonly out: string | null;
  readonly signers: SignersTyped;
}

const NONCE_BYTES = 16;

/** Makes a token with which one host may enrol once. It is shown once, and kept nowhere. */
export async function joinToken(desk: Desk, typed: JoinTokenTyped): Promise<ExitCode> {
  const { surroundings } = desk;
  const { place, host, controlPlane, validSecs, keyThumbprint } = typed;
  refuseWrong(typed);
  const { live } = await must(openRepository(place.path));
  const { hosts, revoked } = await fleetFilesOf(place, live.targets);
  const known = hosts.get(host);
  if (known === undefined) throw unknownHost(host, hosts);
  if (known.sshHostKey !== null) {
    throw new Refusal(
      `${host} enrols by its SSH host key, which fleet/hosts.json has: it needs no token, and none would be taken.`,
    );
  }
  if (revoked.get(host)?.before === null) {
    throw new Refusal(`${host} is retired: take that back first with: nixwave host add ${host}`);
  }
  const privateKey = await enrolmentKeyOf(desk, typed);
  const listing = await listKey(desk, typed, privateKey);
  if (listing !== null) return listing;
  const now = surroundings.now();
  const nonce = randomBytes(NONCE_BYTES);
  const token = await makeJoinToken({
    privateKey,
    host,
    controlPlane,
    keyThumbprint,
    nonce,
    now,
    validSecs,
  });
  if (typed.out === null)
    print(desk, [
      desk.json
        ? JSON.stringify({
            host,
            controlPlane,
            token,
            expiresAt: formatInstant(addSecs(now, validSecs)),
          })
        : token,
    ]);
  else writeSecret(surroundings.cwd, typed.out, `${token}\n`);
  const where = typed.out === null ? "It is shown this once." : `It is in ${typed.out}, mode 0600.`;
  say(
    desk,
    `A token for ${host} at ${controlPlane}, for one enrolment within ${age(validSecs)}. ${where} On the host, in a file of mode 0600 that its agent's config names: "enrolment": { "tokenFile": "…" }`,
  );
  return EXIT.fine;
}

function refuseWrong({ validSecs, keyThumbprint, out }: JoinTokenTyped): void {
  if (validSecs > TOKEN_VALID_SECS_MAX) {
    throw new Refusal(
      `--expires: a token is valid for at most ${TOKEN_VALID_SECS_MAX / 86_400} days.`,
    );
  }
  if (keyThumbprint !== null && !/^[A-Za-z0-9_-]{43}$/.test(keyThumbprint)) {
    throw new Refusal(
      "--key-thumbprint: expected the RFC 7638 thumbprint of the host's TLS key, 43 characters of base64url.",
    );
  }
  if (out === "") throw new Refusal("--out: expected a file's name.");
}

/** The key that signs tokens, from its file; made where there is none. */
async function enrolmentKeyOf({ surroundings }: Desk, typed: JoinTokenTyped) {
  const path = resolve(surroundings.cwd, typed.enrolmentKey);
  if (!existsSync(path)) {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new Refusal(`${typed.enrolmentKey} could not be written (${systemCode(cause)}).`);
    }
    const written = await writeKeyFile(path, generateKey("ed25519"), null);
    if (!written.ok) throw new Refusal(`${written.error}.`);
  }
  const key = await readPrivateKey(
    path,
    passphraseFrom(surroundings, typed.signers.passphraseFile),
  );
  if (!key.ok) throw new Refusal(`--enrolment-key ${key.error}.`);
  if (key.value.asymmetricKeyType === "ed25519") return key.value;
  throw new Refusal(
    `--enrolment-key ${typed.enrolmentKey}: join tokens are signed with Ed25519. Make one: leave the option out.`,
  );
}

/** The control plane takes tokens of listed keys only. Null once it is listed and live, else how the command ends. */
async function listKey(
  desk: Desk,
  { place, signers, enrolmentKey }: JoinTokenTyped,
  privateKey: Parameters<typeof publicHalf>[0],
): Promise<ExitCode | null> {
  const key = publicHalf(privateKey);
  const { live } = await must(openRepository(place.path));
  const listed = (await fleetFilesOf(place, live.targets)).keys;
  if (listed.some((one) => sameKey(one.key, key))) return null;
  const { keys } = await nextFleetFiles(place);
  const name = `${operatorOf(desk.surroundings.env)} ${thumbprint(key).slice(0, 8)}`;
  const next = keys.some((one) => sameKey(one.key, key)) ? keys : [...keys, { name, key }];
  const hands = await handsOf(desk, place, signers);
  const files = new Map([["enrolment.json", encodeEnrolmentKeys(next)] as const]);
  const outcome = await must(setFleetFiles(hands, files));
  say(
    desk,
    `fleet/enrolment.json lists the key of ${enrolmentKey}: who has it can let hosts of this fleet in.`,
  );
  if (outcome.live.has("targets")) return null;
  const code = report(desk, outcome);
  say(desk, "No token was made: first the signatures, then this command again.");
  return code;
}

function writeSecret(cwd: string, file: string, text: string): void {
  try {
    const handle = openSync(resolve(cwd, file), "wx", 0o600);
    try {
      writeSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw new Refusal(
      `--out ${file} could not be written (${systemCode(cause)}); a file that is there is never overwritten.`,
    );
  }
}
