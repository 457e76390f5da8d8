import { formatAddress, parseAddress } from "../../wire/address.ts";
import { type Attribute, viewOf } from "./netlink.ts";

/*
 * The structures that several messages of NETLINK_XFRM share (linux/xfrm.h; those with 64-bit members are padded to 8). Numbers are in the
 * host's order but for SPIs and ports, which are in the network's.
 */

/** XFRM_MSG_*. */
export const XfrmMessage = {
  NEWSA: 0x10,
  DELSA: 0x11,
  GETSA: 0x12,
  NEWPOLICY: 0x13,
  DELPOLICY: 0x14,
  GETPOLICY: 0x15,
  ACQUIRE: 0x17,
  EXPIRE: 0x18,
  UPDPOLICY: 0x19,
  UPDSA: 0x1a,
  FLUSHPOLICY: 0x1d,
  MAPPING: 0x26,
} as const;

/** XFRMA_*. */
export const XfrmAttribute = {
  ALG_AUTH: 1,
  ALG_CRYPT: 2,
  ENCAP: 4,
  TMPL: 5,
  POLICY: 7,
  LTIME_VAL: 9,
  REPLAY_VAL: 10,
  LASTUSED: 15,
  ALG_AEAD: 18,
  ALG_AUTH_TRUNC: 20,
  REPLAY_ESN_VAL: 23,
  SA_EXTRA_FLAGS: 24,
  OFFLOAD_DEV: 28,
  IF_ID: 31,
  MTIMER_THRESH: 32,
} as const;

/** XFRMNLGRP_*: who wants to hear of what. */
export const XfrmGroup = { ACQUIRE: 1, EXPIRE: 2, POLICY: 4, MAPPING: 8 } as const;

export const XfrmMode = { transport: 0, tunnel: 1 } as const;
/** IP protocol numbers. */
export const XfrmProtocol = { esp: 50, ah: 51 } as const;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const ADDRESS_OCTETS = 16;
export const SELECTOR_OCTETS = 56;
export const LIFETIME_CONFIG_OCTETS = 64;
export const LIFETIME_CURRENT_OCTETS = 32;
const INFINITE = 0xffff_ffff_ffff_ffffn;

export type AddressFamily = 4 | 6;

/**
 * struct xfrm_selector: destination (16) · source (16) · destination port and mask · source port and mask · family (2) · prefix length of
 * the destination, of the source · protocol · 3 of padding · interface (4) · user (4). A mask of 0: any port.
 */
export interface KernelSelector {
  readonly family: AddressFamily;
  readonly source: string;
  readonly sourcePrefix: number;
  readonly destination: string;
  readonly destinationPrefix: number;
  /** 0: any. */
  readonly protocol: number;
  readonly sourcePort: number;
  readonly sourcePortMask: number;
  readonly destinationPort: number;
  readonly destinationPortMask: number;
  /** XFRMA_IF_ID, which stands beside the structure: of packets through this interface alone. Absent: of those through none. */
  readonly ifId?: number;
}

export function writeSelector(bytes: Uint8Array, at: number, selector: KernelSelector): void {
  const view = viewOf(bytes);
  writeAddress(bytes, at, selector.destination);
  writeAddress(bytes, at + 16, selector.source);
  view.setUint16(at + 32, selector.destinationPort);
  view.setUint16(at + 34, selector.destinationPortMask);
  view.setUint16(at + 36, selector.sourcePort);
  view.setUint16(at + 38, selector.sourcePortMask);
  view.setUint16(at + 40, familyNumber(selector.family), true);
  bytes[at + 42] = selector.destinationPrefix;
  bytes[at + 43] = selector.sourcePrefix;
  bytes[at + 44] = selector.protocol;
}

/** Null for a selector of no family: everything. */
export function readSelector(bytes: Uint8Array, at: number): KernelSelector | null {
  const view = viewOf(bytes);
  const family = familyOf(view.getUint16(at + 40, true));
  if (family === null) return null;
  return {
    family,
    destination: readAddress(bytes, at, family),
    source: readAddress(bytes, at + 16, family),
    destinationPort: view.getUint16(at + 32),
    destinationPortMask: view.getUint16(at + 34),
    sourcePort: view.getUint16(at + 36),
    sourcePortMask: view.getUint16(at + 38),
    destinationPrefix: bytes[at + 42]!,
    sourcePrefix: bytes[at + 43]!,
    protocol: bytes[at + 44]!,
  };
}

/** The same of packets in the other direction. */
export function reverseSelector(selector: KernelSelector): KernelSelector {
  return {
    ...selector,
    source: selector.destination,
    sourcePrefix: selector.destinationPrefix,
    sourcePort: selector.destinationPort,
    sourcePortMask: selector.destinationPortMask,
    destination: selector.source,
    destinationPrefix: selector.sourcePrefix,
    destinationPort: selector.sourcePort,
    destinationPortMask: selector.sourcePortMask,
  };
}

/** Two selectors have the same key exactly when the kernel takes them for the same. */
export function selectorKey(selector: KernelSelector): string {
  const {
    source,
    sourcePrefix,
    sourcePort,
    sourcePortMask,
    destination,
    destinationPrefix,
    destinationPort,
    destinationPortMask,
    protocol,
    ifId = 0,
  } = selector;
  const [from, to] = [
    `${source}/${sourcePrefix}:${sourcePort}/${sourcePortMask}`,
    `${destination}/${destinationPrefix}:${destinationPort}/${destinationPortMask}`,
  ];
  return `${from} ${to} ${protocol} ${ifId}`;
}

/** struct xfrm_id: destination (16) · SPI (4) · protocol (1) · 3 of padding. With the addresses' family it names an SA. */
export interface SaId {
  readonly destination: string;
  readonly spi: number;
  readonly protocol: number;
}

export function writeSaId(bytes: Uint8Array, at: number, id: SaId): void {
  writeAddress(bytes, at, id.destination);
  viewOf(bytes).setUint32(at + 16, id.spi);
  bytes[at + 20] = id.protocol;
}

export function readSaId(bytes: Uint8Array, at: number, family: AddressFamily): SaId {
  return { destination: readAddress(bytes, at, family), spi: viewOf(bytes).getUint32(at + 16), protocol: bytes[at + 20]! };
}

/** XFRMA_IF_ID: what carries it is of the interface with this if_id. Nothing for 0. */
export function ifIdAttributes(ifId: number): Attribute[] {
  const value = new Uint8Array(4);
  viewOf(value).setUint32(0, ifId, true);
  return ifId === 0 ? [] : [{ type: XfrmAttribute.IF_ID, value }];
}

/** Octets, packets, seconds since it was added; undefined: no limit. */
export interface LifetimeLimits {
  readonly softBytes?: number | undefined;
  readonly hardBytes?: number | undefined;
  readonly softPackets?: number | undefined;
  readonly hardPackets?: number | undefined;
  readonly softSeconds?: number | undefined;
  readonly hardSeconds?: number | undefined;
}

/** struct xfrm_lifetime_cfg: eight 64-bit numbers, soft before hard: octets, packets (all ones: no limit), seconds since added, since used (0: no limit). */
export function writeLifetime(bytes: Uint8Array, at: number, limits: LifetimeLimits): void {
  const view = viewOf(bytes);
  const volumes = [limits.softBytes, limits.hardBytes, limits.softPackets, limits.hardPackets];
  for (const [index, limit] of volumes.entries()) view.setBigUint64(at + 8 * index, limit === undefined ? INFINITE : BigInt(Math.floor(limit)), true);
  view.setBigUint64(at + 32, BigInt(Math.ceil(limits.softSeconds ?? 0)), true);
  view.setBigUint64(at + 40, BigInt(Math.ceil(limits.hardSeconds ?? 0)), true);
}

export function familyNumber(family: AddressFamily): number {
  return family === 4 ? AF_INET : AF_INET6;
}

export function familyOf(number: number): AddressFamily | null {
  return number === AF_INET ? 4 : number === AF_INET6 ? 6 : null;
}

export function familyOfAddress(address: string): AddressFamily {
  return address.includes(":") ? 6 : 4;
}

/** xfrm_address_t: 4 octets and 12 of padding, or 16. @throws RangeError when it is no address. */
export function writeAddress(bytes: Uint8Array, at: number, address: string): void {
  const octets = parseAddress(address);
  if (octets === null) throw new RangeError(`"${address}" is not an address`);
  bytes.set(octets, at);
}

export function readAddress(bytes: Uint8Array, at: number, family: AddressFamily): string {
  return formatAddress(bytes.subarray(at, at + (family === 4 ? 4 : 16)));
}
