/** A value as text, with its keys in order and its numbers as the caller reads them: equal forms, equal states. */
export function form(value: unknown, number: (value: number) => string): string {
  if (typeof value === "number") return number(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  if (Array.isArray(value)) return `[${value.map((item) => form(item, number)).join()}]`;
  const fields = Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${key}:${form(field, number)}`);
  return `{${fields.join()}}`;
}
