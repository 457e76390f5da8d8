import { createCipheriv } from "node:crypto";

/** AES-CMAC with a key of 16 octets (RFC 4493); all 16 octets of the result. For the reference of what is not offered: node:crypto has no CMAC. */
export function aesCmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const encrypt = (block: Uint8Array) => new Uint8Array(createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(block));
  const once = doubled(encrypt(new Uint8Array(BLOCK)));
  const lastAt = message.length === 0 ? 0 : Math.floor((message.length - 1) / BLOCK) * BLOCK;
  const isWhole = message.length - lastAt === BLOCK;
  const last = new Uint8Array(BLOCK);
  last.set(message.subarray(lastAt));
  if (!isWhole) last[message.length - lastAt] = 0x80;
  let state: Uint8Array = new Uint8Array(BLOCK);
  for (let at = 0; at < lastAt; at += BLOCK) state = encrypt(xored(state, message.subarray(at, at + BLOCK)));
  return encrypt(xored(xored(state, last), isWhole ? once : doubled(once)));
}

const BLOCK = 16;

/** Multiplied by x in GF(2^128): shifted left, and reduced by x^128 + x^7 + x^2 + x + 1. */
function doubled(block: Uint8Array): Uint8Array {
  const out = block.map((octet, index) => (octet << 1) | ((block[index + 1] ?? 0) >> 7));
  if ((block[0]! & 0x80) !== 0) out[BLOCK - 1] = out[BLOCK - 1]! ^ 0x87;
  return out;
}

function xored(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((octet, index) => octet ^ b[index]!);
}
