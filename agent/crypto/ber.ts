import { CryptoError } from "./crypto-error.ts";
import { DerTag, type DerSubject } from "./der.ts";

/**
 * The same value with definite lengths and with octet strings in one piece: what `derElements` reads. PKCS #12 may be written in any
 * encoding of X.690 §8, and Java and NSS do write indefinite lengths. @throws CryptoError `subject.code`
 */
export function withDefiniteLengths(octets: Uint8Array, subject: DerSubject): Uint8Array {
  const { encoded, end } = readElement(octets, 0, subject, 0);
  if (end !== octets.length) throw new CryptoError(subject.code, `${subject.what} goes on after its end`);
  return encoded;
}

const deepest = 32;
const isConstructed = 0x20;

interface ReadElement {
  readonly encoded: Uint8Array;
  /** Where the next element begins. */
  readonly end: number;
}

function readElement(octets: Uint8Array, at: number, subject: DerSubject, depth: number): ReadElement {
  const tag = octets[at];
  const first = octets[at + 1];
  if (tag === undefined || first === undefined) throw new CryptoError(subject.code, `${subject.what} ends early`);
  if ((tag & 0x1f) === 0x1f || depth > deepest) throw new CryptoError(subject.code, `${subject.what} is not built as it should be`);
  if (first === 0x80) {
    if ((tag & isConstructed) === 0) throw new CryptoError(subject.code, `${subject.what} has an impossible length`);
    const { children, end } = readUntilEnd(octets, at + 2, octets.length, subject, depth);
    return { encoded: element(tag, children), end };
  }
  const { start, length } = readLength(octets, at + 1, first, subject);
  const end = start + length;
  if (end > octets.length) throw new CryptoError(subject.code, `${subject.what} ends early`);
  if ((tag & isConstructed) === 0) return { encoded: octets.subarray(at, end), end };
  const children: Uint8Array[] = [];
  for (let next = start; next < end; ) {
    const child = readElement(octets.subarray(0, end), next, subject, depth + 1);
    children.push(child.encoded);
    next = child.end;
  }
  return { encoded: element(tag, children), end };
}

/** The children of an element of indefinite length: up to two zero octets (X.690 §8.1.5). */
function readUntilEnd(octets: Uint8Array, from: number, limit: number, subject: DerSubject, depth: number): { children: Uint8Array[]; end: number } {
  const children: Uint8Array[] = [];
  for (let next = from; next < limit; ) {
    if (octets[next] === 0 && octets[next + 1] === 0) return { children, end: next + 2 };
    const child = readElement(octets, next, subject, depth + 1);
    children.push(child.encoded);
    next = child.end;
  }
  throw new CryptoError(subject.code, `${subject.what} ends early`);
}

function readLength(octets: Uint8Array, at: number, first: number, subject: DerSubject): { start: number; length: number } {
  if (first < 0x80) return { start: at + 1, length: first };
  const count = first & 0x7f;
  if (count > 3) throw new CryptoError(subject.code, `${subject.what} has an impossible length`);
  let length = 0;
  for (let i = 1; i <= count; i++) length = length * 256 + (octets[at + i] ?? 0);
  return { start: at + 1 + count, length };
}

/** An octet string in pieces becomes one (X.690 §8.7.3). */
function element(tag: number, children: readonly Uint8Array[]): Uint8Array {
  if (tag !== (DerTag.OCTET_STRING | isConstructed)) return encoded(tag, Buffer.concat(children));
  return encoded(DerTag.OCTET_STRING, Buffer.concat(children.map(contentOf)));
}

/** Of an element that this file has encoded. */
function contentOf(whole: Uint8Array): Uint8Array {
  const first = whole[1] ?? 0;
  return whole.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f));
}

function encoded(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Uint8Array.of(tag, length), content]);
  const octets = length < 0x100 ? [length] : length < 0x10000 ? [length >> 8, length & 0xff] : [length >> 16, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, 0x80 | octets.length, ...octets), content]);
}
