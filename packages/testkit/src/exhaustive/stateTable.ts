/** Rows of small integers, each once, numbered in the order in which they came: millions of them without an object each. */
export class StateTable {
  readonly #width: number;
  #rows: Int32Array;
  #slots: Int32Array;
  #size = 0;

  constructor(width: number) {
    this.#width = width;
    this.#rows = new Int32Array(width * FIRST_ROWS);
    this.#slots = new Int32Array(FIRST_ROWS * 4).fill(NONE);
  }

  get size(): number {
    return this.#size;
  }

  /** The number of the row, and whether it is new. */
  add(row: readonly number[]): { readonly at: number; readonly isNew: boolean } {
    if (this.#size * 2 > this.#slots.length) this.#rehash();
    const slot = this.#slotOf(row);
    const known = this.#slots[slot] ?? NONE;
    if (known !== NONE) return { at: known, isNew: false };
    const at = this.#size;
    if ((at + 1) * this.#width > this.#rows.length) this.#grow();
    this.#rows.set(row, at * this.#width);
    this.#slots[slot] = at;
    this.#size += 1;
    return { at, isNew: true };
  }

  row(at: number): readonly number[] {
    return Array.from(this.#rows.subarray(at * this.#width, (at + 1) * this.#width));
  }

  #slotOf(row: ArrayLike<number>): number {
    const mask = this.#slots.length - 1;
    let slot = hash(row) & mask;
    for (;;) {
      const at = this.#slots[slot] ?? NONE;
      if (at === NONE || this.#equals(at, row)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(at: number, row: ArrayLike<number>): boolean {
    const from = at * this.#width;
    for (let i = 0; i < this.#width; i += 1) if (this.#rows[from + i] !== row[i]) return false;
    return true;
  }

  #grow(): void {
    const rows = new Int32Array(this.#rows.length * 2);
    rows.set(this.#rows);
    this.#rows = rows;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(NONE);
    for (let at = 0; at < this.#size; at += 1) {
      const row = this.#rows.subarray(at * this.#width, (at + 1) * this.#width);
      this.#slots[this.#slotOf(row)] = at;
    }
  }
}

const FIRST_ROWS = 1 << 12;
const NONE = -1;

function hash(row: ArrayLike<number>): number {
  let mixed = 0x811c9dc5;
  for (let i = 0; i < row.length; i += 1) {
    mixed = Math.imul(mixed ^ (row[i] ?? 0), 0x9e3779b1);
    mixed ^= mixed >>> 15;
  }
  return mixed >>> 0;
}
