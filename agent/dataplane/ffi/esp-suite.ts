import { type CipherSpec, cipherForKey } from "../../crypto/encr.ts";
import { findInteg, type IntegSpec } from "../../crypto/integ.ts";
import type { SaKeys } from "../../crypto/sa-keys.ts";
import type { Arena } from "./arena.ts";

/** What packets of an SA look like (RFC 4303 §2), in octets. */
export interface EspShape {
  readonly ivOctets: number;
  readonly icvOctets: number;
  /** What payload, padding and trailer must be a multiple of. */
  readonly alignment: number;
}

/** What all SAs of the same algorithms have in common: one object. */
export interface EspSuite extends EspShape {
  readonly cipher: CipherSpec;
  readonly integ: IntegSpec | null;
  readonly kind: "aead" | "cbc" | "ctr";
  readonly extended: boolean;
  readonly saltOctets: number;
  /** CCM authenticates the length first (RFC 3610 §2.2): EVP must be told before the data, and the ICV's length before the key. */
  readonly declaresLength: boolean;
}

const suites = new Map<string, EspSuite>();

/** @throws Error with a sentence when the TUN plane has no such algorithm. */
export function suiteOf(keys: SaKeys, extended: boolean): EspSuite {
  const name = `${keys.encr} ${keys.encryptionKey.length} ${keys.salt.length} ${keys.integ} ${extended}`;
  const known = suites.get(name);
  if (known !== undefined) return known;
  const cipher = cipherForKey(keys.encr, keys.encryptionKey.length);
  if (cipher === undefined) throw new Error(`the TUN plane has no ESP cipher with the number ${keys.encr}`);
  const kind = cipher.icvOctets > 0 ? "aead" : cipher.kind === "cbc" ? "cbc" : "ctr";
  const integ = (kind === "aead" ? undefined : findInteg(keys.integ)) ?? null;
  if (kind !== "aead" && integ === null) throw new Error(`${cipher.keyword} needs an integrity algorithm that the TUN plane has`);
  const made: EspSuite = {
    cipher,
    integ,
    kind,
    extended,
    ivOctets: cipher.ivOctets,
    icvOctets: integ?.icvOctets ?? cipher.icvOctets,
    alignment: Math.max(4, cipher.blockOctets),
    saltOctets: keys.salt.length,
    declaresLength: cipher.kind === "ccm",
  };
  suites.set(name, made);
  return made;
}

/** A payload has at least the pad length and the next header, and CBC whole blocks. */
export function isPossibleContent({ kind }: EspSuite, octets: number): boolean {
  return octets >= 2 && octets % (kind === "cbc" ? 16 : 1) === 0;
}

/** SPI and sequence number of the packet at `start`, the high bits between them with ESN (RFC 4106 §5). */
export function writeAad({ view }: Arena, { extended }: EspSuite, aad: number, start: number, sequenceHigh: number): void {
  view.setInt32(aad, view.getInt32(start));
  if (extended) view.setInt32(aad + 4, sequenceHigh | 0);
  view.setInt32(aad + (extended ? 8 : 4), view.getInt32(start + 4));
}

/** Counter modes take the sequence number, which never repeats under a key. */
export function writeCounterIv({ view }: Arena, ivAt: number, sequence: number, sequenceHigh: number): void {
  view.setInt32(ivAt, sequenceHigh | 0);
  view.setInt32(ivAt + 4, sequence | 0);
}
