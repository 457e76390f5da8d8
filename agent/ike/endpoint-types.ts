import type { InboundSa, OutboundPolicy, OutboundSa, SaMode, SaProtocol, UdpEndpoint } from "../ipsec/security-association.ts";
import type { RevocationQuery, RevocationSource } from "../crypto/revocation.ts";
import type { TracedOctets } from "./diagnosis/traced-octets.ts";
import type { TrafficSelector } from "../ipsec/traffic-selector.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";

/**
 * The outside of the IKE engine. It is sans-IO: inputs go in with the time, effects come out in the order in which they must be
 * carried out, and the next timer says when to call again. Nothing in agent/ike reads a clock, a socket or a random source of
 * its own.
 */

/** Milliseconds since 1970 for the caller; the engine only compares and subtracts. */
export type Instant = number;

export interface RandomSource {
  /** `length` octets from a cryptographic source (a seeded one in tests). */
  bytes(length: number): Uint8Array;
}

export type Identity =
  | { readonly kind: "ipv4" | "ipv6"; readonly address: string }
  | { readonly kind: "fqdn" | "email"; readonly name: string }
  /** RFC 4514 text; compared by its DER form. */
  | { readonly kind: "dn"; readonly name: string };

export type Credentials =
  | {
      readonly method: "psk";
      readonly keys: readonly { readonly id: string; readonly secret: Uint8Array }[];
      readonly use: string;
    }
  | {
      readonly method: "certificate";
      /** DER; `chain[0]` is the end-entity certificate; the private key is PKCS#8 DER. */
      readonly certificates: readonly { readonly id: string; readonly chain: readonly Uint8Array[]; readonly privateKey: Uint8Array }[];
      readonly use: string;
      readonly trustedAuthorities: readonly Uint8Array[];
      /** Absent: off. */
      readonly revocation?: RevocationPolicy;
    };

/** Whether a peer's certificate may have been revoked: not asked; refused when it is; refused as well when it cannot be found out. */
export type RevocationPolicy = "off" | "soft" | "strict";

export interface ChildConfig {
  readonly name: string;
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  /** Absent: tunnel. */
  readonly mode?: ChildMode;
}

/**
 * What is asked for and allowed (RFC 7296 §1.3.1): tunnel mode; transport mode or nothing; transport mode, or tunnel mode with a peer that does
 * not agree to it. In transport mode the selectors are the two gateways' own addresses, as each sees itself and the other.
 */
export type ChildMode = "tunnel" | "transport" | "preferTransport";

/** Proposals are keyword strings already accepted by `parseProposal`. Durations are milliseconds. */
export interface LinkConfig {
  readonly id: string;
  /** At once, when the peer does, or when a packet wants to go through it. */
  readonly initiate: "start" | "respond" | "onDemand";
  readonly localAddress: string | null;
  readonly localIdentity: Identity;
  /** Literal addresses, already resolved; empty: any peer address. */
  readonly remoteAddresses: readonly string[];
  readonly remotePort: number;
  readonly remoteIdentity: Identity;
  readonly credentials: Credentials;
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
  /** AH (RFC 4302) in place of ESP. Absent: ESP. */
  readonly ahProposals?: readonly string[];
  /** As initiator: leave the Child SA out of IKE_AUTH where the peer allows it, and make all of them afterwards (RFC 6023). Absent: no. */
  readonly childless?: boolean;
  readonly ikeRekeyMs: number;
  /** 0: never. */
  readonly reauthenticateMs: number;
  /** 0: never. */
  readonly livenessMs: number;
  /**
   * When a peer that was up is silent: begin anew at once, wait for the peer or a command, or wait for a packet as well. Absent: restart. An
   * on-demand link always waits for a packet.
   */
  readonly livenessAction?: "restart" | "clear" | "trap";
  /** While the link waits (`respond`, `onDemand`): a Child SA without a packet either way for so long is closed. Absent: none is. */
  readonly inactivityMs?: number;
  readonly childRekeyMs: number;
  readonly childRekeyBytes?: number;
  readonly childRekeyPackets?: number;
  readonly replayWindowPackets: number;
  /** Ask for UDP encapsulation although no NAT is there: for planes that have no plain ESP. */
  readonly forceEncapsulation: boolean;
  /**
   * Child SAs of the same selectors beside the one that every worker of the data plane may use, one for each worker, where the peer takes them
   * (RFC 9611). Absent: none, and none is taken.
   */
  readonly perResourceSas?: number;
  /** Routes into the plane's interface of this number steer the link's packets, where the plane has such. Absent: there is none. */
  readonly interfaceNumber?: number;
  readonly children: readonly ChildConfig[];
}

export interface EndpointOptions {
  readonly ikePort: number;
  readonly natPort: number;
  /** Half-open IKE SAs from which on a cookie is asked for (RFC 7296 §2.6), and at which new ones are dropped. */
  readonly cookieThreshold: number;
  readonly halfOpenLimit: number;
  /** First retransmission, growth, and tries: 1 s, 1.8, 5 tries gives up after about 30 s (RFC 7296 §2.4). */
  readonly retransmitFirstMs: number;
  readonly retransmitFactor: number;
  readonly retransmitTries: number;
  /** Pause before a link that failed is tried again; grows to the maximum, with jitter. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** The largest IKE message that is sent whole, in octets; absent: 1228, which fits an IPv6 path of 1280 (RFC 7383 §2.5.1). */
  readonly largestMessage?: number;
  /** Search how large a packet each peer's path takes. Absent: no. */
  readonly probesPaths?: boolean;
  /** The address that packets to this one leave from, for links that name none; null, or absent: not known. */
  readonly sourceOf?: (remoteAddress: string) => string | null;
  /** Workers of the data plane that open packets: SPIs are chosen so that the SAs of a child are spread over them. Absent: one. */
  readonly inboundWorkers?: number;
  /** What is known of revoked certificates; absent: nothing, and nobody is asked. */
  readonly revocation?: RevocationSource;
  /** What has passed through a pair of SAs, both ways; absent: nothing is known, and every SA counts as unused. */
  readonly traffic?: TrafficSource;
  /** Lifetimes are shortened by up to this share at random so that links do not rekey in step. */
  readonly rekeyJitter: number;
}

export interface TrafficSource {
  /** Packets under these two SAs since they were installed. */
  packets(inbound: EspSpi, outbound: EspSpi): number;
}

export type Input =
  | { readonly kind: "datagram"; readonly local: UdpEndpoint; readonly remote: UdpEndpoint; readonly bytes: Uint8Array }
  | { readonly kind: "timer" }
  | { readonly kind: "setLink"; readonly link: LinkConfig }
  /** Deletes the link's SAs and forgets it. */
  | { readonly kind: "removeLink"; readonly linkId: string }
  | { readonly kind: "up" | "down" | "restart" | "reauthenticate"; readonly linkId: string }
  | { readonly kind: "rekey"; readonly linkId: string; readonly what: "ike" | "child" | "all" }
  | { readonly kind: "firstInboundPacket"; readonly childSaId: string; readonly spi: EspSpi }
  | { readonly kind: "expire"; readonly childSaId: string; readonly spi: EspSpi; readonly hard: boolean }
  | { readonly kind: "natMappingChanged"; readonly childSaId: string; readonly remote: UdpEndpoint }
  /** A packet that this policy is about found no SA. */
  | { readonly kind: "acquire"; readonly policyId: string }
  /** The plane refused an `installSa`: the Child SA is deleted with the peer and the link says why. */
  | { readonly kind: "installFailed"; readonly childSaId: string; readonly reason: string }
  /** A router passes on no more than `mtu` octets of what began so behind its UDP (or IP) header; unauthenticated. */
  | { readonly kind: "packetTooBig"; readonly remote: string; readonly quoted: Uint8Array; readonly mtu: number }
  /** More is known of revoked certificates, or that an `askRevocation` was in vain. */
  | { readonly kind: "revocationChanged" }
  /** Delete everything with the peers: one DELETE for each IKE SA, then silence. */
  | { readonly kind: "shutdown" };

export type Effect =
  | {
      readonly kind: "transmit";
      readonly local: UdpEndpoint | null;
      readonly remote: UdpEndpoint;
      readonly bytes: Uint8Array;
      readonly encapsulated: boolean;
      /** A probe of the path: in one packet or not at all. */
      readonly dontFragment?: true;
    }
  /** What the path to this address takes, in octets of the outer packet. */
  | { readonly kind: "setPathMtu"; readonly remote: string; readonly octets: number }
  | { readonly kind: "natKeepalive"; readonly local: UdpEndpoint; readonly remote: UdpEndpoint }
  | { readonly kind: "installSa"; readonly sa: InboundSa | OutboundSa }
  | { readonly kind: "updateSa"; readonly direction: "inbound" | "outbound"; readonly spi: EspSpi; readonly remote: UdpEndpoint }
  | { readonly kind: "deleteSa"; readonly direction: "inbound" | "outbound"; readonly spi: EspSpi }
  | { readonly kind: "installPolicy"; readonly policy: OutboundPolicy }
  | { readonly kind: "deletePolicy"; readonly id: string }
  /** To be answered with `revocationChanged` within seconds: a handshake waits for it. Comes again while it does. */
  | { readonly kind: "askRevocation"; readonly query: RevocationQuery }
  | { readonly kind: "event"; readonly event: IkeEvent }
  | { readonly kind: "trace"; readonly entry: TraceSource };

export type IkeEvent =
  | { readonly kind: "linkUp" | "linkDown"; readonly linkId: string }
  | { readonly kind: "ikeSaEstablished" | "ikeSaRekeyed" | "ikeSaDeleted"; readonly linkId: string; readonly ikeSaId: string }
  | { readonly kind: "childSaEstablished" | "childSaRekeyed" | "childSaDeleted"; readonly linkId: string; readonly childSaId: string }
  | { readonly kind: "failed"; readonly linkId: string | null; readonly code: string; readonly sentence: string };

/** See `traceEntry` in contract/observed-state.ts: `detail` holds only JSON values and never key material. */
/**
 * One step of the trace, put into words when somebody reads it: a gateway with thousands of links makes far more of them than anyone
 * looks at.
 */
export interface TraceSource {
  readonly linkId: string | null;
  /** Octets that it holds on to until then. */
  readonly octets: number;
  read(): TraceRecord;
}

export interface TraceRecord {
  readonly at: Instant;
  readonly linkId: string | null;
  readonly direction: "sent" | "received" | "local";
  readonly exchange: string;
  readonly messageId: number | null;
  readonly summary: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** Of a message: its octets, without what may be a secret (diagnosis/traced-octets.ts). */
  readonly wire?: TracedOctets;
}

/** A picture of the engine for reports; built on demand, it holds no secrets. Instants, not durations. */
export interface LinkSnapshot {
  readonly linkId: string;
  readonly state: "negotiating" | "up" | "degraded" | "down";
  readonly since: Instant;
  readonly lastFailure: { readonly at: Instant; readonly code: string; readonly sentence: string } | null;
  readonly ikeSas: readonly IkeSaSnapshot[];
}

export interface IkeSaSnapshot {
  readonly id: string;
  readonly state: "connecting" | "established" | "rekeying" | "deleting";
  readonly role: "initiator" | "responder";
  readonly spiI: bigint;
  readonly spiR: bigint;
  readonly suite: string;
  /** A key exchange of it is a key encapsulation that no quantum computer is known to break (ML-KEM). */
  readonly postQuantum: boolean;
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly remoteIdentity: string;
  readonly credentialId: string | null;
  readonly nat: "none" | "local" | "remote" | "both";
  readonly establishedAt: Instant | null;
  readonly rekeyAt: Instant | null;
  /** The largest packet that has been found to pass to the peer, in octets; null: not known. */
  readonly pathMtu: number | null;
  readonly children: readonly ChildSaSnapshot[];
}

export interface ChildSaSnapshot {
  readonly id: string;
  readonly name: string;
  readonly state: "installing" | "established" | "rekeying" | "rekeyed" | "deleting";
  readonly inboundSpi: EspSpi;
  readonly outboundSpi: EspSpi;
  readonly suite: string;
  readonly protocol: SaProtocol;
  readonly mode: SaMode;
  readonly encapsulation: "udp" | "none";
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  readonly installedAt: Instant;
  readonly rekeyAt: Instant | null;
  readonly expiresAt: Instant | null;
  /** When it is closed unless a packet passes; null: never. */
  readonly closesAt: Instant | null;
  /** Of several with the same selectors: 0 what every worker may send on, n what the n-th worker sends on; null: there are not several, or none does. */
  readonly worker: number | null;
}

/** What class `Endpoint` (endpoint.ts) offers: `new Endpoint(options: EndpointOptions, random: RandomSource)`. */
export interface IkeEndpoint {
  /** `now` never runs backwards, and all durations are measured by it; `wallNow` is what the machine's clock says, for certificates. Absent: the same. */
  handle(input: Input, now: Instant, wallNow?: Instant): Effect[];
  /**
   * The whole answer to a datagram that changes nothing here, an IKE_SA_INIT under a flood: to be sent back, and the datagram not given to
   * `handle`. Null for every other one.
   */
  answerAtOnce(datagram: Uint8Array, remote: UdpEndpoint, now: Instant): Uint8Array | null;
  nextTimer(): { readonly at: Instant; readonly reason: string } | null;
  snapshot(now: Instant): LinkSnapshot[];
}
