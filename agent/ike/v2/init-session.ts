import { supportedSignatureHashes } from "../../crypto/signature.ts";
import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { readU16, writeU16 } from "../../wire/octets.ts";
import type { Link, Role } from "../ike-sa.ts";
import { findNotify, notify } from "../messaging.ts";
import { type Choice, formatIkeSuite, type IkeSuite } from "../negotiation/choose-proposal.ts";
import { deriveIkeKeys } from "../negotiation/key-schedule.ts";
import { detectNat } from "../negotiation/nat-detection.ts";
import { requestedAuthorities } from "../negotiation/own-certificate.ts";
import { formatAdditionalKex, formatKex } from "../negotiation/proposal-keywords.ts";
import type { Session } from "../session.ts";
import { traceChoice } from "../trace.ts";
import type { Turn } from "../turn.ts";

/* What IKE_SA_INIT agrees on beside the keys: each side says what it can do, and learns where the NATs are. */

/** The keys, and what the peer's message says about it. `local` and `remote` as the message arrived. */
export function newSession(
  turn: Turn,
  link: Link,
  peerRole: Role,
  choice: Choice<IkeSuite>,
  facts: Parameters<typeof deriveIkeKeys>[1],
  secret: Uint8Array,
  peerPayloads: readonly Payload[],
  local: UdpEndpoint,
  remote: UdpEndpoint,
): Session {
  // In the request the responder's SPI was still 0 when the hashes were made.
  const hashed = peerRole === "initiator" ? { spiI: facts.spiI, spiR: 0n } : facts;
  const nat = detectNat(peerPayloads, hashed, local, remote);
  const hashes = findNotify(peerPayloads, NotifyType.SIGNATURE_HASH_ALGORITHMS);
  return {
    suite: choice.suite,
    keys: deriveIkeKeys(choice.suite, facts, secret, turn.engine.random),
    nat,
    encapsulated: nat !== "none" || link.config.forceEncapsulation,
    fragmentation: findNotify(peerPayloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== null,
    childless: findNotify(peerPayloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) !== null,
    peerHashes: hashes === null ? null : readHashes(hashes.data),
    requestedAuthorities: requestedAuthorities(peerPayloads),
  };
}

/** Notifies that say what we can do (RFC 7383 §2.3, RFC 7427 §4); `withIntermediate` also RFC 9242 §3.1; RFC 6023 §3 is the responder's to say. */
export function capabilities(own: Role, withIntermediate: boolean): Payload[] {
  const hashes = new Uint8Array(2 * supportedSignatureHashes.length);
  for (const [index, hash] of supportedSignatureHashes.entries()) writeU16(hashes, 2 * index, hash);
  const intermediate = withIntermediate ? [notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)] : [];
  const childless = own === "responder" ? [notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED)] : [];
  return [notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED), notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, hashes), ...intermediate, ...childless];
}

function readHashes(data: Uint8Array): number[] {
  return Array.from({ length: data.length >> 1 }, (_, index) => readU16(data, 2 * index));
}

export function traceSession(turn: Turn, linkId: string | null, session: Session): void {
  traceChoice(turn, linkId, "IKE_SA_INIT", `IKE suite ${formatIkeSuite(session.suite)}; NAT: ${session.nat}.`, {
    suite: formatIkeSuite(session.suite),
    keyExchange: formatKex(session.suite.kex),
    additionalKeyExchanges: session.suite.additional.map(({ number, method }) => formatAdditionalKex(number, method)),
    nat: session.nat,
    encapsulated: session.encapsulated,
    fragmentation: session.fragmentation,
  });
}
