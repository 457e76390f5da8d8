import type { InboundSa, OutboundPolicy, OutboundSa, SaMode, SaProtocol, UdpEndpoint } from "../ipsec/security-association.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";

/**
 * Where packets are protected. The control plane says which SAs and policies exist; the plane moves the packets. One contract
 * suite (data-plane.contract.ts) runs against every implementation.
 */

export interface SaCounters {
  /** Inbound: handed to the inside. Outbound: protected, whether or not the kernel took them (`unsent`). */
  readonly packets: number;
  /** Octets of the inner packets. */
  readonly bytes: number;
  readonly drops: DropCounters;
  /** Milliseconds since 1970 of the last packet that passed; 0: none yet. */
  readonly lastUsedAt: number;
}

export interface DropCounters {
  readonly replay: number;
  readonly integrity: number;
  readonly noSa: number;
  readonly policy: number;
  readonly tooBig: number;
  readonly lifetime: number;
  readonly malformed: number;
  /** A router outside marked congestion on a packet whose sender does not understand the mark (RFC 6040 §4.2). */
  readonly congestion: number;
  /** The kernel did not take it: the inner device or the socket is full or gone. */
  readonly unsent: number;
}

export const noDrops: DropCounters = { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0, congestion: 0, unsent: 0 };

export function addDrops(a: DropCounters, b: DropCounters): DropCounters {
  return {
    replay: a.replay + b.replay,
    integrity: a.integrity + b.integrity,
    noSa: a.noSa + b.noSa,
    policy: a.policy + b.policy,
    tooBig: a.tooBig + b.tooBig,
    lifetime: a.lifetime + b.lifetime,
    malformed: a.malformed + b.malformed,
    congestion: a.congestion + b.congestion,
    unsent: a.unsent + b.unsent,
  };
}

export function addCounters(a: SaCounters, b: SaCounters): SaCounters {
  const lastUsedAt = Math.max(a.lastUsedAt, b.lastUsedAt);
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes, drops: addDrops(a.drops, b.drops), lastUsedAt };
}

export type DataPlaneEvent =
  /** An inbound SA has passed its first packet: the peer uses the new keys. */
  | { readonly kind: "firstInboundPacket"; readonly childSaId: string; readonly spi: EspSpi }
  | { readonly kind: "expire"; readonly childSaId: string; readonly spi: EspSpi; readonly hard: boolean }
  /** Authenticated traffic of an encapsulated SA arrived from another address or port (RFC 3947 §5.1). */
  | { readonly kind: "natMappingChanged"; readonly childSaId: string; readonly spi: EspSpi; readonly remote: UdpEndpoint }
  /** A packet hit a `discard` policy; at most one a second and policy. */
  | { readonly kind: "acquire"; readonly policyId: string }
  /** A direction has lost all its SAs and runs again without them; policies discard until they are told of new ones. The other direction goes on. */
  | { readonly kind: "sasLost"; readonly direction: "inbound" | "outbound"; readonly reason: string }
  /** An inner device was deleted and made again; SAs and policies are as before, its routes are gone. */
  | { readonly kind: "deviceReplaced"; readonly reason: string }
  /** One of several inner devices was deleted and cannot be made again yet: the plane goes on without it, and tries until it can. Told with each try. */
  | { readonly kind: "deviceLost"; readonly reason: string }
  /** Something of the plane's was lost and is there again: nothing has to be done. A sentence. */
  | { readonly kind: "recovered"; readonly reason: string }
  /**
   * A router says that it passes on no more than `mtu` octets of a packet of ours to `remote`, which began with `quoted` behind its UDP header (or its
   * IP header when it was plain ESP). Unauthenticated; at most a few a second.
   */
  | { readonly kind: "packetTooBig"; readonly remote: string; readonly quoted: Uint8Array; readonly mtu: number }
  /** The plane is no more: another has to be made, and everything negotiated anew. */
  | { readonly kind: "failed"; readonly reason: string };

/** An IKE message taken from, or for, the NAT-T port; the four zero octets of the non-ESP marker are already off or not yet on. */
export interface IkeDatagram {
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly bytes: Uint8Array;
}

export interface DataPlaneCapabilities {
  readonly name: string;
  /** Why this plane was chosen, in a sentence. */
  readonly reason: string;
  readonly encapsulations: readonly ("udp" | "none")[];
  /** The faster one where both are there and no NAT is. */
  readonly preferredEncapsulation: "udp" | "none";
  readonly protocols: readonly SaProtocol[];
  readonly modes: readonly SaMode[];
  readonly extendedSequenceNumbers: boolean;
  /** Threads that seal packets, each of which is best given SAs of its own. Absent: one, or as many as the kernel likes. */
  readonly outboundWorkers?: number;
  /** Threads that open packets; which of them has an SA follows from its SPI (agent/ipsec/inbound-share.ts). Absent: one, or as the kernel likes. */
  readonly inboundWorkers?: number;
  /** How packets come to it: by routes into its device, or by its policies on whatever route they take. */
  readonly steering: "device" | "policies";
  /** The plane has an interface for each link that wants one: this and a number is its name. Absent: it has none. */
  readonly interfacePrefix?: string;
}

export interface DataPlane {
  readonly capabilities: DataPlaneCapabilities;
  onEvent(listener: (event: DataPlaneEvent) => void): void;
  /** The plane owns the NAT-T port, because ESP and IKE share it. */
  onIkeDatagram(listener: (datagram: IkeDatagram) => void): void;
  /** Sends from the NAT-T port; the plane puts the non-ESP marker on. */
  sendIkeDatagram(datagram: IkeDatagram): void;
  /** Keepalive of RFC 3948 §2.3: one octet 0xff. */
  sendNatKeepalive(local: UdpEndpoint, remote: UdpEndpoint): void;
  /** Resolves when packets under this SA are taken or can be sent; rejects with a sentence when it cannot be installed. Keeps no reference to the keys: the caller erases them then. */
  installSa(sa: InboundSa | OutboundSa): Promise<void>;
  /** Moves an SA to another peer endpoint. */
  updateSa(direction: "inbound" | "outbound", spi: EspSpi, remote: UdpEndpoint): Promise<void>;
  querySa(direction: "inbound" | "outbound", spi: EspSpi): SaCounters | null;
  deleteSa(direction: "inbound" | "outbound", spi: EspSpi): Promise<void>;
  /**
   * The path to this address takes outer packets of so many octets: what is larger is answered to the inside, SAs that are installed later included. A plane
   * without it leaves that to its kernel.
   */
  setPathMtu?(remote: string, octets: number): Promise<void>;
  installPolicy(policy: OutboundPolicy): Promise<void>;
  deletePolicy(id: string): Promise<void>;
  /** Datagrams and packets that no SA could be charged with. */
  globalDrops(): DropCounters;
  /** Removes every SA and policy; the device stays. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
