import type { EspSpi } from "../wire/ikev2/message-types.ts";

/**
 * Which of several inbound workers has the SA of an SPI, from 0. The SPI alone says it, so that whoever sorts packets need not know what SAs there are;
 * IKE chooses SPIs accordingly.
 */
export function inboundWorkerOf(spi: EspSpi, workers: number): number {
  return spi % workers;
}
