import { err, ok, type Result } from "@nixwave/effects";
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  type ParsedNode,
  parseDocument,
  visit,
  type YAMLMap,
} from "yaml";

/** A sentence about one place of a file. */
export interface Finding {
  readonly file: string;
  /** From 1; null where the finding is about the whole file. */
  readonly line: number | null;
  readonly sentence: string;
}

/** `fleet.yaml:14: budget "web" names …` */
export const formatFinding = ({ file, line, sentence }: Finding): string =>
  line === null ? `${file}: ${sentence}` : `${file}:${line}: ${sentence}`;

/** A YAML or JSON file's content, and where each part of it stands. */
export interface Placed {
  readonly file: string;
  readonly value: unknown;
  /** The line of the key or item that a path leads to, or of the nearest part above it. */
  readonly lineOf: (path: readonly PropertyKey[]) => number;
}

/** A fleet of 100,000 hosts is about 15 MB. */
const FILE_LENGTH_MAX = 64 * 1024 * 1024;

/** Reads YAML 1.2, and so JSON. Refuses what can't be told apart in memory: duplicate keys and aliases without end. */
export function readPlaced({
  file,
  text,
}: {
  file: string;
  text: string;
}): Result<Placed, readonly Finding[]> {
  const refused = (sentence: string, line: number | null) => err([{ file, line, sentence }]);
  if (text.length > FILE_LENGTH_MAX) {
    return refused(`the file has more than ${FILE_LENGTH_MAX} characters`, null);
  }
  const lines = new LineCounter();
  try {
    const options = {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: false,
    };
    const document = parseDocument(text, { ...options, logLevel: "error" });
    const wrong = document.errors[0] ?? document.warnings[0];
    if (wrong !== undefined)
      return refused(`not YAML: ${wrong.message}`, lines.linePos(wrong.pos[0]).line);
    const lost = lostKey(document.contents);
    if (lost !== null) return refused(lost.sentence, lines.linePos(lost.offset).line);
    const offsetOf = placesOf(document.contents);
    return ok({
      file,
      value: document.toJS(),
      lineOf: (path) => lines.linePos(offsetOf(path)).line,
    });
  } catch (cause) {
    // The parser's own limits: aliases that multiply, nesting that exhausts its stack.
    const why = cause instanceof Error ? cause.message : String(cause);
    return refused(`not readable as YAML: ${why}`, null);
  }
}

/**
 * The first key that would be lost in memory: one that its mapping has before, or `__proto__`. The parser's own look for
 * duplicates compares each key with each, which takes minutes for a large fleet.
 */
function lostKey(root: ParsedNode | null): { offset: number; sentence: string } | null {
  let lost: { offset: number; sentence: string } | null = null;
  visit(root, {
    Map: (_, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const name = isScalar(key) ? String(key.value) : "";
        if (name !== "__proto__" && !seen.has(name)) {
          seen.add(name);
          continue;
        }
        const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
        const why = name === "__proto__" ? "is no key" : "is there before: expected each key once";
        lost = { offset, sentence: `${JSON.stringify(name)} ${why}` };
        return visit.BREAK;
      }
      return undefined;
    },
  });
  return lost;
}

/** Where a path leads to. Keys are indexed once per mapping: a fleet has as many as hosts, and each may be wrong. */
function placesOf(root: ParsedNode | null): (path: readonly PropertyKey[]) => number {
  const indices = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();
  const indexOf = (map: YAMLMap): ReadonlyMap<string, Pair> => {
    const known = indices.get(map);
    if (known !== undefined) return known;
    const index = new Map(map.items.map((pair) => [String(pair.key), pair]));
    indices.set(map, index);
    return index;
  };
  return (path) => {
    let offset = root?.range[0] ?? 0;
    let node: unknown = root;
    for (const key of path) {
      if (isMap(node)) {
        const pair = indexOf(node).get(String(key));
        if (pair === undefined || !isScalar(pair.key)) return offset;
        offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node) && typeof key === "number") {
        node = node.items[key];
        if (!(isMap(node) || isSeq(node) || isScalar(node))) return offset;
        offset = node.range?.[0] ?? offset;
      } else return offset;
    }
    return offset;
  };
}
