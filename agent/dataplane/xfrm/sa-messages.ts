import type { SaLifetimes, SaMode, SaProtocol, UdpEndpoint } from "../../ipsec/security-association.ts";
import type { SaKeys } from "../../crypto/sa-keys.ts";
import { type Attribute, decodeAttributes, viewOf } from "./netlink.ts";
import { algorithmAttributes, areKeysWithheld } from "./sa-algorithms.ts";
import {
  ADDRESS_OCTETS,
  type AddressFamily,
  familyNumber,
  familyOf,
  familyOfAddress,
  ifIdAttributes,
  type KernelSelector,
  readAddress,
  readSaId,
  type SaId,
  writeAddress,
  writeLifetime,
  writeSaId,
  writeSelector,
  XfrmAttribute,
  XfrmMode,
  XfrmProtocol,
} from "./xfrm-structures.ts";

/*
 * Messages about SAs (linux/xfrm.h). struct xfrm_usersa_info: selector (56) · id (24) · source (16) · limits (64) · used so far (32) · statistics
 * (12: outside of the window, replayed, wrong ICV) · sequence (4) · reqid (4) · family (2) · mode (1) · window (1) · flags (1) · 7 of padding.
 */
export const SA_INFO_OCTETS = 224;
const ID_AT = 56;
const SOURCE_AT = 80;
const LIMITS_AT = 96;
const USED_AT = 160;
const STATISTICS_AT = 192;
const REQID_AT = 208;
const FAMILY_AT = 212;
const MODE_AT = 214;
const FLAGS_AT = 216;
const FLAG_AF_UNSPEC = 32;
const FLAG_ALIGN4 = 64;
const FLAG_ESN = 128;

/** struct xfrm_encap_tmpl: type (2) · source port (2) · destination port (2) · 2 of padding · original address (16). */
const ENCAP_OCTETS = 24;
const UDP_ENCAP_ESPINUDP = 2;
/** struct xfrm_replay_state_esn: words of the bitmap · numbers sent and seen, low halves · high halves · window; then the bitmap. */
const REPLAY_OCTETS = 24;
/** struct xfrm_user_offload: interface (4) · flags (1) · 3 of padding. Interface 0: the kernel takes the device that the route to the peer leads to. */
const OFFLOAD_OCTETS = 8;
const XFRM_OFFLOAD_IPV6 = 1;
const XFRM_OFFLOAD_INBOUND = 2;
/** A mapping that stays changed is told again after so long, not with every packet. */
const MAPPING_SECONDS = 5;

export interface KernelSa extends SaLifetimes {
  readonly direction: "inbound" | "outbound";
  readonly spi: number;
  readonly reqid: number;
  readonly protocol: SaProtocol;
  readonly mode: SaMode;
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly encapsulation: "udp" | "none";
  readonly extendedSequenceNumbers: boolean;
  /** 32 to 4,096; of an outbound SA not used. */
  readonly replayWindowPackets: number;
  /** What it may carry; null: whatever the policies say, of both families. */
  readonly selector: KernelSelector | null;
  readonly keys: SaKeys;
  /** Of the interface that its packets go through; 0: none. */
  readonly ifId: number;
  /** A network card is asked to seal or open. */
  readonly offload: boolean;
}

export function saIdOf(sa: Pick<KernelSa, "direction" | "spi" | "protocol" | "local" | "remote">): SaId {
  return { destination: (sa.direction === "inbound" ? sa.local : sa.remote).address, spi: sa.spi, protocol: XfrmProtocol[sa.protocol] };
}

/** Body of XFRM_MSG_NEWSA; its attributes hold copies of the keys. @throws Error with a sentence for a suite that no kernel has. */
export function encodeSa(sa: KernelSa): { readonly fixed: Uint8Array; readonly attributes: Attribute[] } {
  const fixed = new Uint8Array(SA_INFO_OCTETS);
  const view = viewOf(fixed);
  const [source, destination] = sa.direction === "inbound" ? [sa.remote, sa.local] : [sa.local, sa.remote];
  const family = familyOfAddress(destination.address);
  if (sa.selector !== null) writeSelector(fixed, 0, sa.selector);
  writeSaId(fixed, ID_AT, saIdOf(sa));
  writeAddress(fixed, SOURCE_AT, source.address);
  writeLifetime(fixed, LIMITS_AT, sa);
  view.setUint32(REQID_AT, sa.reqid, true);
  view.setUint16(FAMILY_AT, familyNumber(family), true);
  fixed[MODE_AT] = XfrmMode[sa.mode];
  fixed[FLAGS_AT] = flagsOf(sa, family);
  const attributes = algorithmAttributes(sa.protocol, sa.keys);
  if (sa.encapsulation === "udp") {
    attributes.push({ type: XfrmAttribute.ENCAP, value: encodeEncapsulation(source.port, destination.port) });
    if (sa.direction === "inbound") attributes.push({ type: XfrmAttribute.MTIMER_THRESH, value: u32(MAPPING_SECONDS) });
  }
  const replay = replayState(sa);
  if (replay !== null) attributes.push({ type: XfrmAttribute.REPLAY_ESN_VAL, value: replay });
  if (sa.offload) attributes.push({ type: XfrmAttribute.OFFLOAD_DEV, value: encodeOffload(sa.direction, family) });
  attributes.push(...ifIdAttributes(sa.ifId));
  return { fixed, attributes };
}

function flagsOf(sa: KernelSa, family: AddressFamily): number {
  // In a tunnel either family may travel, whatever the outer one is; in transport mode it is the outer one.
  const families = sa.mode === "tunnel" && sa.selector === null ? FLAG_AF_UNSPEC : 0;
  // RFC 4302 §3.3.3.2.1: an AH header is a multiple of 4 octets in IPv4. Linux pads it to 8 unless told.
  const alignment = sa.protocol === "ah" && family === 4 ? FLAG_ALIGN4 : 0;
  return families | alignment | (sa.extendedSequenceNumbers ? FLAG_ESN : 0);
}

function encodeEncapsulation(sourcePort: number, destinationPort: number): Uint8Array {
  const bytes = new Uint8Array(ENCAP_OCTETS);
  viewOf(bytes).setUint16(0, UDP_ENCAP_ESPINUDP, true);
  viewOf(bytes).setUint16(2, sourcePort);
  viewOf(bytes).setUint16(4, destinationPort);
  return bytes;
}

/** The kernel wants a window on each SA with ESN, and keeps one of up to 32 packets without this. */
function replayState(sa: KernelSa): Uint8Array | null {
  if (sa.direction === "outbound" && !sa.extendedSequenceNumbers) return null;
  const window = sa.direction === "outbound" ? 1 : sa.replayWindowPackets;
  const words = Math.ceil(window / 32);
  const bytes = new Uint8Array(REPLAY_OCTETS + 4 * words);
  viewOf(bytes).setUint32(0, words, true);
  viewOf(bytes).setUint32(20, window, true);
  return bytes;
}

function encodeOffload(direction: KernelSa["direction"], family: AddressFamily): Uint8Array {
  const bytes = new Uint8Array(OFFLOAD_OCTETS);
  bytes[4] = (family === 6 ? XFRM_OFFLOAD_IPV6 : 0) | (direction === "inbound" ? XFRM_OFFLOAD_INBOUND : 0);
  return bytes;
}

/** struct xfrm_usersa_id, the body of XFRM_MSG_DELSA and XFRM_MSG_GETSA: destination (16) · SPI (4) · family (2) · protocol (1) · 1 of padding. */
export function encodeSaId({ destination, spi, protocol }: SaId): Uint8Array {
  const bytes = new Uint8Array(24);
  writeAddress(bytes, 0, destination);
  viewOf(bytes).setUint32(ADDRESS_OCTETS, spi);
  viewOf(bytes).setUint16(20, familyNumber(familyOfAddress(destination)), true);
  bytes[22] = protocol;
  return bytes;
}

/** What the kernel says of an SA. */
export interface SaReport {
  readonly id: SaId;
  readonly source: string;
  readonly reqid: number;
  readonly bytes: number;
  readonly packets: number;
  /** Seconds since 1970; 0: never. */
  readonly lastUsedAt: number;
  /** Dropped: below the window or seen before; with a wrong ICV. */
  readonly replayed: number;
  readonly integrityFailed: number;
  /** Without algorithms ("none") it is only the kernel's placeholder for one that it waits for. Withheld: it has them, and does not say which. */
  readonly keys: "none" | "told" | "withheld";
  /** Index of the network device that seals or opens; 0: the kernel itself does. */
  readonly offloadDevice: number;
}

const ALGORITHMS: ReadonlySet<number> = new Set([XfrmAttribute.ALG_AEAD, XfrmAttribute.ALG_AUTH, XfrmAttribute.ALG_AUTH_TRUNC, XfrmAttribute.ALG_CRYPT]);

/** Null for what is no SA of IPv4 or IPv6. `payload` begins with struct xfrm_usersa_info. */
export function decodeSa(payload: Uint8Array): SaReport | null {
  if (payload.length < SA_INFO_OCTETS) return null;
  const view = viewOf(payload);
  const family = familyOf(view.getUint16(FAMILY_AT, true));
  if (family === null) return null;
  const attributes = decodeAttributes(payload, SA_INFO_OCTETS);
  const offload = attributes.find(({ type, value }) => type === XfrmAttribute.OFFLOAD_DEV && value.length === OFFLOAD_OCTETS);
  const lastUsed = attributes.find(({ type }) => type === XfrmAttribute.LASTUSED);
  return {
    id: readSaId(payload, ID_AT, family),
    source: readAddress(payload, SOURCE_AT, family),
    reqid: view.getUint32(REQID_AT, true),
    bytes: Number(view.getBigUint64(USED_AT, true)),
    packets: Number(view.getBigUint64(USED_AT + 8, true)),
    lastUsedAt: Number(lastUsed === undefined ? view.getBigUint64(USED_AT + 24, true) : viewOf(lastUsed.value).getBigUint64(0, true)),
    replayed: view.getUint32(STATISTICS_AT, true) + view.getUint32(STATISTICS_AT + 4, true),
    integrityFailed: view.getUint32(STATISTICS_AT + 8, true),
    keys: !attributes.some(({ type }) => ALGORITHMS.has(type)) ? "none" : areKeysWithheld(attributes) ? "withheld" : "told",
    offloadDevice: offload === undefined ? 0 : viewOf(offload.value).getUint32(0, true),
  };
}

/** What of a dumped SA goes into the message that makes it again. Old and new form of an algorithm come together: the new one does. It moves away from a network card. */
const KEPT: ReadonlySet<number> = new Set([
  XfrmAttribute.ALG_AEAD,
  XfrmAttribute.ALG_CRYPT,
  XfrmAttribute.ALG_AUTH_TRUNC,
  XfrmAttribute.ENCAP,
  XfrmAttribute.REPLAY_ESN_VAL,
  XfrmAttribute.REPLAY_VAL,
  XfrmAttribute.SA_EXTRA_FLAGS,
  XfrmAttribute.IF_ID,
  XfrmAttribute.MTIMER_THRESH,
]);

/** Where an SA goes: with an inbound one the source is the peer, with an outbound one the destination. */
export interface NewPlace {
  readonly direction: "inbound" | "outbound";
  readonly remote: UdpEndpoint;
  /** How far the next sequence number to send is moved on. */
  readonly skip: number;
}

/**
 * The body of a message that makes the SA of this report (of XFRM_MSG_GETSA, with keys) again at another place: what it has used of its
 * limits and its sequence numbers go with it. Null when `skip` numbers are not left.
 */
export function moveSa(report: Uint8Array, place: NewPlace): { readonly fixed: Uint8Array; readonly attributes: Attribute[] } | null {
  const fixed = report.slice(0, SA_INFO_OCTETS);
  const peerAt = place.direction === "inbound" ? SOURCE_AT : ID_AT;
  fixed.fill(0, peerAt, peerAt + ADDRESS_OCTETS);
  writeAddress(fixed, peerAt, place.remote.address);
  const attributes = decodeAttributes(report, SA_INFO_OCTETS)
    .filter(({ type }) => KEPT.has(type))
    .map(({ type, value }) => ({ type, value: value.slice() }));
  for (const { type, value } of attributes) {
    if (type === XfrmAttribute.ENCAP) viewOf(value).setUint16(place.direction === "inbound" ? 2 : 4, place.remote.port);
    if (type === XfrmAttribute.REPLAY_ESN_VAL && !skipSequence(value, place.skip, (fixed[FLAGS_AT]! & FLAG_ESN) !== 0)) return null;
    // struct xfrm_replay_state: the last number sent comes first.
    if (type === XfrmAttribute.REPLAY_VAL && !advance(value, 0, place.skip)) return null;
  }
  // A window in this field and in an attribute is refused.
  if (attributes.some(({ type }) => type === XfrmAttribute.REPLAY_ESN_VAL)) fixed[MODE_AT + 1] = 0;
  attributes.push({ type: XfrmAttribute.LTIME_VAL, value: report.slice(USED_AT, STATISTICS_AT) });
  return { fixed, attributes };
}

function skipSequence(replay: Uint8Array, skip: number, isExtended: boolean): boolean {
  const view = viewOf(replay);
  if (!isExtended) return advance(replay, 4, skip);
  const next = view.getUint32(12, true) * 2 ** 32 + view.getUint32(4, true) + skip;
  view.setUint32(4, next % 2 ** 32, true);
  view.setUint32(12, Math.floor(next / 2 ** 32), true);
  return true;
}

function advance(bytes: Uint8Array, at: number, skip: number): boolean {
  const next = viewOf(bytes).getUint32(at, true) + skip;
  if (next >= 2 ** 32) return false;
  viewOf(bytes).setUint32(at, next, true);
  return true;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}
