import { CryptoError, type CryptoErrorCode } from "./crypto-error.ts";

/** The distinguished encoding (X.690 §10) as far as names and certificates need it: tags of one octet, definite lengths. */

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
}

export const DerTag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OBJECT_IDENTIFIER: 0x06,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** What an error is called and what it says is broken: `the distinguished name`. */
export interface DerSubject {
  readonly code: CryptoErrorCode;
  readonly what: string;
}

/** The elements that fill these octets, as views. @throws CryptoError `subject.code` where a length is impossible or goes beyond the end. */
export function derElements(octets: Uint8Array, subject: DerSubject): DerElement[] {
  const out: DerElement[] = [];
  for (let at = 0; at < octets.length; ) {
    let length = octets[at + 1] ?? 0;
    let start = at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      // Three octets are 16 MB, beyond anything that a message can carry.
      if (count === 0 || count > 3) throw new CryptoError(subject.code, `${subject.what} has an impossible length`);
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (octets[start++] ?? 0);
    }
    const end = start + length;
    if (end > octets.length) throw new CryptoError(subject.code, `${subject.what} ends early`);
    out.push({ tag: octets[at]!, content: octets.subarray(start, end), whole: octets.subarray(at, end) });
    at = end;
  }
  return out;
}

/** The elements of the only element that these octets are. @throws CryptoError when it is of another tag or not the only one. */
export function derChildren(octets: Uint8Array, tag: number, subject: DerSubject): DerElement[] {
  const [only, ...rest] = derElements(octets, subject);
  if (only?.tag !== tag || rest.length > 0) throw new CryptoError(subject.code, `${subject.what} is not built as it should be`);
  return derElements(only.content, subject);
}

/** `2.5.29.17` for the content of an OBJECT IDENTIFIER; `#` and hexadecimal for one that cannot be written so. */
export function oidText(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of content) {
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) return `#${Buffer.from(content).toString("hex")}`;
    if (octet >= 0x80) continue;
    if (arcs.length > 0) arcs.push(arc);
    else if (arc < 80) arcs.push(Math.floor(arc / 40), arc % 40);
    else arcs.push(2, arc - 80);
    arc = 0;
  }
  return arcs.join(".");
}

/** What a BIT STRING of whole octets holds, as signatures and keys are. @throws CryptoError `subject.code` for any other. */
export function wholeBits({ tag, content }: DerElement, subject: DerSubject): Uint8Array {
  if (tag !== DerTag.BIT_STRING || content[0] !== 0) throw new CryptoError(subject.code, `${subject.what} is not built as it should be`);
  return content.subarray(1);
}

/** One element with these parts as its content, 16 MB at most. */
export function derElement(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const octets = length < 0x100 ? [length] : length < 0x1_0000 ? [length >> 8, length & 0xff] : [length >> 16, (length >> 8) & 0xff, length & 0xff];
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | octets.length, ...octets];
  return new Uint8Array(Buffer.concat([Uint8Array.from(header), ...parts]));
}
