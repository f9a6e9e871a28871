/**
 * A seeded generator (sfc32). Each purpose draws from a stream of its own, so that a fault which is taken out of a world
 * does not shift the draws of everything else: that is what makes shrinking work.
 */
export class SeededRandom {
  readonly #seed: string;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 1;

  constructor(seed: number | string, purpose = "") {
    this.#seed = `${seed}/${purpose}`;
    [this.#a, this.#b, this.#c, this.#d] = words(this.#seed);
    for (let warmUp = 0; warmUp < 12; warmUp += 1) this.#next();
  }

  /** Independent of how much this one has drawn. */
  stream(purpose: string): SeededRandom {
    return new SeededRandom(this.#seed, purpose);
  }

  /** From 0 up to but not including 1. */
  unit(): number {
    return this.#next() / 0x1_0000_0000;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.unit() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(from: readonly T[]): T {
    const found = from[Math.floor(this.unit() * from.length)];
    if (found === undefined) throw new Error("nothing can be picked from an empty list");
    return found;
  }

  /** `count` of them in random order, or all if there are fewer. */
  some<T>(from: readonly T[], count: number): readonly T[] {
    const left = [...from];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0)
      taken.push(...left.splice(Math.floor(this.unit() * left.length), 1));
    return taken;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#next() >>> 24);
  }

  hex(bytes: number): string {
    return Array.from({ length: bytes }, () =>
      (this.#next() >>> 24).toString(16).padStart(2, "0"),
    ).join("");
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }
}

/** Four words out of a text (cyrb128): near texts give far words. */
function words(text: string): [number, number, number, number] {
  let [a, b, c, d] = [1_779_033_703, 3_144_134_277, 1_013_904_242, 2_773_480_762];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = b ^ Math.imul(a ^ code, 597_399_067);
    b = c ^ Math.imul(b ^ code, 2_869_860_233);
    c = d ^ Math.imul(c ^ code, 951_274_213);
    d = a ^ Math.imul(d ^ code, 2_716_044_179);
  }
  a = Math.imul(c ^ (a >>> 18), 597_399_067);
  b = Math.imul(d ^ (b >>> 22), 2_869_860_233);
  c = Math.imul(a ^ (c >>> 17), 951_274_213);
  d = Math.imul(b ^ (d >>> 19), 2_716_044_179);
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a];
}
