import { type Attribute, decodeAttributes, encodeAttributes, viewOf } from "./netlink.ts";

/*
 * Messages about network devices (rtnetlink(7), linux/if_link.h). struct ifinfomsg: family (1) · 1 · type (2) · index (4) · flags (4) · which flags
 * change (4); then attributes, some of which hold attributes themselves.
 */
export const NETLINK_ROUTE = 0;
/** RTNLGRP_LINK: hears of each device that comes, changes or goes. */
export const LINK_GROUP = 1;
/** RTM_*. */
export const LinkMessage = { NEWLINK: 16, DELLINK: 17, GETLINK: 18 } as const;
const IFINFO_OCTETS = 16;
const INDEX_AT = 4;
const FLAGS_AT = 8;
const CHANGE_AT = 12;
const IFF_UP = 1;
/** IFLA_*, IFLA_INFO_*, IFLA_XFRM_*, IFLA_INET6_*. */
const Link = { IFNAME: 3, MTU: 4, LINKINFO: 18, AF_SPEC: 26 } as const;
const LinkInfo = { KIND: 1, DATA: 2 } as const;
const XFRM_IF_ID = 2;
const AF_INET6 = 10;
const INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const KIND = "xfrm";

export interface XfrmInterface {
  readonly name: string;
  /** XFRMA_IF_ID of what belongs to it; never 0. */
  readonly ifId: number;
}

export interface LinkBody {
  readonly fixed: Uint8Array;
  readonly attributes: Attribute[];
}

/** Body of RTM_NEWLINK that makes one. It is bound to no device (no IFLA_XFRM_LINK): what it seals goes wherever the route to the peer leads. */
export function encodeNewInterface({ name, ifId }: XfrmInterface, mtu: number): LinkBody {
  const data = encodeAttributes([{ type: XFRM_IF_ID, value: u32(ifId) }]);
  const info = encodeAttributes([
    { type: LinkInfo.KIND, value: new TextEncoder().encode(KIND) },
    { type: LinkInfo.DATA, value: data },
  ]);
  return {
    fixed: ifinfo({}),
    attributes: [
      { type: Link.MTU, value: u32(mtu) },
      { type: Link.IFNAME, value: new TextEncoder().encode(`${name}\0`) },
      { type: Link.LINKINFO, value: info },
    ],
  };
}

/** Body of RTM_NEWLINK: no address of its own in IPv6, or it would solicit routers through the tunnel (RFC 4861 §6.3.7) and none would ever rest. */
export function encodeNoOwnAddress(index: number): LinkBody {
  const mode = encodeAttributes([{ type: INET6_ADDR_GEN_MODE, value: new Uint8Array([IN6_ADDR_GEN_MODE_NONE]) }]);
  return { fixed: ifinfo({ index }), attributes: [{ type: Link.AF_SPEC, value: encodeAttributes([{ type: AF_INET6, value: mode }]) }] };
}

export function encodeUp(index: number): LinkBody {
  return { fixed: ifinfo({ index, flags: IFF_UP }), attributes: [] };
}

/** Body of RTM_DELLINK and of RTM_GETLINK for one; index 0: every one. */
export function encodeInterfaceId(index: number): LinkBody {
  return { fixed: ifinfo({ index }), attributes: [] };
}

export interface InterfaceReport extends XfrmInterface {
  readonly index: number;
}

/** Null for a device of another kind. */
export function decodeInterface(payload: Uint8Array): InterfaceReport | null {
  if (payload.length < IFINFO_OCTETS) return null;
  const attributes = decodeAttributes(payload, IFINFO_OCTETS);
  const info = decodeAttributes(valueIn(attributes, Link.LINKINFO), 0);
  const ifId = valueIn(decodeAttributes(valueIn(info, LinkInfo.DATA), 0), XFRM_IF_ID);
  if (textOf(valueIn(info, LinkInfo.KIND)) !== KIND || ifId.length !== 4) return null;
  return { index: viewOf(payload).getInt32(INDEX_AT, true), name: textOf(valueIn(attributes, Link.IFNAME)), ifId: viewOf(ifId).getUint32(0, true) };
}

function ifinfo({ index = 0, flags = 0 }: { readonly index?: number; readonly flags?: number }): Uint8Array {
  const bytes = new Uint8Array(IFINFO_OCTETS);
  viewOf(bytes).setInt32(INDEX_AT, index, true);
  viewOf(bytes).setUint32(FLAGS_AT, flags, true);
  viewOf(bytes).setUint32(CHANGE_AT, flags, true);
  return bytes;
}

const none = new Uint8Array(0);

function valueIn(attributes: readonly Attribute[], wanted: number): Uint8Array {
  return attributes.find(({ type }) => type === wanted)?.value ?? none;
}

function textOf(value: Uint8Array): string {
  return new TextDecoder().decode(value).replace(/\0+$/, "");
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}
