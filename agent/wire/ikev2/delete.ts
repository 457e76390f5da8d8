import { ProtocolId } from "../iana.ts";
import { concatOctets, readU16, writeU16 } from "../octets.ts";
import type { PayloadOf } from "./message-types.ts";
import { invalidSyntax, requireOctets } from "./protocol-error.ts";

/* Delete payload (RFC 7296 §3.11): 0 protocol · 1 SPI size · 2 number of SPIs (2) · 4 SPIs */
const FIXED = 4;

/** `spis` is empty for an IKE SA, which the header names. Throws IkeProtocolError INVALID_SYNTAX. */
export function parseDelete(body: Uint8Array): PayloadOf<"delete"> {
  requireOctets(body, FIXED, "A Delete payload");
  const protocolId = body[0]!;
  const spiSize = body[1]!;
  const count = readU16(body, 2);
  if (spiSize !== spiSizeOf(protocolId)) throw invalidSyntax(`A Delete payload of protocol ${protocolId} has SPIs of ${spiSize} octets.`);
  // Without a size the count alone would make us build up to 65,535 empty SPIs.
  if ((spiSize === 0 && count > 0) || body.length !== FIXED + spiSize * count) {
    throw invalidSyntax(`A Delete payload of ${body.length} octets cannot hold ${count} SPIs of ${spiSize} octets.`);
  }
  const spis: Uint8Array[] = [];
  for (let at = FIXED; at < body.length; at += spiSize) spis.push(body.subarray(at, at + spiSize));
  return { kind: "delete", protocolId, spis };
}

export function serializeDelete(payload: PayloadOf<"delete">): Uint8Array {
  const body = concatOctets([new Uint8Array(FIXED), ...payload.spis]);
  body[0] = payload.protocolId;
  body[1] = spiSizeOf(payload.protocolId);
  writeU16(body, 2, payload.spis.length);
  return body;
}

function spiSizeOf(protocolId: number): number {
  return protocolId === ProtocolId.ESP || protocolId === ProtocolId.AH ? 4 : 0;
}
