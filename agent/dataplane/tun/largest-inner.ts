import { ahOctets } from "../../wire/ah.ts";
import type { EspShape } from "../ffi/esp-suite.ts";

const UDP_HEADER = 8;

/**
 * The largest inner packet of an SA by the path's MTU. `ah` where there is no ESP. The function is kept with the SA; were it made where the SA is, it
 * would keep alive all that has come from the main thread with it, its keys too.
 */
export function innerByPath(
  esp: EspShape | null,
  ah: { readonly icvOctets: number } | null,
  outerFamily: 4 | 6,
  encapsulation: "udp" | "none",
): (pathMtu: number) => number {
  return (pathMtu) => (esp === null ? largestInnerOfAh(ah?.icvOctets ?? 0, pathMtu, outerFamily) : largestInner(esp, pathMtu, outerFamily, encapsulation));
}

/** The largest inner packet, in octets, whose ESP packet, in UDP or as it is, fits the path (RFC 4303 §2, RFC 3948 §2.1). */
export function largestInner({ ivOctets, icvOctets, alignment }: EspShape, pathMtu: number, outerFamily: 4 | 6, encapsulation: "udp" | "none"): number {
  const outer = (outerFamily === 4 ? 20 : 40) + (encapsulation === "udp" ? UDP_HEADER : 0);
  const content = pathMtu - outer - 8 - ivOctets - icvOctets;
  return content - (content % alignment) - 2;
}

/** The same with AH (RFC 4302 §2). */
export function largestInnerOfAh(icvOctets: number, pathMtu: number, outerFamily: 4 | 6): number {
  return pathMtu - (outerFamily === 4 ? 20 : 40) - ahOctets(icvOctets, outerFamily);
}
