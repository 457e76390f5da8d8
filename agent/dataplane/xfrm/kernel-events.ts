import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { decodeInterface, LinkMessage } from "./interface-messages.ts";
import { decodeAttributes, type NetlinkMessage, viewOf } from "./netlink.ts";
import { isOurs } from "./ownership.ts";
import { decodePolicy, POLICY_ID_OCTETS } from "./policy-messages.ts";
import { decodeSa, SA_INFO_OCTETS, type SaReport } from "./sa-messages.ts";
import { familyOf, readAddress, XfrmAttribute, XfrmMessage } from "./xfrm-structures.ts";

/* What the kernel tells of itself, to the groups acquire, expire, mapping and policy (linux/xfrm.h) and to that of network devices (rtnetlink(7)). */
export type KernelEvent =
  /** A packet met a policy whose template has no SA. */
  | { readonly kind: "acquire"; readonly policyIndex: number }
  | { readonly kind: "expire"; readonly sa: SaReport; readonly hard: boolean }
  /** An authenticated packet of an encapsulated SA came from elsewhere. */
  | { readonly kind: "mapping"; readonly spi: number; readonly reqid: number; readonly remote: UdpEndpoint }
  /** So many came at once that the kernel dropped some. */
  | { readonly kind: "lost" }
  /** A policy of ours was deleted, by whomsoever; null: all may have been. */
  | { readonly kind: "policyDeleted"; readonly index: number | null }
  /** An xfrm interface with an if_id of ours is no longer here, or may not be: the kernel dropped some of what it told. */
  | { readonly kind: "interfaceGone" };

/** struct xfrm_user_acquire: id (24) · source (16) · selector (56) · policy (168, its index at 156) · algorithms (12) · sequence (4). */
const ACQUIRE_OCTETS = 280;
const ACQUIRE_INDEX_AT = 96 + 156;
/** struct xfrm_user_expire: SA (224) · hard (1) · 7. */
const EXPIRE_OCTETS = 232;
/** struct xfrm_user_mapping: SA's id (24) · reqid (4) · old source (16) · new source (16) · old port (2) · new port (2). */
const MAPPING_OCTETS = 64;

/** Null for a message that is none of these. */
export function decodeEvent({ type, payload }: NetlinkMessage): KernelEvent | null {
  const view = viewOf(payload);
  if (type === XfrmMessage.ACQUIRE && payload.length >= ACQUIRE_OCTETS) return { kind: "acquire", policyIndex: view.getUint32(ACQUIRE_INDEX_AT, true) };
  if (type === XfrmMessage.EXPIRE && payload.length >= EXPIRE_OCTETS) {
    const sa = decodeSa(payload.subarray(0, SA_INFO_OCTETS));
    return sa === null ? null : { kind: "expire", sa, hard: payload[SA_INFO_OCTETS] !== 0 };
  }
  if (type === XfrmMessage.MAPPING && payload.length >= MAPPING_OCTETS) {
    const family = familyOf(view.getUint16(20, true));
    if (family === null) return null;
    const remote = { address: readAddress(payload, 44, family), port: view.getUint16(62) };
    return { kind: "mapping", spi: view.getUint32(16), reqid: view.getUint32(24, true), remote };
  }
  return null;
}

/** Of the group of policies. `message` of a deletion: struct xfrm_userpolicy_id, with the policy as an attribute. */
export function decodePolicyEvent({ type, payload }: NetlinkMessage): KernelEvent | null {
  if (type === XfrmMessage.FLUSHPOLICY) return { kind: "policyDeleted", index: null };
  if (type !== XfrmMessage.DELPOLICY) return null;
  const policy = decodeAttributes(payload, POLICY_ID_OCTETS).find((attribute) => attribute.type === XfrmAttribute.POLICY);
  const index = policy === undefined ? null : (decodePolicy(policy.value)?.index ?? null);
  return index !== null && isOurs(index) ? { kind: "policyDeleted", index } : null;
}

/** Whether an interface like ours is no more, by whomsoever: `message` is of the group of network devices. */
export function isAboutLostInterface({ type, payload }: NetlinkMessage): boolean {
  const report = type === LinkMessage.DELLINK ? decodeInterface(payload) : null;
  return report !== null && isOurs(report.ifId);
}
