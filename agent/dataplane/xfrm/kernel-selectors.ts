import { hasAnyPort, type TrafficSelector } from "../../ipsec/traffic-selector.ts";
import { bigIntToAddress, formatAddress } from "../../wire/address.ts";
import type { KernelSelector } from "./xfrm-structures.ts";

/*
 * From the selectors of IKE, which are ranges, to those of the kernel, which are prefixes and masked ports: a pair of ranges becomes as many
 * selectors as it takes prefixes to fill both.
 */
const ICMP = [1, 58];
/** A child with more is refused: each is a policy in three directions. */
const MAX_SELECTORS = 1_024;

/**
 * Of packets that go out, from the local to the remote selectors; `ifId`: through this interface, 0: through none. @throws Error with a sentence for what
 * the kernel cannot express.
 */
export function outboundSelectors(local: readonly TrafficSelector[], remote: readonly TrafficSelector[], ifId = 0): KernelSelector[] {
  const pairs = local.flatMap((from) => remote.flatMap((to) => pairSelectors(from, to)));
  const selectors = ifId === 0 ? pairs : pairs.map((selector) => ({ ...selector, ifId }));
  if (selectors.length > MAX_SELECTORS)
    throw new Error(
      `the kernel plane would need ${selectors.length} policies for these selectors and makes at most ${MAX_SELECTORS}: use prefixes in place of ranges`,
    );
  return selectors;
}

function pairSelectors(from: TrafficSelector, to: TrafficSelector): KernelSelector[] {
  if (from.family !== to.family || (from.ipProtocol !== 0 && to.ipProtocol !== 0 && from.ipProtocol !== to.ipProtocol)) return [];
  const protocol = from.ipProtocol === 0 ? to.ipProtocol : from.ipProtocol;
  for (const { startPort, endPort } of [from, to]) if (startPort > endPort) throw new Error("the kernel plane has no selectors of OPAQUE ports");
  if (ICMP.includes(protocol) && !(hasAnyPort(from) && hasAnyPort(to))) throw new Error("the kernel plane has no selectors of ICMP types");
  const selectors: KernelSelector[] = [];
  for (const source of prefixesOf(from))
    for (const destination of prefixesOf(to))
      for (const sourcePort of portMasks(from))
        for (const destinationPort of portMasks(to))
          selectors.push({
            family: from.family,
            source: source.address,
            sourcePrefix: source.length,
            destination: destination.address,
            destinationPrefix: destination.length,
            protocol,
            sourcePort: sourcePort.port,
            sourcePortMask: sourcePort.mask,
            destinationPort: destinationPort.port,
            destinationPortMask: destinationPort.mask,
          });
  return selectors;
}

/** The fewest prefixes that fill a range exactly. */
export function prefixesOf({ family, startAddress, endAddress }: TrafficSelector): { readonly address: string; readonly length: number }[] {
  const bits = family === 4 ? 32 : 128;
  return blocksOf(startAddress, endAddress, bits).map(({ start, freeBits }) => ({
    address: formatAddress(bigIntToAddress(start, family)),
    length: bits - freeBits,
  }));
}

/** The fewest masked ports that fill a range exactly; any port has a mask of 0. */
export function portMasks({ startPort, endPort }: Pick<TrafficSelector, "startPort" | "endPort">): { readonly port: number; readonly mask: number }[] {
  return blocksOf(BigInt(startPort), BigInt(endPort), 16).map(({ start, freeBits }) => ({ port: Number(start), mask: (0xffff << freeBits) & 0xffff }));
}

/** Aligned blocks of powers of two, each the largest that begins where the one before ends. */
function blocksOf(first: bigint, last: bigint, bits: number): { readonly start: bigint; readonly freeBits: number }[] {
  const blocks: { start: bigint; freeBits: number }[] = [];
  for (let start = first; start <= last; ) {
    let freeBits = 0;
    while (freeBits < bits && start % (2n << BigInt(freeBits)) === 0n && start + (2n << BigInt(freeBits)) - 1n <= last) freeBits++;
    blocks.push({ start, freeBits });
    start += 1n << BigInt(freeBits);
  }
  return blocks;
}

/**
 * Packets that must pass as they are although a selector matches them: those of a local network to itself, when the remote selector is a wider
 * one, as 0.0.0.0/0 is. Routes would keep them inside; policies come after routes.
 */
export function localExceptions(local: readonly TrafficSelector[], remote: readonly TrafficSelector[]): KernelSelector[] {
  return local.filter((from) => remote.some((to) => isStrictlyWithin(from, to))).flatMap((from) => pairSelectors(allOf(from), allOf(from)));
}

function isStrictlyWithin(inner: TrafficSelector, outer: TrafficSelector): boolean {
  const isWithin = inner.family === outer.family && outer.startAddress <= inner.startAddress && inner.endAddress <= outer.endAddress;
  return isWithin && (outer.startAddress !== inner.startAddress || outer.endAddress !== inner.endAddress);
}

function allOf(selector: TrafficSelector): TrafficSelector {
  return { ...selector, ipProtocol: 0, startPort: 0, endPort: 65_535 };
}

/** The longer the remote prefix the earlier, then the local one, then a protocol, then a port; `isException` goes before its like. */
export function priorityOf(selector: KernelSelector, isException: boolean): number {
  const { destinationPrefix, sourcePrefix, protocol, sourcePortMask, destinationPortMask } = selector;
  const width = (128 - destinationPrefix) * 1_024 + (128 - sourcePrefix) * 8 + (protocol === 0 ? 4 : 0) + (sourcePortMask + destinationPortMask === 0 ? 2 : 0);
  return 0x1_0000 + width - (isException ? 1 : 0);
}

/** Behind all that protects or excepts: what is refused may overlap it in any way. */
export function refusalPriorityOf(selector: KernelSelector): number {
  return 0x4_0000 + priorityOf(selector, false);
}
