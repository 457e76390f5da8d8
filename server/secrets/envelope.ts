import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** What a Secret row holds. The tags are the last 16 octets of `wrappedKey` and `ciphertext`. */
export interface Envelope {
  readonly masterKeyId: string;
  readonly wrappedKey: Uint8Array<ArrayBuffer>;
  readonly wrapNonce: Uint8Array<ArrayBuffer>;
  readonly nonce: Uint8Array<ArrayBuffer>;
  readonly ciphertext: Uint8Array<ArrayBuffer>;
}

const tagOctets = 16;

/** Names a master key without telling anything of it. */
export function masterKeyId(masterKey: Uint8Array): string {
  return createHash("sha256").update("culvert master key id").update(masterKey).digest("hex").slice(0, 16);
}

/**
 * AES-256-GCM under a fresh data key, which is wrapped by `masterKey` (32 octets) the same way. `context` (the row's id) is
 * authenticated with both, so that an envelope moved to another row does not open.
 */
export function seal(masterKey: Uint8Array, context: string, plaintext: Uint8Array): Envelope {
  const dataKey = randomBytes(32);
  const wrapNonce = randomBytes(12);
  const nonce = randomBytes(12);
  const envelope = {
    masterKeyId: masterKeyId(masterKey),
    wrapNonce: new Uint8Array(wrapNonce),
    nonce: new Uint8Array(nonce),
    wrappedKey: encrypt(masterKey, wrapNonce, `key ${context}`, dataKey),
    ciphertext: encrypt(dataKey, nonce, `data ${context}`, plaintext),
  };
  dataKey.fill(0);
  return envelope;
}

/** Throws when the key is not the one it was sealed under, or a single bit differs. */
export function unseal(masterKey: Uint8Array, context: string, envelope: Envelope): Uint8Array {
  const dataKey = decrypt(masterKey, envelope.wrapNonce, `key ${context}`, envelope.wrappedKey);
  const plaintext = decrypt(dataKey, envelope.nonce, `data ${context}`, envelope.ciphertext);
  dataKey.fill(0);
  return plaintext;
}

function encrypt(key: Uint8Array, nonce: Uint8Array, aad: string, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(aad));
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

function decrypt(key: Uint8Array, nonce: Uint8Array, aad: string, sealed: Uint8Array): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(sealed.subarray(sealed.length - tagOctets));
  return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - tagOctets)), decipher.final()]);
}
