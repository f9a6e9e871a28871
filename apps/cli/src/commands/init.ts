import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { addSecs } from "@nixwave/effects";
import {
  formatInstant,
  generateKey,
  initRepository,
  nameOfKey,
  type Passphrase,
  readKeyFile,
  type Signer,
  VALID_DAYS,
  writeKeyFile,
} from "@nixwave/protocol";
import { operatorOf } from "../connect.ts";
import { type Desk, print, say } from "../desk.ts";
import { EXAMPLE_FLEET } from "../exampleFleet.ts";
import { channelNamed } from "../find.ts";
import { Refusal, systemCode } from "../refusal.ts";
import { declarationOf } from "../release/prepare.ts";
import { declaredHosts } from "../signing/declaredHosts.ts";
import { must } from "../signing/outcome.ts";
import { newPassphrase, type PassphraseTyped, passphraseFrom } from "../signing/passphrase.ts";
import { DEFAULTS, SETTINGS_FILE } from "../signing/settings.ts";
import { commandOf, keyFilesOf, type SignersTyped, signersOf } from "../signing/signers.ts";

/** Channels and hosts are those of the declaration: the one that is there, else the example. */
export type InitTyped = SignersTyped & PassphraseTyped;

const KEYS = "keys";

/**
 * Makes a fleet's folder: the declaration, the repository, a key for every role and the root that hosts are given. What is there is kept;
 * a repository is never made anew. Killed half-way it is run again, and goes on with the key that it made.
 */
export async function init(desk: Desk, folder: string, typed: InitTyped): Promise<void> {
  const { surroundings } = desk;
  const at = (name: string) => resolve(surroundings.cwd, folder, name);
  const shown = (name: string) => join(folder, name);
  if (existsSync(at(`${DEFAULTS.repository}/metadata/timestamp.json`))) {
    throw new Refusal(
      `${shown(DEFAULTS.repository)} holds a repository already, and was left as it is: what hosts get as root.json is its metadata/1.root.json. Name another folder: nixwave init DIR`,
    );
  }
  if (existsSync(at("root.json"))) {
    throw new Refusal(
      `${shown("root.json")} is there without its repository, and hosts may have it: move it away, or name another folder: nixwave init DIR`,
    );
  }
  const made: string[] = [];
  const put = (name: string, bytes: string | Uint8Array): void => {
    if (writeNew(at(name), shown(name), bytes)) made.push(shown(name));
  };
  makeFolder(at("."), folder);
  // The fleet first: whether it can be read is known before a key is made.
  put(DEFAULTS.fleet, EXAMPLE_FLEET);
  const { fleet } = declarationOf(shown(DEFAULTS.fleet), surroundings.cwd);
  const { signers, keyFile } = await ownSigners(desk, { folder, made }, typed);
  const hands = { directory: at(DEFAULTS.repository), signers, now: surroundings.now() };
  const channels = Object.keys(fleet.channels).map(channelNamed);
  await must(initRepository(hands, { channels, hosts: declaredHosts(fleet.hosts) }));
  made.push(shown(DEFAULTS.repository));
  put("root.json", readFileSync(at(`${DEFAULTS.repository}/metadata/1.root.json`)));
  const settings = { ...DEFAULTS, ...(keyFile === null ? {} : { keys: [keyFile] }) };
  put(SETTINGS_FILE, `${JSON.stringify(settings, null, 2)}\n`);
  report(desk, { folder, made, signers });
}

/** Who signs: what was typed, else a key of the operator's own, made here. `keyFile` is as nixwave.json names it. */
async function ownSigners(
  { surroundings }: Desk,
  { folder, made }: { folder: string; made: string[] },
  typed: InitTyped,
): Promise<{ signers: readonly Signer[]; keyFile: string | null }> {
  if (commandOf(surroundings, typed) !== null || keyFilesOf(surroundings, typed.key).length > 0) {
    return { signers: await signersOf(surroundings, typed), keyFile: null };
  }
  const keyFile = `${KEYS}/${operatorOf(surroundings.env)}.key`;
  const shown = join(folder, keyFile);
  const path = resolve(surroundings.cwd, shown);
  let passphrase: Passphrase = passphraseFrom(surroundings, typed.passphraseFile);
  if (!existsSync(path)) {
    passphrase = await newPassphrase(surroundings, typed);
    makeFolder(resolve(surroundings.cwd, folder, KEYS), join(folder, KEYS), 0o700);
    writeNew(resolve(surroundings.cwd, folder, KEYS, ".gitignore"), join(folder, KEYS), "*\n");
    const written = await writeKeyFile(path, generateKey(), passphrase);
    if (!written.ok) throw new Refusal(`${written.error}.`);
    made.push(shown);
  }
  const signer = await readKeyFile(path, passphrase);
  if (!signer.ok) throw new Refusal(`${signer.error}.`);
  return { signers: [signer.value], keyFile };
}

function report(
  desk: Desk,
  {
    folder,
    made,
    signers,
  }: { folder: string; made: readonly string[]; signers: readonly Signer[] },
): void {
  const now = desk.surroundings.now();
  const keys = signers.map(({ publicKey }) => nameOfKey(publicKey));
  if (desk.json) {
    const validUntil = Object.entries(VALID_DAYS).map(
      ([role, days]) => [role, formatInstant(addSecs(now, days * 86_400))] as const,
    );
    print(desk, [JSON.stringify({ made, keys, validUntil: Object.fromEntries(validUntil) })]);
    return;
  }
  print(desk, made);
  const enter = folder === "." ? "" : `cd ${folder} && `;
  say(
    desk,
    `Made a repository that ${keys.join(" and ")} signs, every role of it. Signatures end; then hosts start nothing new, and keep running:
  timestamp, snapshot   after ${VALID_DAYS.timestamp} days     each release renews them; else, from cron: nixwave refresh
  targets, channels     after ${VALID_DAYS.targets} days    a release renews its channel; else: nixwave refresh --roles targets,stable
  root                  after ${VALID_DAYS.root} days   nixwave refresh --roles root
root.json goes onto every host, by a way that you trust: all that a host believes begins with it.
Whoever has the key can release anything: keep it off the control plane, and a copy of it offline. To share it: nixwave key --help
next: ${enter}nixwave release --dry-run`,
  );
}

function makeFolder(path: string, shown: string, mode = 0o755): void {
  try {
    mkdirSync(path, { recursive: true, mode });
    if (mode === 0o700) chmodSync(path, mode);
  } catch (cause) {
    throw new Refusal(notWritten(shown, cause));
  }
}

/** Whether it was written: what is there already is kept. */
function writeNew(path: string, shown: string, bytes: string | Uint8Array): boolean {
  try {
    writeFileSync(path, bytes, { flag: "wx" });
    return true;
  } catch (cause) {
    if (systemCode(cause) === "EEXIST") return false;
    throw new Refusal(notWritten(shown, cause));
  }
}

const notWritten = (shown: string, cause: unknown): string =>
  `${shown} could not be written (${systemCode(cause)}). Name a folder that you may write to: nixwave init DIR`;
