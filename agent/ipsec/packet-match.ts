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
  /** Of family 6; of family 4 empty. */
  readonly startAddress: Uint8Array;
  readonly endAddress: Uint8Array;
  /** Of family 4 as numbers, one comparison instead of four; of family 6 both 0. */
  readonly startWord: number;
  readonly endWord: number;
}

const NO_ADDRESS = new Uint8Array(0);

export function compileSelectors(selectors: readonly TrafficSelector[]): CompiledSelector[] {
  return selectors.map((selector) => ({
    family: selector.family,
    ipProtocol: selector.ipProtocol,
    startPort: selector.startPort,
    endPort: selector.endPort,
    anyPort: hasAnyPort(selector),
    startAddress: selector.family === 6 ? bigIntToAddress(selector.startAddress, 6) : NO_ADDRESS,
    endAddress: selector.family === 6 ? bigIntToAddress(selector.endAddress, 6) : NO_ADDRESS,
    startWord: selector.family === 4 ? Number(selector.startAddress) : 0,
    endWord: selector.family === 4 ? Number(selector.endAddress) : 0,
  }));
}

/** Neither ports nor protocols matter to it. */
export function isOfAddresses({ ipProtocol, anyPort }: CompiledSelector): boolean {
  return ipProtocol === 0 && anyPort;
}

/** Two IPv4 selectors that addresses alone decide of, in four words: for those who keep them in an array of many. */
export function pairWords(local: CompiledSelector, remote: CompiledSelector): number[] {
  return [local.startWord, local.endWord, remote.startWord, remote.endWord];
}

/** Whether `pairWords` from index `at` on are for a packet with these addresses at its local and its remote end. */
export function isOfPair(words: Uint32Array, at: number, local: number, remote: number): boolean {
  return local >= words[at]! && local <= words[at + 1]! && remote >= words[at + 2]! && remote <= words[at + 3]!;
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
