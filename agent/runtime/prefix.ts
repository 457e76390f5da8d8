import type { TrafficSelector } from "../ipsec/traffic-selector.ts";
import { addressToBigInt, bigIntToAddress, formatAddress, parseAddress } from "../wire/address.ts";

/** An IP network: all addresses from `start` to `end`. */
export interface Prefix {
  readonly family: 4 | 6;
  readonly start: bigint;
  readonly end: bigint;
  readonly length: number;
  /** False when the text had bits set behind the prefix length. */
  readonly isCanonical: boolean;
}

/** Reads `10.1.0.0/24` or `2001:db8::/32`; null when it is neither. */
export function parsePrefix(text: string): Prefix | null {
  const match = /^([^/]+)\/([0-9]{1,3})$/.exec(text);
  if (match === null) return null;
  const octets = parseAddress(match[1]!);
  const length = Number(match[2]);
  if (octets === null || length > octets.length * 8) return null;
  const hostBits = BigInt(octets.length * 8 - length);
  const address = addressToBigInt(octets);
  const start = (address >> hostBits) << hostBits;
  return {
    family: octets.length === 4 ? 4 : 6,
    start,
    end: start + (1n << hostBits) - 1n,
    length,
    isCanonical: start === address,
  };
}

/** The prefix as text, host bits cleared. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(bigIntToAddress(prefix.start, prefix.family))}/${prefix.length}`;
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && a.start <= b.end && b.start <= a.end;
}

/** Whether every address of `inner` is in `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  return outer.family === inner.family && outer.start <= inner.start && inner.end <= outer.end;
}

/** The host itself as a prefix; null when `text` is no address. */
export function hostPrefix(text: string): Prefix | null {
  const octets = parseAddress(text);
  if (octets === null) return null;
  return parsePrefix(`${text}/${octets.length * 8}`);
}

/** All protocols and ports of a network. */
export function toSelector(prefix: Prefix): TrafficSelector {
  return { family: prefix.family, ipProtocol: 0, startPort: 0, endPort: 65_535, startAddress: prefix.start, endAddress: prefix.end };
}

/** `10.1.0.0/24`, or `10.1.0.5-10.1.0.9` where the range is no prefix; protocol and ports follow in brackets where they are limited. */
export function formatSelector(selector: TrafficSelector): string {
  const bits = selector.family === 4 ? 32 : 128;
  const size = selector.endAddress - selector.startAddress + 1n;
  const hostBits = size > 0n ? size.toString(2).length - 1 : 0;
  const isPrefix = size > 0n && 1n << BigInt(hostBits) === size && selector.startAddress % size === 0n;
  const start = formatAddress(bigIntToAddress(selector.startAddress, selector.family));
  const range = isPrefix ? `${start}/${bits - hostBits}` : `${start}-${formatAddress(bigIntToAddress(selector.endAddress, selector.family))}`;
  const isAnyPort = selector.startPort === 0 && selector.endPort === 65_535;
  if (selector.ipProtocol === 0 && isAnyPort) return range;
  return `${range}[${selector.ipProtocol}/${isAnyPort ? "any" : `${selector.startPort}-${selector.endPort}`}]`;
}
