import type { DesiredLink } from "../../contract/desired-state.ts";
import { ahOctets } from "../wire/ah.ts";

/** What ESP in UDP adds to a packet (RFC 4303 §2, RFC 3948 §2.1). */
export interface EspOverhead {
  /** Octets of the initialization vector sent with each packet. */
  readonly iv: number;
  readonly icv: number;
  /** The padded part is a multiple of this. */
  readonly alignment: number;
}

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const UDP_HEADER = 8;
const ESP_HEADER = 8;
const ESP_TRAILER = 2;
export const ethernetMtu = 1_500;

/** The largest inner packet that goes into one outer packet of `pathMtu` octets. */
export function innerMtu(pathMtu: number, outerFamily: 4 | 6, suite: EspOverhead): number {
  const outer = outerFamily === 4 ? IPV4_HEADER : IPV6_HEADER;
  const room = pathMtu - outer - UDP_HEADER - ESP_HEADER - suite.iv - suite.icv;
  return Math.floor(room / suite.alignment) * suite.alignment - ESP_TRAILER;
}

/** The overhead of a suite in proposal keywords; the largest of any keyword it names, since any of them may be chosen. */
export function espOverhead(proposal: string): EspOverhead {
  const words = proposal.toLowerCase().split("-");
  const isBlockCipher = words.some((word) => /^(aes(128|192|256)|3des|camellia(128|192|256))$/.test(word));
  if (!isBlockCipher) return { iv: 8, icv: 16, alignment: 4 };
  return { iv: 16, icv: icvOctets(proposal), alignment: 16 };
}

/** The MTU of the TUN device when none is configured: the cheapest encapsulation; links that need more have it on their routes. */
export const defaultTunMtu = innerMtu(ethernetMtu, 4, { iv: 8, icv: 16, alignment: 4 });

/** The inner MTU that holds whichever of a link's proposals is chosen, and whether or not ESP goes in UDP. */
export function linkMtu({ esp, ah }: Pick<DesiredLink, "esp" | "ah">, outerFamily: 4 | 6): number {
  if (ah !== undefined) return Math.min(...ah.proposals.map((proposal) => innerMtuOfAh(ethernetMtu, outerFamily, icvOctets(proposal))));
  return Math.min(...esp.proposals.map((proposal) => innerMtu(ethernetMtu, outerFamily, espOverhead(proposal))));
}

function innerMtuOfAh(pathMtu: number, outerFamily: 4 | 6, icv: number): number {
  return pathMtu - (outerFamily === 4 ? IPV4_HEADER : IPV6_HEADER) - ahOctets(icv, outerFamily);
}

function icvOctets(proposal: string): number {
  const words = proposal.toLowerCase().split("-");
  return words.some((word) => word.endsWith("512")) ? 32 : words.some((word) => word.endsWith("384")) ? 24 : 16;
}
