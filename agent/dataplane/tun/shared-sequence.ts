import type { OutboundSa } from "../../ipsec/security-association.ts";

/** Far enough below the end that all workers together cannot pass it between looking and taking; a rekey is asked for long before. */
const LAST = 2 ** 32 - 2 ** 16;
/** A rekey is asked for well before the numbers end (RFC 4303 §3.3.3). */
const SOFT_SHARE = 0.9;

/**
 * The sequence numbers of an SA under which several threads send: none is ever given twice (RFC 4303 §3.3.3, and with AES-GCM the nonce is made of it).
 * Of extended numbers too only the first 2^32 are used.
 */
export class SharedSequence {
  readonly #last: Uint32Array;

  /** `shared`: from `sharedSequence`, the same in each worker. */
  constructor(shared: SharedArrayBuffer) {
    this.#last = new Uint32Array(shared);
  }

  /** 0: there is none left. */
  take(): number {
    // An old value will do for this look: that is what the distance is for.
    return this.#last[0]! >= LAST ? 0 : Atomics.add(this.#last, 0, 1) + 1;
  }
}

/** For a new SA: no number of it has been used. */
export function sharedSequence(last = 0): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(4);
  new Uint32Array(shared)[0] = last;
  return shared;
}

/**
 * One worker's part of an SA's limits, and of its sequence numbers: however the packets are spread over the workers, what they use together is never
 * more than the whole.
 */
export function shareOfLimits(sa: OutboundSa, workers: number): OutboundSa {
  const part = (limit: number) => Math.max(1, Math.floor(limit / workers));
  return {
    ...sa,
    ...(sa.softBytes === undefined ? {} : { softBytes: part(sa.softBytes) }),
    ...(sa.hardBytes === undefined ? {} : { hardBytes: part(sa.hardBytes) }),
    softPackets: part(Math.min(sa.softPackets ?? LAST, SOFT_SHARE * LAST)),
    hardPackets: part(Math.min(sa.hardPackets ?? LAST, LAST)),
  };
}
