import type { Obstacle } from "./activation.ts";

/** A store path in the words of any version of Nix. */
const PATH = String.raw`(/nix/store/[0-9a-z]{32}-[^'"\s:]+)`;

/** Words of 2.8: "is not signed by any of the keys in …"; of 2.19 and later: "ignoring substitute for …, as it's not signed …". */
const UNSIGNED = /not signed by any of the keys|lacks a (valid )?signature/;
const UNSIGNED_PATH = new RegExp(
  `${PATH}[^\\n]*(?:not signed by any|lacks a (?:valid )?signature)`,
);
const TAMPERED =
  /hash mismatch (importing path|in file downloaded)|archive is corrupted|bad archive/;
const TAMPERED_PATH = new RegExp(`hash mismatch importing path '${PATH}'`);
const UNREACHABLE =
  /unable to download|timed out|Timeout was reached|(Couldn't|Could not|Failed to) (connect|resolve)|Connection refused/;
const FULL = /No space left on device|disk (is )?full|Disk quota exceeded/;
const ABSENT =
  /don't know how to build these paths|no substituter that can build it|does not exist|is required, but/;

/**
 * Why `nix-store --realise` failed: it ends with 1 whatever the reason, so that its words have to be read, and they differ
 * between versions. Only what no retry can help is final; where one cache refused and another gave no answer, the other
 * may still have it.
 */
export function readRefusal(
  path: string,
  stderr: string,
  signers: readonly string[] | null,
): Obstacle {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  const isAnswered = !UNREACHABLE.test(stderr);
  if (FULL.test(stderr)) {
    return { final: false, message: `there is no room left for ${path}: ${firstOf(stderr, FULL)}` };
  }
  const unsigned = unsignedPath(path, stderr);
  if (unsigned !== null) return { final: isAnswered, message: unsignedWords(unsigned, signers) };
  if (TAMPERED.test(stderr)) {
    const named = TAMPERED_PATH.exec(stderr)?.[1] ?? path;
    const message = `tampered: what the cache holds of ${named} is not what was signed. Push it again`;
    return { final: isAnswered, message };
  }
  if (!isAnswered) {
    return {
      final: false,
      message: `no cache answers for ${path}: ${firstOf(stderr, UNREACHABLE)}`,
    };
  }
  if (ABSENT.test(stderr)) {
    return { final: false, message: `no cache has all of ${path}: ${last}` };
  }
  return { final: false, message: `${path} can't be realised: ${last}` };
}

/** The path that no trusted key has signed, if that is what was refused. */
export function unsignedPath(path: string, stderr: string): string | null {
  return UNSIGNED.test(stderr) ? (UNSIGNED_PATH.exec(stderr)?.[1] ?? path) : null;
}

/** Nix's words are the same whether nobody or a stranger has signed; what is to be done about it is not. */
function unsignedWords(path: string, signers: readonly string[] | null): string {
  if (signers === null)
    return `unsigned: no trusted key has signed ${path}. Sign it when it is pushed to the cache, or trust the key that did`;
  if (signers.length === 0)
    return `unsigned: nobody has signed ${path}. Sign it when it is pushed to the cache`;
  return `foreign signature: ${path} is signed by ${signers.join(", ")}, which this host does not trust. Sign it with a trusted key, or trust that one`;
}

/** A key's name is whatever a cache says it is. */
const SIGNER = /"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):[A-Za-z0-9+/=]+"/g;
const SIGNERS_MAX = 5;

/** From what `nix path-info --json` prints of one path, in any version; null if it does not know the path. 2.8 leaves out an empty list. */
export function readSigners(json: string): readonly string[] | null {
  if (!json.includes('"narHash"')) return null;
  const list = /"signatures":\s*\[([^\]]*)\]/.exec(json)?.[1] ?? "";
  const names = [...list.matchAll(SIGNER)].flatMap(([, name]) =>
    name === undefined ? [] : [name],
  );
  return [...new Set(names)].slice(0, SIGNERS_MAX);
}

const firstOf = (text: string, pattern: RegExp): string =>
  text
    .split("\n")
    .find((line) => pattern.test(line))
    ?.trim() ?? "";
