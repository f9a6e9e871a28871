/** Values that are alike share one number. The first of each form stands for all of them. */
export class Interned<T> {
  readonly #ids = new Map<string, number>();
  readonly #values: T[] = [];
  readonly #formOf: (value: T) => string;

  constructor(formOf: (value: T) => string) {
    this.#formOf = formOf;
  }

  get size(): number {
    return this.#values.length;
  }

  id(value: T): number {
    const key = this.#formOf(value);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#values.length;
    this.#ids.set(key, id);
    this.#values.push(value);
    return id;
  }

  of(id: number): T {
    const value = this.#values[id];
    if (value === undefined) throw new Error(`nothing has the number ${id}`);
    return value;
  }
}
