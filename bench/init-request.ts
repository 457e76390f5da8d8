import { serializeMessage } from "../agent/wire/ikev2/message.ts";
import type { IkeSpi, Payload } from "../agent/wire/ikev2/message-types.ts";
import { ExchangeType } from "../agent/wire/iana.ts";

/** An IKE_SA_INIT request as it goes on the wire, by the initiator's SPI. */
export function initRequest(spi: bigint, payloads: readonly Payload[]): Uint8Array {
  const header = {
    spiI: spi as IkeSpi,
    spiR: 0n as IkeSpi,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: ExchangeType.IKE_SA_INIT,
    fromInitiator: true,
    isResponse: false,
    higherVersion: false,
    messageId: 0,
  };
  return serializeMessage(header, payloads);
}
