import { resolve } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";

/** Where the signed repository comes from. */
export type RepositoryPlace =
  | { readonly kind: "directory"; readonly directory: string }
  | { readonly kind: "url"; readonly url: string }
  /** `branch` null takes what the remote's HEAD names. */
  | { readonly kind: "git"; readonly url: string; readonly branch: string | null };

const EXPECTED =
  "expected a directory, an address such as https://releases.example/fleet/, or a git repository such as git+ssh://git@git.example/fleet#main";

/** `git@git.example:fleet`, as git itself takes it. */
const SCP = /^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:(?!\/\/)/;
const BRANCH = /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}$/;

/** A text of `--repository`; relative directories start at `base`. The error is a sentence without the flag's name. */
export function parsePlace(text: string, base: string): Result<RepositoryPlace, string> {
  if (SCP.test(text)) return gitPlace(text);
  if (!URL.canParse(text) || !text.includes("://")) {
    return ok({ kind: "directory", directory: resolve(base, text) });
  }
  const { protocol, username, password, pathname } = new URL(text);
  if (protocol.startsWith("git+")) return gitPlace(text.slice("git+".length));
  if (protocol === "ssh:" || protocol === "git:") return gitPlace(text);
  if (protocol === "file:") return filePlace(pathname);
  if (protocol !== "https:" && protocol !== "http:") {
    return err(`${protocol}// is not served: ${EXPECTED}`);
  }
  // An argument is seen by every user of the machine, and a log by whoever reads it.
  if (username !== "" || password !== "") {
    return err("a user name or password in an address would be seen by others: leave it out");
  }
  return pathname.endsWith(".git") ? gitPlace(text) : ok({ kind: "url", url: text });
}

function filePlace(pathname: string): Result<RepositoryPlace, string> {
  try {
    return ok({ kind: "directory", directory: decodeURI(pathname) });
  } catch {
    return err(`file://${pathname} has a % that is no encoded character: ${EXPECTED}`);
  }
}

function gitPlace(text: string): Result<RepositoryPlace, string> {
  const [url = "", branch] = text.split("#", 2);
  if (URL.canParse(url) && new URL(url).password !== "") {
    return err("a password in an address would be seen by others: leave it to git's credentials");
  }
  if (url.startsWith("-") || /\s/.test(url)) return err(`${url} is no address: ${EXPECTED}`);
  if (branch === undefined) return ok({ kind: "git", url, branch: null });
  if (BRANCH.test(branch)) return ok({ kind: "git", url, branch });
  return err(`#${branch} is no branch: expected a name such as #main`);
}

export function sayPlace(place: RepositoryPlace): string {
  switch (place.kind) {
    case "directory":
      return place.directory;
    case "url":
      return place.url;
    case "git":
      return `${place.url}${place.branch === null ? "" : ` branch ${place.branch}`}, by git`;
  }
}
