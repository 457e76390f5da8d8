/*
 * What a link offers and accepts when nothing is said: strongSwan's proposal keywords, the first preferred (RFC 8221, RFC 8247).
 * Post-quantum comes first: X25519 and ML-KEM-768 together (RFC 9370), so that traffic recorded today stays closed to a quantum
 * computer of tomorrow. A peer that has no ML-KEM takes the next.
 */

export const defaultIkeProposals: readonly string[] = [
  "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
  "aes256gcm16-prfsha384-x25519",
  "aes128gcm16-prfsha256-ecp256",
  "aes256-sha256-modp2048",
];

/** With perfect forward secrecy where the peer has it too. */
export const defaultEspProposals: readonly string[] = [
  "aes256gcm16-x25519-ke1_mlkem768",
  "aes256gcm16-x25519",
  "aes256gcm16",
  "aes128gcm16",
  "chacha20poly1305",
  "aes256-sha256",
];

/** Authentication alone (AH, RFC 4302), for links that ask for it. */
export const defaultAhProposals: readonly string[] = ["sha256-x25519-ke1_mlkem768", "sha256-x25519", "sha256"];
