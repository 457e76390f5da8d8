import { TrafficSelectorType } from "../wire/iana.ts";
import { addressToBigInt, bigIntToAddress, formatAddress, parseAddress } from "../wire/address.ts";
import type { WireTrafficSelector } from "../wire/ikev2/message-types.ts";

/**
 * A traffic selector (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1): inclusive ranges of addresses and ports of one IP protocol.
 * Addresses are bigint so that IPv4 and IPv6 share one arithmetic; `family` keeps them apart. Start port 65535 with end port 0
 * is OPAQUE: packets whose ports cannot be seen.
 */
export interface TrafficSelector {
  readonly family: 4 | 6;
  /** 0: any protocol. */
  readonly ipProtocol: number;
  readonly startPort: number;
  readonly endPort: number;
  readonly startAddress: bigint;
  readonly endAddress: bigint;
}

const ANY_PORT = { startPort: 0, endPort: 65535 } as const;
const OPAQUE_PORT = { startPort: 65535, endPort: 0 } as const;
const PROTOCOL_NAMES: Readonly<Record<string, number>> = { any: 0, icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 };

/**
 * All traffic of a prefix such as `10.0.0.0/24`, or of one address. Throws RangeError with a sentence when it is malformed or
 * has host bits set: whoever typed 10.0.0.1/24 may have meant either.
 */
export function fromPrefix(text: string): TrafficSelector {
  return { ...addressRange(text), ipProtocol: 0, ...ANY_PORT };
}

/**
 * A prefix, an address or a range `10.0.0.5-10.0.0.9`, with an optional `[protocol]` or `[protocol/port]`: a name or number,
 * then a port, a range `80-90` or `opaque`. Throws RangeError with a sentence.
 */
export function parseSelector(text: string): TrafficSelector {
  const match = /^([^[\]]+)(?:\[([^[\]/]+)(?:\/([^[\]/]+))?\])?$/.exec(text);
  if (match === null) throw new RangeError(`"${text}" is not a traffic selector such as 10.0.0.0/24[tcp/80].`);
  const [, addresses, protocol, ports] = match;
  return {
    ...addressRange(addresses!),
    ipProtocol: protocol === undefined ? 0 : protocolNumber(protocol),
    ...(ports === undefined ? ANY_PORT : portRange(ports)),
  };
}

/** What `parseSelector` reads; a prefix where the range is one. */
export function formatSelector(selector: TrafficSelector): string {
  const { family, ipProtocol } = selector;
  const start = formatAddress(bigIntToAddress(selector.startAddress, family));
  const end = formatAddress(bigIntToAddress(selector.endAddress, family));
  const addresses = toPrefix(selector) ?? `${start}-${end}`;
  if (ipProtocol === 0 && hasAnyPort(selector)) return addresses;
  const name = Object.entries(PROTOCOL_NAMES).find(([, number]) => number === ipProtocol)?.[0] ?? String(ipProtocol);
  if (hasAnyPort(selector)) return `${addresses}[${name}]`;
  return `${addresses}[${name}/${formatPorts(selector)}]`;
}

/** The addresses as a prefix, whatever protocol and ports; null when the range is not one prefix. */
export function toPrefix(selector: TrafficSelector): string | null {
  const { family, startAddress, endAddress } = selector;
  const size = endAddress - startAddress + 1n;
  const isPowerOfTwo = (size & (size - 1n)) === 0n;
  if (!isPowerOfTwo || startAddress % size !== 0n) return null;
  const hostBits = size.toString(2).length - 1;
  return `${formatAddress(bigIntToAddress(startAddress, family))}/${bitsOf(family) - hostBits}`;
}

/** New address arrays. */
export function toWire(selector: TrafficSelector): WireTrafficSelector {
  const { family, ipProtocol, startPort, endPort } = selector;
  return {
    type: family === 4 ? TrafficSelectorType.IPV4_ADDR_RANGE : TrafficSelectorType.IPV6_ADDR_RANGE,
    ipProtocol,
    startPort,
    endPort,
    startAddress: bigIntToAddress(selector.startAddress, family),
    endAddress: bigIntToAddress(selector.endAddress, family),
  };
}

/** Null for a selector type we do not know: it can match nothing of ours (RFC 7296 §2.9 narrows it away). */
export function fromWire(wire: WireTrafficSelector): TrafficSelector | null {
  const family = familyOf(wire.type);
  if (family === null) return null;
  const { ipProtocol, startPort, endPort } = wire;
  return { family, ipProtocol, startPort, endPort, startAddress: addressToBigInt(wire.startAddress), endAddress: addressToBigInt(wire.endAddress) };
}

/** The traffic that both match, or null when there is none. */
export function intersect(a: TrafficSelector, b: TrafficSelector): TrafficSelector | null {
  if (a.family !== b.family) return null;
  if (a.ipProtocol !== 0 && b.ipProtocol !== 0 && a.ipProtocol !== b.ipProtocol) return null;
  const ports = intersectPorts(a, b);
  const startAddress = a.startAddress > b.startAddress ? a.startAddress : b.startAddress;
  const endAddress = a.endAddress < b.endAddress ? a.endAddress : b.endAddress;
  if (ports === null || startAddress > endAddress) return null;
  return { family: a.family, ipProtocol: a.ipProtocol === 0 ? b.ipProtocol : a.ipProtocol, ...ports, startAddress, endAddress };
}

/**
 * RFC 7296 §2.9: the part of the offer that our policy allows, in the order of the offer (so that what the initiator put first,
 * its packet's own selector, stays first), without selectors that another one covers. Empty: TS_UNACCEPTABLE.
 */
export function narrow(offered: readonly TrafficSelector[], allowed: readonly TrafficSelector[]): TrafficSelector[] {
  const common: TrafficSelector[] = [];
  for (const offer of offered) {
    for (const policy of allowed) {
      const both = intersect(offer, policy);
      if (both !== null) common.push(both);
    }
  }
  const narrowed = common.filter((selector, index) =>
    common.every((other, at) => at === index || !contains(other, selector) || (equal(other, selector) && at > index)),
  );
  // They live as long as the Child SA: a copy has no room to grow.
  return narrowed.slice();
}

/** Whether all traffic of `inner` is traffic of `outer`. */
export function contains(outer: TrafficSelector, inner: TrafficSelector): boolean {
  const both = intersect(outer, inner);
  return both !== null && equal(both, inner);
}

export function equal(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.family === b.family &&
    a.ipProtocol === b.ipProtocol &&
    a.startPort === b.startPort &&
    a.endPort === b.endPort &&
    a.startAddress === b.startAddress &&
    a.endAddress === b.endAddress
  );
}

/** Whether both lists hold the same selectors, in any order. */
export function equalLists(a: readonly TrafficSelector[], b: readonly TrafficSelector[]): boolean {
  return a.every((one) => b.some((other) => equal(one, other))) && b.every((one) => a.some((other) => equal(one, other)));
}

export function hasAnyPort(selector: Pick<TrafficSelector, "startPort" | "endPort">): boolean {
  return selector.startPort === 0 && selector.endPort === 65535;
}

/** RFC 4301 §4.4.1.1: OPAQUE meets ANY and itself, and no range of real ports. */
function intersectPorts(a: TrafficSelector, b: TrafficSelector): Pick<TrafficSelector, "startPort" | "endPort"> | null {
  if (isOpaque(a) || isOpaque(b)) {
    const other = isOpaque(a) ? b : a;
    return isOpaque(other) || hasAnyPort(other) ? OPAQUE_PORT : null;
  }
  const startPort = Math.max(a.startPort, b.startPort);
  const endPort = Math.min(a.endPort, b.endPort);
  return startPort > endPort ? null : { startPort, endPort };
}

function isOpaque(selector: TrafficSelector): boolean {
  return selector.startPort > selector.endPort;
}

function addressRange(text: string): Pick<TrafficSelector, "family" | "startAddress" | "endAddress"> {
  const dash = text.indexOf("-");
  if (dash !== -1) return rangeBetween(text.slice(0, dash), text.slice(dash + 1), text);
  const slash = text.indexOf("/");
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (address === null) throw new RangeError(`"${text}" is not an IPv4 or IPv6 prefix.`);
  const family = address.length === 4 ? 4 : 6;
  const lengthText = slash === -1 ? String(bitsOf(family)) : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText) || Number(lengthText) > bitsOf(family)) {
    throw new RangeError(`"${text}" has no prefix length between 0 and ${bitsOf(family)}.`);
  }
  const size = 1n << BigInt(bitsOf(family) - Number(lengthText));
  const startAddress = addressToBigInt(address);
  if (startAddress % size !== 0n) {
    const network = formatAddress(bigIntToAddress(startAddress - (startAddress % size), family));
    throw new RangeError(`"${text}" has bits set behind its prefix; the network is ${network}/${lengthText}.`);
  }
  return { family, startAddress, endAddress: startAddress + size - 1n };
}

function rangeBetween(startText: string, endText: string, text: string): Pick<TrafficSelector, "family" | "startAddress" | "endAddress"> {
  const start = parseAddress(startText);
  const end = parseAddress(endText);
  if (start === null || end === null || start.length !== end.length) throw new RangeError(`"${text}" is not a range of addresses of one family.`);
  const startAddress = addressToBigInt(start);
  const endAddress = addressToBigInt(end);
  if (startAddress > endAddress) throw new RangeError(`"${text}" ends before it starts.`);
  return { family: start.length === 4 ? 4 : 6, startAddress, endAddress };
}

function protocolNumber(text: string): number {
  if (Object.hasOwn(PROTOCOL_NAMES, text)) return PROTOCOL_NAMES[text]!;
  if (!/^[0-9]{1,3}$/.test(text) || Number(text) > 255) throw new RangeError(`"${text}" is not an IP protocol.`);
  return Number(text);
}

function portRange(text: string): Pick<TrafficSelector, "startPort" | "endPort"> {
  if (text === "opaque") return OPAQUE_PORT;
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  const startPort = Number(match?.[1]);
  const endPort = Number(match?.[2] ?? match?.[1]);
  if (match === null || endPort > 65535 || startPort > endPort) throw new RangeError(`"${text}" is not a port or a range of ports.`);
  return { startPort, endPort };
}

function formatPorts(selector: TrafficSelector): string {
  if (isOpaque(selector)) return "opaque";
  return selector.startPort === selector.endPort ? String(selector.startPort) : `${selector.startPort}-${selector.endPort}`;
}

function bitsOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function familyOf(type: number): 4 | 6 | null {
  if (type === TrafficSelectorType.IPV4_ADDR_RANGE) return 4;
  if (type === TrafficSelectorType.IPV6_ADDR_RANGE) return 6;
  return null;
}
