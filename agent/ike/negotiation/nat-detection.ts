import { sha1 } from "../../crypto/sha1.ts";
import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { parseAddress } from "../../wire/address.ts";
import { NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { writeU16, writeU64 } from "../../wire/octets.ts";
import type { RandomSource } from "../endpoint-types.ts";
import type { NatSide, Notify } from "../ike-sa.ts";

/* NAT detection (RFC 7296 §2.23): each side sends the hashes of both endpoints as it sees them, and compares what arrives. */

/**
 * The two notifies of a message from `local` to `remote`. A random source hash makes the peer believe that we are behind a NAT
 * and encapsulate in UDP: for planes without plain ESP, and when we do not know our own address yet (`local` null).
 */
export function natDetectionNotifies(
  spis: { readonly spiI: bigint; readonly spiR: bigint },
  local: UdpEndpoint | null,
  remote: UdpEndpoint,
  fakeSource: boolean,
  random: RandomSource,
): Payload[] {
  const source = local === null || fakeSource ? random.bytes(20) : endpointHash(spis, local);
  return [natNotify(NotifyType.NAT_DETECTION_SOURCE_IP, source), natNotify(NotifyType.NAT_DETECTION_DESTINATION_IP, endpointHash(spis, remote))];
}

/** Which side has a NAT in front of it, seen from the receiver of `payloads`. A peer that sends no hashes does no NAT traversal. */
export function detectNat(
  payloads: readonly Payload[],
  spis: { readonly spiI: bigint; readonly spiR: bigint },
  local: UdpEndpoint,
  remote: UdpEndpoint,
): NatSide {
  const sources = notifiesOf(payloads, NotifyType.NAT_DETECTION_SOURCE_IP);
  const destinations = notifiesOf(payloads, NotifyType.NAT_DETECTION_DESTINATION_IP);
  if (sources.length === 0 || destinations.length === 0) return "none";
  // A sender with several addresses may send several sources: one match is enough.
  const remoteNat = !sources.some((one) => equalOctets(one.data, endpointHash(spis, remote)));
  const localNat = !destinations.some((one) => equalOctets(one.data, endpointHash(spis, local)));
  if (localNat) return remoteNat ? "both" : "local";
  return remoteNat ? "remote" : "none";
}

function endpointHash(spis: { readonly spiI: bigint; readonly spiR: bigint }, endpoint: UdpEndpoint): Uint8Array {
  const head = new Uint8Array(16);
  writeU64(head, 0, spis.spiI);
  writeU64(head, 8, spis.spiR);
  const port = new Uint8Array(2);
  writeU16(port, 0, endpoint.port);
  const address = parseAddress(endpoint.address);
  if (address === null) throw new TypeError(`"${endpoint.address}" is not a literal address.`);
  return sha1(head, address, port);
}

function natNotify(type: NotifyType, data: Uint8Array): Payload {
  return { kind: "notify", protocolId: 0, spi: new Uint8Array(0), type, data };
}

function notifiesOf(payloads: readonly Payload[], type: number): Notify[] {
  return payloads.filter((payload): payload is Notify => payload.kind === "notify" && payload.type === type);
}

function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}
