import { padEnd, padStart, paint, type Style, widthOf } from "./style.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

const GAP = "  ";

/** Columns as wide as their widest cell; the last one is never padded, so that a copied line has no tail. */
export function table(
  style: Style,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = columns.map((column, at) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(row[at] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => {
        const cell = cells[at] ?? "";
        if (column.align === "right") return padStart(cell, widths[at] ?? 0);
        return padEnd(cell, widths[at] ?? 0);
      })
      .join(GAP)
      .trimEnd();
  const titled = columns.some((column) => column.title !== "");
  const head = line(columns.map((column) => paint(style, "strong", column.title)));
  return [...(titled ? [head] : []), ...rows.map(line)];
}

/** `name  text` lines under a headline; names are padded to the widest. */
export function fields(
  style: Style,
  pairs: readonly (readonly [name: string, text: string])[],
): readonly string[] {
  const width = Math.max(0, ...pairs.map(([name]) => widthOf(name)));
  return pairs.map(([name, text]) => `  ${paint(style, "quiet", padEnd(name, width))}  ${text}`);
}
