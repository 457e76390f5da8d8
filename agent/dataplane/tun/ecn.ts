import { readU16, writeU16 } from "../../wire/octets.ts";

/** The two low bits of IPv4's TOS and IPv6's traffic class (RFC 3168 §5). */
export const Ecn = { NOT_ECT: 0, ECT_1: 1, ECT_0: 2, CE: 3 } as const;

/** TOS or traffic class of the packet at `start`: what the outer header gets (RFC 4301 §5.1.2.1, RFC 6040 §4.1 normal mode). */
export function trafficClass(bytes: Uint8Array, start: number, family: 4 | 6): number {
  return family === 4 ? bytes[start + 1]! : ((bytes[start]! & 0x0f) << 4) | (bytes[start + 1]! >> 4);
}

/** Whether no router outside has marked it: then whatever was inside stays as it is. */
export function isUnmarked(outerClass: number): boolean {
  const outer = outerClass & 3;
  return outer === Ecn.NOT_ECT || outer === Ecn.ECT_0;
}

/**
 * Combines what the routers outside have marked into the packet at `start` that was inside (RFC 6040 §4.2): congestion reaches a sender that
 * can be told. Its DSCP stays (RFC 4301 §5.1.2.1). False: the packet is to be dropped, because its sender cannot be told.
 */
export function combineEcn(bytes: Uint8Array, start: number, family: 4 | 6, outerClass: number): boolean {
  if (isUnmarked(outerClass)) return true;
  const outer = outerClass & 3;
  const inner = trafficClass(bytes, start, family) & 3;
  if (inner === Ecn.NOT_ECT) return outer !== Ecn.CE;
  if (outer === Ecn.CE) setEcn(bytes, start, family, Ecn.CE);
  // ECT(1) outside is a mark on ECT(0), for those that use it so.
  else if (inner === Ecn.ECT_0) setEcn(bytes, start, family, Ecn.ECT_1);
  return true;
}

function setEcn(bytes: Uint8Array, start: number, family: 4 | 6, ecn: number): void {
  if (family === 6) {
    bytes[start + 1] = (bytes[start + 1]! & 0xcf) | (ecn << 4);
    return;
  }
  const before = readU16(bytes, start);
  bytes[start + 1] = (bytes[start + 1]! & 0xfc) | ecn;
  // RFC 1624 §3, equation 3.
  let sum = (~readU16(bytes, start + 10) & 0xffff) + (~before & 0xffff) + readU16(bytes, start);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  writeU16(bytes, start + 10, ~sum & 0xffff);
}
