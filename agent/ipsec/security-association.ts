import type { EspSpi } from "../wire/ikev2/message-types.ts";
import type { SaKeys } from "../crypto/sa-keys.ts";
import type { TrafficSelector } from "./traffic-selector.ts";

/** What the control plane tells a data plane to install: entries of the SAD and SPD (RFC 4301 §4.4). */

/** A UDP endpoint; `address` is a literal. */
export interface UdpEndpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * Limits of an SA (RFC 4301 §4.4.2.1): octets of inner packets, packets, seconds since it was installed. At the first soft one that is
 * reached an `expire` event is raised; at the first hard one another, and nothing passes any more. Undefined: no limit.
 */
export interface SaLifetimes {
  readonly softBytes?: number;
  readonly hardBytes?: number;
  readonly softPackets?: number;
  readonly hardPackets?: number;
  readonly softSeconds?: number;
  readonly hardSeconds?: number;
}

/** ESP (RFC 4303) or AH (RFC 4302), which never goes in UDP; AH has `Encr.NULL`, no encryption key, and an integrity algorithm. */
export type SaProtocol = "esp" | "ah";
export type SaMode = "tunnel" | "transport";

interface SaCommon extends SaLifetimes {
  /** Names the Child SA in events: chosen by the caller, the same for both directions. */
  readonly childSaId: string;
  readonly spi: EspSpi;
  readonly keys: SaKeys;
  readonly extendedSequenceNumbers: boolean;
  readonly protocol: SaProtocol;
  /** Tunnel: a whole packet is carried. Transport: what follows the IP header of a packet between these two addresses (RFC 4301 §4.1). */
  readonly mode: SaMode;
  /** The two ends: with `encapsulation` "udp" ESP in UDP between them (RFC 3948), with "none" ESP or AH between the addresses, the ports mean nothing. */
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly encapsulation: "udp" | "none";
  /** Its packets go through the plane's interface of this number, and no others: see `interfacePrefix` of a plane's capabilities. Absent: through none. */
  readonly interfaceNumber?: number;
}

export interface InboundSa extends SaCommon {
  readonly direction: "inbound";
  readonly replayWindowPackets: number;
  /** What may come out of this SA (RFC 4301 §5.2 step 4): source in `remoteSelectors`, destination in `localSelectors`. */
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
}

export interface OutboundSa extends SaCommon {
  readonly direction: "outbound";
}

/** Every SA that a policy names: the one for all workers, then those of single ones. */
export function spisOf({ action }: OutboundPolicy): EspSpi[] {
  return action.kind === "discard" ? [] : [action.spi, ...(action.workerSpis ?? []).filter((spi) => spi !== null)];
}

/** Packets between any of the local and any of the remote ones. */
export interface SelectorPair {
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
}

/** Which outbound SA takes packets between these selectors. Installing a policy under an existing id replaces it in one step. */
export interface OutboundPolicy extends SelectorPair {
  readonly id: string;
  /** What the link is for, where the peer has taken less of it: the rest is dropped, for no SA carries it. Absent: the policy's own selectors. */
  readonly claims?: SelectorPair;
  /** Of packets that a route leads into this interface alone; it is there while there is a policy for it. Absent: of those through none. */
  readonly interfaceNumber?: number;
  /**
   * `discard` while the link has no SA: nothing leaves in clear. `workerSpis`: SAs of the same selectors that one worker each sends on, of the first,
   * the second and so on (RFC 9611); a worker without one, or a plane without several workers, sends on `spi`.
   */
  readonly action: { readonly kind: "protect"; readonly spi: EspSpi; readonly workerSpis?: readonly (EspSpi | null)[] } | { readonly kind: "discard" };
}
