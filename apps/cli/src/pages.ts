import { PAGE_LIMIT_MAX } from "@nixwave/protocol";
import { Refusal } from "./refusal.ts";

/** Where a page begins, and how much of it is wanted. */
export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** A fleet of 100,000 hosts is 200 pages; more than this mean that the cursor goes in a circle. */
const PAGES_MAX = 1000;

/** Every item, over all pages. Whoever chooses among the items of one page may choose the wrong one. */
export async function everyItem<T>(
  ask: (query: PageQuery) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { items, next }: Page<T> = await ask({
      limit: PAGE_LIMIT_MAX,
      ...(cursor === null ? {} : { cursor }),
    });
    found.push(...items);
    if (next === null) return found;
    cursor = next;
  }
  throw new Refusal(
    `The control plane's list did not end after ${PAGES_MAX * PAGE_LIMIT_MAX} entries: narrow it down, with --channel for example.`,
  );
}
