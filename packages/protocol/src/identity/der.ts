import { type Instant, isInstant } from "@nixwave/effects";
import { expects } from "./malformed.ts";

/**
 * Strict DER: what OpenSSL and @peculiar/x509 read leniently (BER lengths, unused bytes after the end, negative numbers) is refused
 * here, so that bytes which were signed have one reading. Only what certificates and requests of our profile contain.
 */
export interface Der {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content, as they stand in the input. */
  readonly bytes: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  printable: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Our largest certificate, with a host name of 253 characters, is below 1.5 KiB; a given CA may be a little larger. */
const DER_BYTES_MAX = 16 * 1024;
/** A certificate has about ten extensions, a server's has a few names. */
const ITEMS_MAX = 128;

function derAt(bytes: Uint8Array, at: number): Der {
  const tag = bytes[at];
  const first = bytes[at + 1];
  expects(tag !== undefined && first !== undefined, "DER ends within a tag or length");
  expects((tag & 0x1f) !== 0x1f, "DER has a tag above 30");
  if (first < 0x80) return cut(bytes, { at, tag, headerBytes: 2, length: first });
  const lengthBytes = first & 0x7f;
  expects(
    lengthBytes === 1 || lengthBytes === 2,
    "DER has a length that is indefinite or too long",
  );
  const [high = 0, low] = bytes.subarray(at + 2, at + 2 + lengthBytes);
  expects(lengthBytes === 1 || low !== undefined, "DER ends within a length");
  const length = low === undefined ? high : high * 256 + low;
  expects(
    length >= (lengthBytes === 1 ? 0x80 : 0x100),
    "DER has a length that is not the shortest",
  );
  return cut(bytes, { at, tag, headerBytes: 2 + lengthBytes, length });
}

function cut(
  bytes: Uint8Array,
  value: { at: number; tag: number; headerBytes: number; length: number },
): Der {
  const from = value.at + value.headerBytes;
  const to = from + value.length;
  expects(to <= bytes.length, "DER ends within a value");
  return {
    tag: value.tag,
    content: bytes.subarray(from, to),
    bytes: bytes.subarray(value.at, to),
  };
}

/** The one value that these bytes are; anything after it is refused. */
export function oneDer(bytes: Uint8Array, tag: number): Der {
  expects(bytes.length <= DER_BYTES_MAX, `DER has at most ${DER_BYTES_MAX} bytes here`);
  const der = derAt(bytes, 0);
  expects(der.bytes.length === bytes.length, "DER is followed by other bytes");
  return tagged(der, tag);
}

export function tagged(der: Der | undefined, tag: number): Der {
  expects(der?.tag === tag, `DER has tag ${der?.tag ?? "none"} where ${tag} was expected`);
  return der;
}

/** The values within a constructed one. */
export function derItems(der: Der | undefined, tag: number): readonly Der[] {
  const { content } = tagged(der, tag);
  const items: Der[] = [];
  for (let at = 0; at < content.length; ) {
    expects(items.length < ITEMS_MAX, `DER has more than ${ITEMS_MAX} values in one`);
    const item = derAt(content, at);
    items.push(item);
    at += item.bytes.length;
  }
  return items;
}

/** An OBJECT IDENTIFIER's content in hex: identifiers are only compared. */
export const derOid = (der: Der | undefined): string =>
  Buffer.from(tagged(der, TAG.oid).content).toString("hex");

/** A non-negative INTEGER without its sign byte. */
export function derUnsigned(der: Der | undefined): Uint8Array {
  const { content } = tagged(der, TAG.integer);
  const [first, second] = content;
  expects(first !== undefined && first < 0x80, "DER has a number that is empty or negative");
  if (first !== 0 || second === undefined) return content;
  expects(second >= 0x80, "DER has a number that is not the shortest");
  return content.subarray(1);
}

/** A BIT STRING of whole bytes. */
export function derBits(der: Der | undefined): Uint8Array {
  const { content } = tagged(der, TAG.bitString);
  expects(content[0] === 0, "DER has a bit string that is not of whole bytes");
  return content.subarray(1);
}

export function derBoolean(der: Der): boolean {
  const { content } = tagged(der, TAG.boolean);
  expects(
    content.length === 1 && (content[0] === 0 || content[0] === 0xff),
    "DER has a bad boolean",
  );
  return content[0] === 0xff;
}

const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/** UTCTime or GeneralizedTime, to the second and in UTC, as RFC 5280 has it. */
export function derInstant(der: Der | undefined): Instant {
  expects(
    der?.tag === TAG.utcTime || der?.tag === TAG.generalizedTime,
    "DER has no time where one was expected",
  );
  const text = Buffer.from(der.content).toString("latin1");
  const parts = (der.tag === TAG.utcTime ? UTC_TIME : GENERALIZED_TIME).exec(text);
  expects(parts !== null, "DER has a time that is not of UTC and whole seconds");
  const [, y = "", month = "", day = "", hour = "", minute = "", second = ""] = parts;
  // Two digits mean 1950 to 2049.
  const year = y.length === 4 ? y : `${Number(y) < 50 ? "20" : "19"}${y}`;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(iso);
  // Date.parse takes the 31st of February for the 3rd of March; writing it again shows that.
  expects(
    isInstant(ms) && new Date(ms).toISOString() === iso,
    "DER has a time that does not exist",
  );
  return ms;
}

/** Writes one value of these contents. */
export function derValue(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  const { length } = content;
  expects(length <= DER_BYTES_MAX, `DER has at most ${DER_BYTES_MAX} bytes here`);
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}

/** A non-negative INTEGER of big-endian bytes, in its shortest form. */
export function derInteger(unsigned: Uint8Array): Uint8Array {
  return derValue(TAG.integer, shortestUnsigned(unsigned));
}

/** Big-endian two's complement of a non-negative number, without needless zeros: DER's INTEGER and SSH's mpint. */
export function shortestUnsigned(unsigned: Uint8Array): Uint8Array {
  const from = unsigned.findIndex((byte) => byte !== 0);
  if (from === -1) return Buffer.from([0]);
  const short = unsigned.subarray(from);
  return (short[0] ?? 0) < 0x80 ? short : Buffer.concat([Buffer.from([0]), short]);
}
