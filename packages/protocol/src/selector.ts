import { err, type HostName, isHostName, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { hostName } from "./ids.ts";
import { tag } from "./release.ts";
import { didYouMean } from "./suggestion.ts";

/** An expression that resolves to hosts. `tags`: those that carry all of them. */
export type Selector =
  | { readonly all: true }
  | { readonly tags: readonly string[] }
  | { readonly hosts: readonly HostName[] }
  | { readonly not: Selector }
  | { readonly and: readonly Selector[] }
  | { readonly or: readonly Selector[] };

/** What a selector looks at. */
export interface Selectable {
  readonly host: HostName;
  readonly tags: readonly string[];
}

/** The selector as a question about one host. Names are looked up, not searched: a list may be a whole fleet. */
export function matcher(selector: Selector): (host: Selectable) => boolean {
  if ("all" in selector) return () => true;
  if ("tags" in selector) return ({ tags }) => selector.tags.every((each) => tags.includes(each));
  if ("hosts" in selector) {
    const names = new Set(selector.hosts);
    return ({ host }) => names.has(host);
  }
  if ("not" in selector) {
    const matches = matcher(selector.not);
    return (host) => !matches(host);
  }
  if ("and" in selector) {
    const all = selector.and.map(matcher);
    return (host) => all.every((matches) => matches(host));
  }
  const any = selector.or.map(matcher);
  return (host) => any.some((matches) => matches(host));
}

/** One host asked about; for many, make the matcher once. */
export const selects = (selector: Selector, host: Selectable): boolean => matcher(selector)(host);

/** A host that the selector names by its name, and where. */
export interface NamedHost {
  readonly host: HostName;
  readonly path: readonly PropertyKey[];
}

/** Every host that a selector names, with its path, so that an unknown one is refused where it stands. */
export function namedHosts(selector: Selector, path: readonly PropertyKey[]): NamedHost[] {
  if ("hosts" in selector) {
    return selector.hosts.map((host, index) => ({ host, path: [...path, "hosts", index] }));
  }
  if ("not" in selector) return namedHosts(selector.not, [...path, "not"]);
  if ("and" in selector) {
    return selector.and.flatMap((part, index) => namedHosts(part, [...path, "and", index]));
  }
  if ("or" in selector) {
    return selector.or.flatMap((part, index) => namedHosts(part, [...path, "or", index]));
  }
  return [];
}

/** Deeper ones are a mistake, or an attack on the stack. */
const DEPTH_MAX = 32;
const KEYS = ["all", "tags", "hosts", "not", "and", "or"] as const;
const EXPECTED =
  "expected a selector: {all: true}, {tags: [web]}, {hosts: [web-1]}, {not: …}, {and: […]} or {or: […]}";

/** A misread part of a selector: `path` from the selector's own root. */
interface Misread {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const tags = z
  .array(tag, { error: "expected a list of tags" })
  .min(1, { error: "expected at least one tag" });
const hosts = z
  .array(hostName, { error: "expected a list of host names" })
  .min(1, { error: "expected at least one host" });
const mapping = z.record(z.string(), z.unknown());
const parts = z.array(z.unknown()).min(1);

/** Written out rather than a union of schemas: a union can't say which of its arms was meant. */
function readSelector(value: unknown, path: readonly PropertyKey[]): Result<Selector, Misread> {
  if (path.length > 2 * DEPTH_MAX)
    return err({ path, message: "the selector is nested too deeply" });
  const read = mapping.safeParse(value);
  if (!read.success) return err({ path, message: EXPECTED });
  const keys = Object.keys(read.data);
  const key = KEYS.find((known) => known === keys[0]);
  if (key === undefined || keys.length !== 1) {
    const stray = keys.find((each) => !KEYS.some((known) => known === each));
    if (stray === undefined) return err({ path, message: `${EXPECTED}, and one of them only` });
    const message = `unknown selector ${JSON.stringify(stray)}: ${EXPECTED}.${didYouMean(stray, KEYS)}`;
    return err({ path: [...path, stray], message });
  }
  return readArm(key, read.data[key], [...path, key]);
}

function readArm(
  key: (typeof KEYS)[number],
  value: unknown,
  path: readonly PropertyKey[],
): Result<Selector, Misread> {
  switch (key) {
    case "all":
      return value === true ? ok({ all: true }) : err({ path, message: "expected true" });
    case "tags": {
      const list = tags.safeParse(value);
      return list.success ? ok({ tags: list.data }) : err(misread(list.error, path));
    }
    case "hosts": {
      const list = hosts.safeParse(value);
      return list.success ? ok({ hosts: list.data }) : err(misread(list.error, path));
    }
    case "not": {
      const inner = readSelector(value, path);
      return inner.ok ? ok({ not: inner.value }) : inner;
    }
    case "and": {
      const list = readParts(value, path);
      return list.ok ? ok({ and: list.value }) : list;
    }
    case "or": {
      const list = readParts(value, path);
      return list.ok ? ok({ or: list.value }) : list;
    }
  }
}

function readParts(
  value: unknown,
  path: readonly PropertyKey[],
): Result<readonly Selector[], Misread> {
  const list = parts.safeParse(value);
  if (!list.success) return err({ path, message: "expected a list of selectors" });
  const selectors: Selector[] = [];
  for (const [index, part] of list.data.entries()) {
    const inner = readSelector(part, [...path, index]);
    if (!inner.ok) return inner;
    selectors.push(inner.value);
  }
  return ok(selectors);
}

function misread(error: z.ZodError, path: readonly PropertyKey[]): Misread {
  const issue = error.issues[0];
  return issue === undefined
    ? { path, message: EXPECTED }
    : { path: [...path, ...issue.path], message: issue.message };
}

const schemaOf = (read: (value: unknown) => Result<Selector, Misread>) =>
  z.unknown().transform((value, context): Selector => {
    const selector = read(value);
    if (selector.ok) return selector.value;
    const { path, message } = selector.error;
    context.issues.push({ code: "custom", path: [...path], message, input: value });
    return z.NEVER;
  });

export const selectorSchema = schemaOf((value) => readSelector(value, []));

/** A host's name, or a selector for several. */
export const hostOrSelectorSchema = schemaOf((value) => {
  if (typeof value !== "string") return readSelector(value, []);
  const name = hostName.safeParse(value);
  return name.success ? ok({ hosts: [name.data] }) : err(misread(name.error, []));
});

/**
 * A selector as a person types it: `@web` (a tag; `@web@eu` both), `web-1,web-2`, `all`, or JSON. The error is a sentence.
 */
export function parseSelector(text: string): Result<Selector, string> {
  const trimmed = text.trim();
  if (trimmed === "all") return ok({ all: true });
  if (trimmed.startsWith("{")) return parseJsonSelector(trimmed);
  if (trimmed.startsWith("@")) {
    const list = tags.safeParse(trimmed.slice(1).split("@"));
    return list.success
      ? ok({ tags: list.data })
      : err(`the selector ${JSON.stringify(text)}: expected @tag, as in @web or @web@eu`);
  }
  const names = trimmed.split(",").map((name) => name.trim());
  const bad = names.find((name) => !isHostName(name));
  return bad === undefined
    ? ok({ hosts: names.filter(isHostName) })
    : err(
        `the selector ${JSON.stringify(text)}: expected host names, @tag, all, or JSON, not ${JSON.stringify(bad)}`,
      );
}

function parseJsonSelector(text: string): Result<Selector, string> {
  try {
    const json: unknown = JSON.parse(text);
    const read = readSelector(json, []);
    return read.ok ? read : err(`the selector: ${read.error.message}`);
  } catch {
    return err(`the selector ${JSON.stringify(text)} begins like JSON, but is not`);
  }
}
