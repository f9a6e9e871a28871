/** A binary heap: the least first. `upTo` looks without taking, because a plan may not change its fleet. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | null {
    return this.#items[0] ?? null;
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = items[up];
      if (parent === undefined || !this.#before(item, parent)) break;
      items[at] = parent;
      at = up;
    }
    items[at] = item;
  }

  pop(): T | null {
    const items = this.#items;
    const least = items[0];
    const last = items.pop();
    if (least === undefined || last === undefined) return null;
    if (items.length > 0) this.#sink(last);
    return least;
  }

  /** Every item for which `wanted` holds, given that what lies below an unwanted item is unwanted too. */
  upTo(wanted: (item: T) => boolean): T[] {
    const found: T[] = [];
    const open = [0];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const item = this.#items[at];
      if (item === undefined || !wanted(item)) continue;
      found.push(item);
      open.push(2 * at + 1, 2 * at + 2);
    }
    return found;
  }

  /** From the least, without taking: each step costs the logarithm of the steps so far, not of the size. */
  *inOrder(): Generator<T, undefined> {
    const first = this.#items[0];
    if (first === undefined) return;
    const next = new Heap<{ readonly at: number; readonly item: T }>((a, b) =>
      this.#before(a.item, b.item),
    );
    next.push({ at: 0, item: first });
    for (let least = next.pop(); least !== null; least = next.pop()) {
      for (const at of [2 * least.at + 1, 2 * least.at + 2]) {
        const item = this.#items[at];
        if (item !== undefined) next.push({ at, item });
      }
      yield least.item;
    }
  }

  #sink(item: T): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = items[down];
      if (child === undefined) break;
      const right = items[down + 1];
      if (right !== undefined && this.#before(right, child)) {
        down += 1;
        child = right;
      }
      if (!this.#before(child, item)) break;
      items[at] = child;
      at = down;
    }
    items[at] = item;
  }
}
