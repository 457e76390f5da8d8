import type { EspTransform } from "../ffi/esp-transform.ts";

const UDP_HEADER = 8;

/** The largest inner packet, in octets, whose UDP-encapsulated ESP packet fits the path (RFC 4303 §2, RFC 3948 §2.1). */
export function largestInner(transform: EspTransform, pathMtu: number, outerFamily: 4 | 6): number {
  const content = pathMtu - (outerFamily === 4 ? 20 : 40) - UDP_HEADER - 8 - transform.ivOctets - transform.icvOctets;
  return content - (content % transform.alignment) - 2;
}
