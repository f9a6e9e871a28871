import { type ClosureHash, err, ok, type Result } from "@nixwave/effects";
import { closureDigestOf } from "@nixwave/protocol";
import type { Activation, Obstacle, PinName, WantedClosure } from "./activation.ts";
import { endText } from "./directoryShell.ts";
import { readRefusal, readSigners, unsignedPath } from "./nixRefusal.ts";
import { closureOf, closurePath, type NixShell, NO_BUILD, OFFLINE, STORE } from "./nixShell.ts";

/** Realising ends when the worker's time is over; this only limits a worker that was forgotten. */
const REALISE_TIMEOUT_MS = 6 * 3_600_000;
/** Asking a slow cache what is missing. */
const ASK_TIMEOUT_MS = 120_000;
const LOCAL_TIMEOUT_MS = 60_000;
/** Of 20,000 paths, which is five times a desktop. */
const DUMP_BYTES_MAX = 32 * 1024 * 1024;
/** Unpacking needs more than the archive's size: blocks, and the database. */
const ROOM_FACTOR = 1.1;

export interface NixStoreParts {
  readonly shell: NixShell;
  /** Folder of garbage-collection roots that is this agent's own. */
  readonly pins: string;
  /** What the closure must hold to be what this backend activates. */
  readonly program: (closure: ClosureHash) => string;
}

/** Having a closure complete and signed on this machine, and keeping it. */
export function nixRealise(
  parts: NixStoreParts,
): Pick<Activation, "preflight" | "realise" | "pin" | "pinned"> {
  const { shell, pins } = parts;
  return {
    preflight: (closure) => roomInStore(shell, closure),
    realise: (wanted, signal) => realise(parts, wanted, signal),
    pin: async (name, closure) => {
      const argv = ["nix-store", "--realise", closurePath(closure), ...NO_BUILD, ...OFFLINE];
      await shell.script('mkdir -p "$1"', ["mkdir", pins]);
      await shell.must([...argv, "--add-root", `${pins}/${name}`], { timeoutMs: LOCAL_TIMEOUT_MS });
    },
    pinned: async (name) => await readPin(shell, pins, name),
  };
}

async function readPin(shell: NixShell, pins: string, name: PinName): Promise<ClosureHash | null> {
  const { end, stdout } = await shell.run(["readlink", `${pins}/${name}`], {});
  return end.kind === "exited" && end.code === 0 ? closureOf(stdout.trim()) : null;
}

async function realise(
  { shell, pins, program }: NixStoreParts,
  { closure, digest }: WantedClosure,
  signal: AbortSignal,
): Promise<Result<null, Obstacle>> {
  const path = closurePath(closure);
  // Rooted by the process that fetches it, so that a collection at the same moment can't take it away again.
  const root = `${pins}/realised`;
  await shell.script('mkdir -p "$1"', ["mkdir", pins]);
  const argv = ["nix-store", "--realise", path, ...NO_BUILD, ...cacheOptions(shell)];
  const { end, stderr } = await shell.run([...argv, "--add-root", root], {
    timeoutMs: REALISE_TIMEOUT_MS,
    signal,
  });
  if (end.kind === "exited" && end.code !== 0) {
    const unsigned = unsignedPath(path, stderr);
    const signers = unsigned === null ? null : await signersOf(shell, unsigned, signal);
    return err(readRefusal(path, stderr, signers));
  }
  if (end.kind !== "exited")
    return err({ final: false, message: `realising ${path} ${endText(end)}` });
  const wrong =
    (await wrongDigest(shell, path, digest)) ?? (await notOurs(shell, program(closure)));
  if (wrong === null) return ok(null);
  // Nobody is to find it pinned by us.
  await shell.script('rm -f "$1"', ["rm", root]);
  return err({ final: true, message: wrong });
}

/** Who has signed what the caches hold of a path; null if none says. For words only: Nix has refused it already. */
async function signersOf(
  shell: NixShell,
  path: string,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  const argv = ["nix", "--extra-experimental-features", "nix-command", "path-info", "--json", path];
  let found: readonly string[] | null = null;
  for (const cache of shell.config.caches) {
    const { end, stdout } = await shell.run([...argv, "--store", cache, ...FRESH], {
      timeoutMs: LOCAL_TIMEOUT_MS,
      signal,
    });
    const signers = end.kind === "exited" && end.code === 0 ? readSigners(stdout) : null;
    if (signers !== null) found = [...new Set([...(found ?? []), ...signers])];
  }
  return found;
}

const FRESH = [
  "--option",
  "narinfo-cache-negative-ttl",
  "0",
  "--option",
  "narinfo-cache-positive-ttl",
  "0",
] as const;

/**
 * Signatures are required whatever nix.conf says. What a cache said before is not believed: a host that asked before the
 * push would go on not finding it for an hour, and one that found it unsigned for a month. One retry only, because the
 * worker backs off by itself and says so.
 */
function cacheOptions({ config: { caches, trustedKeys } }: NixShell): readonly string[] {
  const options: readonly (readonly [string, string])[] = [
    ["require-sigs", "true"],
    ["fallback", "false"],
    ["connect-timeout", "15"],
    ["download-attempts", "2"],
    ...(caches.length === 0 ? [] : [["substituters", caches.join(" ")] as const]),
    ...(trustedKeys.length === 0 ? [] : [["trusted-public-keys", trustedKeys.join(" ")] as const]),
  ];
  return [...FRESH, ...options.flatMap(([name, value]) => ["--option", name, value])];
}

/** `sh -c DUMP dump PATH`. In two steps, because a pipe would hide that the first of them failed. */
const DUMP = `
list=$(nix-store --query --requisites "$1") || exit 1
printf '%s\\n' "$list" | xargs nix-store --dump-db
`;

/** Compared before the profile is set: the release says what the closure holds, and not only its name. */
async function wrongDigest(
  shell: NixShell,
  path: string,
  digest: string | null,
): Promise<string | null> {
  if (digest === null) return null;
  const dump = await shell.must(["sh", "-c", DUMP, "dump", path], {
    timeoutMs: LOCAL_TIMEOUT_MS,
    outputBytesMax: DUMP_BYTES_MAX,
  });
  const found = closureDigestOf(dump);
  if (!found.ok) return `the digest of ${path} can't be computed: ${found.error}`;
  if (found.value === digest) return null;
  return `wrong digest: ${path} holds other contents here (${found.value}) than the release signed (${digest})`;
}

async function notOurs(shell: NixShell, program: string): Promise<string | null> {
  const { end } = await shell.run(["test", "-x", program], {});
  return end.kind === "exited" && end.code === 0
    ? null
    : `${program} is not there, so that this closure can't be activated by this backend`;
}

/** What Nix itself says that it would fetch and unpack; if it can't say, realising will. */
async function roomInStore(shell: NixShell, closure: ClosureHash): Promise<Result<null, Obstacle>> {
  const argv = ["nix-store", "--realise", "--dry-run", closurePath(closure), ...NO_BUILD];
  const { stderr } = await shell.run([...argv, ...cacheOptions(shell)], {
    timeoutMs: ASK_TIMEOUT_MS,
  });
  const unpacked = unpackedBytes(stderr);
  const freeBytes = shell.ports.disk.freeBytes(STORE);
  if (unpacked === null || freeBytes === null) return ok(null);
  const neededBytes = Math.ceil(unpacked * ROOM_FACTOR);
  if (freeBytes >= neededBytes) return ok(null);
  const message = `${STORE} has ${freeBytes} bytes free, and ${closure} needs ${neededBytes} more`;
  return err({ final: false, message });
}

/** "these 3 paths will be fetched (1.20 MiB download, 5.91 MiB unpacked)". */
function unpackedBytes(stderr: string): number | null {
  const match = /([0-9.]+) (KiB|MiB|GiB|TiB) unpacked/.exec(stderr);
  if (match === null) return null;
  const powers = ["KiB", "MiB", "GiB", "TiB"];
  return Number(match[1]) * 1024 ** (powers.indexOf(match[2] ?? "") + 1);
}
