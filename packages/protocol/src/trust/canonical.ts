/** Deeper than any metadata: what is nested further is refused before the stack ends. */
const DEPTH_MAX = 32;

/**
 * OLPC canonical JSON, the bytes that TUF signs. Over the JSON as it came, so that a field that this code does not know is
 * part of what was signed. Null for what it has no spelling for: fractions, undefined, too deep.
 */
export function canonical(value: unknown): Uint8Array | null {
  const text = spell(value, 0);
  return text === null ? null : new TextEncoder().encode(text);
}

function spell(value: unknown, depth: number): string | null {
  if (depth > DEPTH_MAX) return null;
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return Number.isSafeInteger(value) ? JSON.stringify(value) : null;
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value !== "object") return null;
  const parts: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value) {
      const part = spell(item, depth + 1);
      if (part === null) return null;
      parts.push(part);
    }
    return `[${parts.join(",")}]`;
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, item] of entries) {
    const part = spell(item, depth + 1);
    if (part === null) return null;
    parts.push(`${quote(key)}:${part}`);
  }
  return `{${parts.join(",")}}`;
}

/** Canonical JSON escapes these two, and nothing else. */
const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
