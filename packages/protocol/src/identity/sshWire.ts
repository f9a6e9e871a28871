import { shortestUnsigned } from "./der.ts";
import { expects } from "./malformed.ts";

/** Larger than any key or signature of the two kinds, with a comment. */
const SSH_BYTES_MAX = 4 * 1024;

/** Reads the encoding of RFC 4251 from front to back; `ends` says that nothing may follow. */
export class SshReader {
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #what: string;

  constructor(bytes: Uint8Array, what: string) {
    expects(bytes.length <= SSH_BYTES_MAX, `${what} has at most ${SSH_BYTES_MAX} bytes`);
    this.#bytes = bytes;
    this.#what = what;
  }

  take(length: number): Uint8Array {
    const to = this.#at + length;
    expects(to <= this.#bytes.length, `${this.#what} ends too early`);
    const taken = this.#bytes.subarray(this.#at, to);
    this.#at = to;
    return taken;
  }

  uint32(): number {
    return Buffer.from(this.take(4)).readUInt32BE();
  }

  string(): Uint8Array {
    return this.take(this.uint32());
  }

  text(): string {
    return Buffer.from(this.string()).toString("latin1");
  }

  /** A non-negative mpint in its shortest form, without the sign byte. */
  unsigned(): Uint8Array {
    const bytes = this.string();
    // What is negative, padded or, for zero, not empty is longer or shorter than the shortest writing of the same bytes.
    const shortest = bytes.every((byte) => byte === 0) ? [] : shortestUnsigned(bytes);
    expects(
      Buffer.compare(Uint8Array.from(shortest), bytes) === 0,
      `${this.#what} has a number that is negative or not the shortest`,
    );
    return bytes[0] === 0 ? bytes.subarray(1) : bytes;
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  ends(): void {
    expects(this.#at === this.#bytes.length, `${this.#what} is followed by other bytes`);
  }
}

export function sshUint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function sshString(value: Uint8Array | string): Uint8Array {
  const bytes = Buffer.from(value);
  return Buffer.concat([sshUint32(bytes.length), bytes]);
}
