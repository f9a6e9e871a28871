/** Small enough to be made while the writer waits. */
const LIMIT_DEFAULT = 100;

export interface PageAsk {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
  readonly total: number;
}

/**
 * One page of a list that is at hand. The cursor is the key of the last item of the page before; an item that went away
 * meanwhile starts the list anew rather than skip any.
 */
export function page<T>(all: readonly T[], keyOf: (item: T) => string, ask: PageAsk): Page<T> {
  const start =
    ask.cursor === undefined ? 0 : all.findIndex((item) => keyOf(item) === ask.cursor) + 1;
  const items = all.slice(start, start + (ask.limit ?? LIMIT_DEFAULT));
  const last = items.at(-1);
  const isLast = last === undefined || start + items.length >= all.length;
  return { items, next: isLast ? null : keyOf(last), total: all.length };
}

/** The same page with its items made into what is shown: only those that are on it. */
export const mapPage = <T, U>(of: Page<T>, show: (item: T) => U): Page<U> => ({
  ...of,
  items: of.items.map(show),
});
