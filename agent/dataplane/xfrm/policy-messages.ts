import type { SaMode, SaProtocol } from "../../ipsec/security-association.ts";
import { type Attribute, decodeAttributes, viewOf } from "./netlink.ts";
import {
  type AddressFamily,
  familyNumber,
  ifIdAttributes,
  type KernelSelector,
  readSelector,
  writeAddress,
  writeLifetime,
  writeSaId,
  writeSelector,
  XfrmAttribute,
  XfrmMode,
  XfrmProtocol,
} from "./xfrm-structures.ts";

/*
 * Messages about policies (linux/xfrm.h). struct xfrm_userpolicy_info: selector (56) · limits (64) · used (32) · priority (4) · index (4) ·
 * direction (1) · action (1) · flags (1) · share (1) · 4 of padding. A template names the SA that a packet must go through, or come from.
 */
export const POLICY_INFO_OCTETS = 168;
const LIMITS_AT = 56;
const PRIORITY_AT = 152;
const INDEX_AT = 156;
const DIRECTION_AT = 160;
/** struct xfrm_user_tmpl: id (24) · family (2) · 2 · source (16) · reqid (4) · mode (1) · share (1) · optional (1) · 1 · algorithms allowed (3 × 4). */
const TEMPLATE_OCTETS = 64;
export const POLICY_ID_OCTETS = 64;
const ID_INDEX_AT = 56;

/** In: to this machine. Forward: through it, from outside to inside. Out: from either. */
export const PolicyDirection = { in: 0, out: 1, fwd: 2 } as const;
export type PolicyDirection = keyof typeof PolicyDirection;

export interface PolicyTemplate {
  readonly family: AddressFamily;
  /** Null: whatever the SA has. */
  readonly source: string | null;
  readonly destination: string | null;
  /** 0: any with this reqid. */
  readonly spi: number;
  readonly reqid: number;
  readonly protocol: SaProtocol;
  readonly mode: SaMode;
}

/** Of an SA that is never made: what meets it is dropped. The addresses must be some, or the kernel looks for a route first. */
export function nowhere(reqid: number): PolicyTemplate {
  return { family: 4, source: "127.0.0.1", destination: "127.0.0.1", spi: 0, reqid, protocol: "esp", mode: "tunnel" };
}

export interface KernelPolicy {
  readonly direction: PolicyDirection;
  readonly selector: KernelSelector;
  /** The lowest that matches decides. */
  readonly priority: number;
  /** Its lowest three bits are the direction. */
  readonly index: number;
  /** Null: packets pass as they are. */
  readonly template: PolicyTemplate | null;
}

/** Body of XFRM_MSG_NEWPOLICY and XFRM_MSG_UPDPOLICY. */
export function encodePolicy(policy: KernelPolicy): { readonly fixed: Uint8Array; readonly attributes: Attribute[] } {
  const fixed = new Uint8Array(POLICY_INFO_OCTETS);
  writeSelector(fixed, 0, policy.selector);
  writeLifetime(fixed, LIMITS_AT, {});
  viewOf(fixed).setUint32(PRIORITY_AT, policy.priority, true);
  viewOf(fixed).setUint32(INDEX_AT, policy.index, true);
  fixed[DIRECTION_AT] = PolicyDirection[policy.direction];
  const templates = policy.template === null ? [] : [{ type: XfrmAttribute.TMPL, value: encodeTemplate(policy.template) }];
  return { fixed, attributes: [...templates, ...ifIdAttributes(policy.selector.ifId ?? 0)] };
}

function encodeTemplate(template: PolicyTemplate): Uint8Array {
  const bytes = new Uint8Array(TEMPLATE_OCTETS);
  const view = viewOf(bytes);
  const nowhere = template.family === 4 ? "0.0.0.0" : "::";
  writeSaId(bytes, 0, { destination: template.destination ?? nowhere, spi: template.spi, protocol: XfrmProtocol[template.protocol] });
  view.setUint16(24, familyNumber(template.family), true);
  writeAddress(bytes, 28, template.source ?? nowhere);
  view.setUint32(44, template.reqid, true);
  bytes[48] = XfrmMode[template.mode];
  // Which algorithms is the SA's matter.
  bytes.fill(0xff, 52, TEMPLATE_OCTETS);
  return bytes;
}

/**
 * struct xfrm_userpolicy_id, the body of XFRM_MSG_DELPOLICY and XFRM_MSG_GETPOLICY: selector (56) · index (4) · direction (1) · 3. `index` 0: whichever is for these packets;
 * else the one with that index, and the selector says nothing.
 */
export function encodePolicyId({ selector, direction }: Pick<KernelPolicy, "selector" | "direction">, index = 0): ReturnType<typeof encodePolicy> {
  const bytes = new Uint8Array(POLICY_ID_OCTETS);
  writeSelector(bytes, 0, selector);
  viewOf(bytes).setUint32(ID_INDEX_AT, index, true);
  bytes[60] = PolicyDirection[direction];
  return { fixed: bytes, attributes: ifIdAttributes(selector.ifId ?? 0) };
}

export interface PolicyReport {
  readonly selector: KernelSelector;
  readonly direction: PolicyDirection;
  readonly index: number;
}

/** Null for what is no policy of IPv4 or IPv6 for packets in one of the three directions, such as that of a socket. */
export function decodePolicy(payload: Uint8Array): PolicyReport | null {
  if (payload.length < POLICY_INFO_OCTETS) return null;
  const selector = readSelector(payload, 0);
  const direction = (["in", "out", "fwd"] as const)[payload[DIRECTION_AT]!];
  if (selector === null || direction === undefined) return null;
  const ifId = decodeAttributes(payload, POLICY_INFO_OCTETS).find(({ type }) => type === XfrmAttribute.IF_ID);
  const place = ifId === undefined ? selector : { ...selector, ifId: viewOf(ifId.value).getUint32(0, true) };
  return { selector: place, direction, index: viewOf(payload).getUint32(INDEX_AT, true) };
}

/** What a socket's own packets are excepted by: struct xfrm_userpolicy_info with an empty selector, for IP_XFRM_POLICY and IPV6_XFRM_POLICY. */
export function socketBypass(family: AddressFamily, direction: "in" | "out"): Uint8Array {
  const bytes = new Uint8Array(POLICY_INFO_OCTETS);
  viewOf(bytes).setUint16(40, familyNumber(family), true);
  bytes[DIRECTION_AT] = PolicyDirection[direction];
  return bytes;
}
