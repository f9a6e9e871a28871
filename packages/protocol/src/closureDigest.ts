import { err, ok, type Result, type Sha256 } from "@nixwave/effects";
import { sha256 } from "./hash.ts";

/** What a Nix store vouches for of one path. */
export interface StorePathInfo {
  readonly path: string;
  /** SHA-256 of the archive, in hex. */
  readonly narHash: string;
  readonly narSize: number;
}

/**
 * The digest that a release may carry per host, so that a cache's key alone can't change what a closure holds: SHA-256
 * over the sorted lines `path narHash narSize`, each ended by a newline. The text is what `nix-store --dump-db PATH…`
 * prints for all requisites of the closure, on the builder as on the host; that command is stable, and its hashes are in
 * hex in every version of Nix.
 */
export function closureDigestOf(dump: string): Result<Sha256, string> {
  const paths = readStoreDump(dump);
  if (!paths.ok) return paths;
  const lines = paths.value.map(({ path, narHash, narSize }) => `${path} ${narHash} ${narSize}\n`);
  // By code unit: the collation of a locale would give each machine its own digest.
  return ok(sha256(lines.toSorted((a, b) => (a < b ? -1 : 1)).join("")));
}

/** Per path: path, hash, size, deriver or an empty line, the number of references, and each of them. */
export function readStoreDump(dump: string): Result<readonly StorePathInfo[], string> {
  const lines = dump.split("\n");
  const paths: StorePathInfo[] = [];
  for (let at = 0; at < lines.length - 1; ) {
    const [path = "", narHash = "", sizeText = "", , countText = ""] = lines.slice(at, at + 5);
    const [narSize, references] = [Number(sizeText), Number(countText)];
    const isWhole =
      path.startsWith("/") &&
      /^[0-9a-f]{64}$/.test(narHash) &&
      /^[0-9]+$/.test(sizeText) &&
      Number.isSafeInteger(narSize) &&
      /^[0-9]+$/.test(countText) &&
      at + 5 + references < lines.length;
    if (!isWhole) return err(`line ${at + 1} of nix-store --dump-db begins no store path`);
    paths.push({ path, narHash, narSize });
    at += 5 + references;
  }
  if (paths.length === 0) return err("nix-store --dump-db printed no store path");
  return ok(paths);
}
