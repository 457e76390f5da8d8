import { bigIntToAddress } from "../wire/address.ts";
import type { IpPacketView } from "../wire/ip.ts";
import { readU32 } from "../wire/octets.ts";
import { hasAnyPort, type TrafficSelector } from "./traffic-selector.ts";

/** A selector whose addresses are octets, so that matching a packet allocates nothing. */
export interface CompiledSelector {
  readonly family: 4 | 6;
  readonly ipProtocol: number;
  readonly startPort: number;
  readonly endPort: number;
  readonly anyPort: boolean;
  readonly startAddress: Uint8Array;
  readonly endAddress: Uint8Array;
  /** The same two as numbers when the family is 4: one comparison instead of four. */
  readonly startWord: number;
  readonly endWord: number;
}

export function compileSelectors(selectors: readonly TrafficSelector[]): CompiledSelector[] {
  return selectors.map((selector) => ({
    family: selector.family,
    ipProtocol: selector.ipProtocol,
    startPort: selector.startPort,
    endPort: selector.endPort,
    anyPort: hasAnyPort(selector),
    startAddress: bigIntToAddress(selector.startAddress, selector.family),
    endAddress: bigIntToAddress(selector.endAddress, selector.family),
    startWord: selector.family === 4 ? Number(selector.startAddress) : 0,
    endWord: selector.family === 4 ? Number(selector.endAddress) : 0,
  }));
}

/**
 * Whether the packet that `view` describes in `bytes` is between these selectors: outbound its source is local, inbound its
 * destination (RFC 4301 §5.2 step 4).
 */
export function matchesPacket(
  local: readonly CompiledSelector[],
  remote: readonly CompiledSelector[],
  bytes: Uint8Array,
  view: IpPacketView,
  direction: "outbound" | "inbound",
): boolean {
  const source = direction === "outbound" ? local : remote;
  const destination = direction === "outbound" ? remote : local;
  return (
    matchesEnd(source, bytes, view.sourceOffset, view.sourcePort, view) && matchesEnd(destination, bytes, view.destinationOffset, view.destinationPort, view)
  );
}

function matchesEnd(selectors: readonly CompiledSelector[], bytes: Uint8Array, offset: number, port: number, view: IpPacketView): boolean {
  for (const selector of selectors) {
    if (
      selector.family === view.family &&
      (selector.ipProtocol === 0 || selector.ipProtocol === view.protocol) &&
      matchesPort(selector, port) &&
      isBetween(selector, bytes, offset)
    ) {
      return true;
    }
  }
  return false;
}

/** -1 is a packet without visible ports, which only ANY and OPAQUE match (RFC 4301 §4.4.1.1). */
function matchesPort(selector: CompiledSelector, port: number): boolean {
  if (selector.anyPort) return true;
  if (port === -1) return selector.startPort > selector.endPort;
  return port >= selector.startPort && port <= selector.endPort;
}

function isBetween(selector: CompiledSelector, bytes: Uint8Array, offset: number): boolean {
  if (selector.family === 4) {
    const word = readU32(bytes, offset);
    return word >= selector.startWord && word <= selector.endWord;
  }
  return compareOctets(bytes, offset, selector.startAddress) >= 0 && compareOctets(bytes, offset, selector.endAddress) <= 0;
}

function compareOctets(bytes: Uint8Array, offset: number, other: Uint8Array): number {
  for (let index = 0; index < other.length; index++) {
    const difference = bytes[offset + index]! - other[index]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
