/** Steps between numbered states: as many as memory holds, eight bytes each. */
export class Steps {
  #from = new Int32Array(FIRST);
  #to = new Int32Array(FIRST);
  #size = 0;

  add(from: number, to: number): void {
    if (this.#size === this.#from.length) {
      this.#from = doubled(this.#from);
      this.#to = doubled(this.#to);
    }
    this.#from[this.#size] = from;
    this.#to[this.#size] = to;
    this.#size += 1;
  }

  /**
   * The first of `states` from which no end is to be reached, or null. A search for deadlocks sees a world that stands still;
   * this one also sees a world that goes round for ever, with no way out but a fault or a person.
   */
  firstWithoutEnd(states: number, ends: readonly number[]): number | null {
    const starts = new Int32Array(states + 1);
    for (let at = 0; at < this.#size; at += 1) bump(starts, (this.#to[at] ?? 0) + 1);
    for (let at = 1; at <= states; at += 1) starts[at] = (starts[at] ?? 0) + (starts[at - 1] ?? 0);
    const next = starts.slice();
    const before = new Int32Array(this.#size);
    for (let at = 0; at < this.#size; at += 1) {
      const to = this.#to[at] ?? 0;
      before[next[to] ?? 0] = this.#from[at] ?? 0;
      bump(next, to);
    }
    const ending = new Uint8Array(states);
    const open = [...ends];
    for (const end of ends) ending[end] = 1;
    for (let to = open.pop(); to !== undefined; to = open.pop())
      for (let at = starts[to] ?? 0; at < (starts[to + 1] ?? 0); at += 1) {
        const from = before[at] ?? 0;
        if (ending[from] === 1) continue;
        ending[from] = 1;
        open.push(from);
      }
    const found = ending.indexOf(0);
    return found === -1 ? null : found;
  }
}

const FIRST = 1 << 14;

function doubled(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

function bump(counts: Int32Array, at: number): void {
  counts[at] = (counts[at] ?? 0) + 1;
}
