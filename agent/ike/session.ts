import { CryptoError } from "../crypto/crypto-error.ts";
import type { SkProtection } from "../crypto/sk-protection.ts";
import { NotifyType } from "../wire/iana.ts";
import { aadOf, frameSk, frameSkf, type PlainOctets } from "../wire/ikev2/message.ts";
import type { Header, PayloadOf } from "../wire/ikev2/message-types.ts";
import { IkeProtocolError } from "../wire/ikev2/protocol-error.ts";
import { cutFragments, LARGEST_MESSAGE } from "./fragmentation.ts";
import type { NatSide, Role } from "./ike-sa.ts";
import type { IkeSuite } from "./negotiation/choose-proposal.ts";
import { type IkeKeys, withoutAuthKeys } from "./negotiation/key-schedule.ts";

/** What IKE_SA_INIT (or a rekey) has agreed on: the keys and how to talk. */
export interface Session {
  readonly suite: IkeSuite;
  readonly keys: IkeKeys;
  readonly nat: NatSide;
  /** Child SAs go in UDP: there is a NAT, or one side asked for it. */
  readonly encapsulated: boolean;
  /** The peer takes fragments (RFC 7383 §2.3). */
  readonly fragmentation: boolean;
  /** As responder the peer takes an IKE_AUTH without a Child SA (RFC 6023). */
  readonly childless: boolean;
  /** Until IKE_AUTH is done: RFC 7427 hash algorithms the peer verifies; null: it only knows the old authentication methods. */
  readonly peerHashes: readonly number[] | null;
  /** As long: whose certificates the peer asked for in IKE_SA_INIT, hashes as in CERTREQ (RFC 7296 §3.7); null: it did not. */
  readonly requestedAuthorities: Uint8Array | null;
}

const SKF_OVERHEAD = 28 + 4 + 4;

/** The datagrams of one protected message with these payloads: a single one, or fragments when it is longer than `largest` and the peer takes them. */
export function sealMessage(session: Session, role: Role, header: Header, contents: PlainOctets, largest = LARGEST_MESSAGE): Uint8Array[] {
  const protection = protectionFrom(session, role);
  const { firstPayload, bytes: plain } = contents;
  const whole = frameSk(header, firstPayload, protection.bodyOctets(plain.length));
  if (whole.bytes.length <= largest || !session.fragmentation) {
    whole.body.set(protection.seal(whole.aad, plain));
    return [whole.bytes];
  }
  const parts = cutFragments(plain, protection.capacity(largest - SKF_OVERHEAD));
  return parts.map((part, index) => {
    const numbers = { firstPayload: index === 0 ? firstPayload : 0, fragmentNumber: index + 1, totalFragments: parts.length };
    const framed = frameSkf(header, numbers, protection.bodyOctets(part.length));
    framed.body.set(protection.seal(framed.aad, part));
    return framed.bytes;
  });
}

/** The plaintext of an SK or SKF payload. Throws IkeProtocolError `discard` when it is not the peer's (RFC 7296 §2.21.4). */
export function openPayload(session: Session, role: Role, datagram: Uint8Array, payload: PayloadOf<"sk" | "skf">): Uint8Array {
  const protection = protectionFrom(session, role === "initiator" ? "responder" : "initiator");
  try {
    return protection.open(aadOf(datagram, payload), payload.body);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new IkeProtocolError(NotifyType.INVALID_SYNTAX, "discard", "A protected message failed its integrity check.");
  }
}

/** Once both ends are authenticated: what was for AUTH alone is erased, and not kept for as long as the SA lives. */
export function afterAuth(session: Session): Session {
  return { ...session, keys: withoutAuthKeys(session.keys), peerHashes: null, requestedAuthorities: null };
}

export function zeroizeSession(session: Session): void {
  session.keys.fromInitiator.zeroize();
  session.keys.fromResponder.zeroize();
  for (const key of [session.keys.skD, session.keys.skPi, session.keys.skPr]) key.fill(0);
}

function protectionFrom(session: Session, role: Role): SkProtection {
  return role === "initiator" ? session.keys.fromInitiator : session.keys.fromResponder;
}
