import { CryptoError } from "../../crypto/crypto-error.ts";
import { answerKeyExchange } from "../../crypto/key-exchange.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { type PackedOctets, packOctets } from "../../wire/octets.ts";
import { findPayload } from "../messaging.ts";

/* Nonces and key exchange values: what every exchange brings from which keys are made (RFC 7296 §2.10, §2.14, §2.17, §2.18). */

export const NONCE_OCTETS = 32;

/** Packed, since it is kept as long as the SA. */
export function lowerNonce(a: Uint8Array, b: Uint8Array): PackedOctets {
  const [packedA, packedB] = [packOctets(a), packOctets(b)];
  return compareNonces(packedA, packedB) <= 0 ? packedA : packedB;
}

/** RFC 7296 §2.8.1: nonces compare octet by octet, a prefix is lower. */
export function compareNonces(a: PackedOctets, b: PackedOctets): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Throws INVALID_SYNTAX without a nonce of 16 to 256 octets (RFC 7296 §2.10). A copy. */
export function requireNonce(payloads: readonly Payload[]): Uint8Array {
  const nonce = findPayload(payloads, "nonce");
  if (nonce === null || nonce.data.length < 16 || nonce.data.length > 256) throw invalidSyntax("The message needs a nonce of 16 to 256 octets.");
  return nonce.data.slice();
}

/** A peer's value that is no valid public value breaks the protocol. */
export function answerExchange(method: number, data: Uint8Array): ReturnType<typeof answerKeyExchange> {
  return peerSecret(() => answerKeyExchange(method, data));
}

export function peerSecret<T>(compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw invalidSyntax(`The key exchange value is refused: ${error.message}.`);
  }
}
