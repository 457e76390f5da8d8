import { readTime } from "./certificate.ts";
import { CryptoError } from "./crypto-error.ts";
import { DerTag, derElements, type DerSubject, oidText } from "./der.ts";
import { DerCursor } from "./der-cursor.ts";

/*
 * The entries of a revocation list, RFC 5280 §5.1.2.6 and §5.3. A large list has a hundred thousand, and IKE waits while they are read. So
 * they stay the octets that they are: one pass, with pauses, checks them and notes where each lies, in chains by a hash of the serial
 * number. It takes the same time for every list of a length, whatever serial numbers somebody has chosen.
 */

export interface Revocation {
  readonly at: Date;
  /** `keyCompromise` and others of RFC 5280 §5.3.1; null: not given. */
  readonly reason: string | null;
}

/** Two headers, a serial number of one octet, a date. */
const SHORTEST_ENTRY = 20;
/** Half a millisecond's work, or two before the code has become warm. */
const SLICE_ENTRIES = 2_000;

/**
 * Reads `octets`, one entry after the other, which are kept as they are; pauses now and then. @throws CryptoError `subject.code` for what are
 * no entries, and for those of which nothing may be concluded: with a critical extension that is not understood, or of another
 * authority's certificate.
 */
export function* entriesInSlices(octets: Uint8Array, subject: DerSubject): Generator<undefined, RevokedEntries> {
  const most = Math.floor(octets.length / SHORTEST_ENTRY);
  const last = new Int32Array(2 ** Math.ceil(Math.log2(most + 1)));
  const [before, starts] = [new Int32Array(most), new Int32Array(most)];
  const entry = new EntryReader(octets, subject);
  let count = 0;
  for (let at = 0; at < octets.length; at = entry.end) {
    entry.read(at);
    const chain = hashOf(octets, entry.serialStart, entry.serialEnd) & (last.length - 1);
    starts[count] = at;
    before[count] = last[chain]!;
    count += 1;
    last[chain] = count;
    if (count % SLICE_ENTRIES === 0) yield;
  }
  return new RevokedEntries(octets, subject, { last, before: before.slice(0, count), starts: starts.slice(0, count) });
}

interface Chains {
  /** The last entry of each chain, counted from 1; 0: the chain is empty. */
  readonly last: Int32Array;
  /** For each entry: the one before it in its chain, and where it lies. */
  readonly before: Int32Array;
  readonly starts: Int32Array;
}

/** Made by `entriesInSlices`. */
export class RevokedEntries {
  readonly #octets: Uint8Array;
  readonly #subject: DerSubject;
  readonly #chains: Chains;

  constructor(octets: Uint8Array, subject: DerSubject, chains: Chains) {
    this.#octets = octets;
    this.#subject = subject;
    this.#chains = chains;
  }

  get size(): number {
    return this.#chains.starts.length;
  }

  /** By the content of an INTEGER. Null: the list does not name it. */
  find(serialNumber: Uint8Array): Revocation | null {
    const octets = this.#octets;
    const { last, before, starts } = this.#chains;
    const own = serialNumber.subarray(withoutZeros(serialNumber, 0, serialNumber.length));
    const entry = new EntryReader(octets, this.#subject);
    const chain = hashOf(own, 0, own.length) & (last.length - 1);
    for (let number = last[chain]!; number !== 0; number = before[number - 1]!) {
      entry.read(starts[number - 1]!);
      if (Buffer.compare(octets.subarray(entry.serialStart, entry.serialEnd), own) !== 0) continue;
      const [date] = derElements(octets.subarray(entry.dateStart, entry.dateEnd), this.#subject);
      return { at: readTime(date!, this.#subject), reason: reasonText(entry.reason) };
    }
    return null;
  }
}

/** `removeFromCRL` (8) is of delta lists. */
const reasons: Readonly<Record<number, string>> = {
  1: "keyCompromise",
  2: "cACompromise",
  3: "affiliationChanged",
  4: "superseded",
  5: "cessationOfOperation",
  6: "certificateHold",
  9: "privilegeWithdrawn",
  10: "aACompromise",
};

/** Of a CRLReason; null for one that says nothing. */
export function reasonText(code: number | null): string | null {
  return code === null ? null : (reasons[code] ?? null);
}

/** Where the parts of one entry lie; the one reader goes from entry to entry. */
class EntryReader {
  end = 0;
  /** Without leading zeros. */
  serialStart = 0;
  serialEnd = 0;
  dateStart = 0;
  dateEnd = 0;
  reason: number | null = null;
  readonly #octets: Uint8Array;
  readonly #subject: DerSubject;
  readonly #outer: DerCursor;
  readonly #inner: DerCursor;

  constructor(octets: Uint8Array, subject: DerSubject) {
    this.#octets = octets;
    this.#subject = subject;
    this.#outer = new DerCursor(octets, subject);
    this.#inner = new DerCursor(octets, subject);
  }

  read(at: number): void {
    const outer = this.#outer;
    if (outer.read(at, this.#octets.length) !== DerTag.SEQUENCE) throw this.#unusable("is not built as it should be");
    const end = outer.end;
    this.end = end;
    if (outer.read(outer.start, end) !== DerTag.INTEGER || outer.end === outer.start) throw this.#unusable("has an entry without its serial number");
    this.serialStart = withoutZeros(this.#octets, outer.start, outer.end);
    this.serialEnd = outer.end;
    this.dateStart = outer.end;
    const kind = outer.read(outer.end, end);
    if (!isDate(this.#octets, kind, outer.start, outer.end)) throw this.#unusable("has an entry whose date cannot be read");
    this.dateEnd = outer.end;
    this.reason = null;
    if (outer.end < end) this.#readExtensions(outer.end, end);
  }

  #readExtensions(at: number, end: number): void {
    const outer = this.#outer;
    if (outer.read(at, end) !== DerTag.SEQUENCE || outer.end !== end) throw this.#unusable("has a broken extension");
    let hasReason = false;
    for (let next = outer.start; next < end; next = outer.end) {
      if (outer.read(next, end) !== DerTag.SEQUENCE) throw this.#unusable("has a broken extension");
      if (!this.#readExtension(outer.start, outer.end)) continue;
      if (hasReason) throw this.#unusable("has an entry with two reasons");
      hasReason = true;
    }
  }

  /** Whether it was the reason. */
  #readExtension(at: number, end: number): boolean {
    const [octets, field] = [this.#octets, this.#inner];
    if (field.read(at, end) !== DerTag.OBJECT_IDENTIFIER) throw this.#unusable("has a broken extension");
    const [start, stop] = [field.start, field.end];
    let kind = field.read(stop, end);
    let isCritical = false;
    if (kind === DerTag.BOOLEAN) {
      for (let flag = field.start; flag < field.end; flag++) isCritical ||= octets[flag] !== 0;
      kind = field.read(field.end, end);
    }
    if (kind !== DerTag.OCTET_STRING || field.end !== end) throw this.#unusable("has a broken extension");
    // id-ce of RFC 5280 §4.2 is 2.5.29; its extensions have one octet more.
    const ce = stop - start === 3 && octets[start] === 0x55 && octets[start + 1] === 0x1d ? octets[start + 2]! : 0;
    if (ce === CERTIFICATE_ISSUER) throw this.#unusable("is an indirect list: it names certificates of another authority");
    if (ce === REASON) {
      // ENUMERATED of one octet.
      if (field.end - field.start === 3 && octets[field.start] === 0x0a && octets[field.start + 1] === 1) this.reason = octets[field.start + 2]!;
      return true;
    }
    // RFC 5280 §5.3: then nothing may be concluded from the list.
    if (isCritical) throw this.#unusable(`has a critical extension that is not understood here (${oidText(octets.subarray(start, stop))})`);
    return false;
  }

  #unusable(what: string): CryptoError {
    return new CryptoError(this.#subject.code, `${this.#subject.what} ${what}`);
  }
}

const REASON = 21;
const CERTIFICATE_ISSUER = 29;

/** One of the two forms of RFC 5280 §5.1.2.6, with numbers that a date has: what `readTime` takes. */
function isDate(octets: Uint8Array, tag: number, start: number, end: number): boolean {
  const years = tag === DerTag.UTC_TIME ? 2 : tag === DerTag.GENERALIZED_TIME ? 4 : 0;
  if (years === 0 || end - start !== years + 11 || octets[end - 1] !== 0x5a) return false;
  for (let at = start; at < end - 1; at++) if (octets[at]! < 0x30 || octets[at]! > 0x39) return false;
  const two = (at: number): number => octets[at]! * 10 + octets[at + 1]! - 528;
  const [month, day, hour, minute, second] = [two(end - 11), two(end - 9), two(end - 7), two(end - 5), two(end - 3)];
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 59;
}

/** Where the number begins; the last octet always counts. */
function withoutZeros(octets: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end - 1 && octets[at] === 0) at += 1;
  return at;
}

/** FNV-1a. */
function hashOf(octets: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ octets[at]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
