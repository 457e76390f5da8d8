import type { Hmac, HmacHash } from "../../crypto/hmac.ts";
import { Arena } from "./arena.ts";
import { crypto } from "./native.ts";
import { writeDigestParameter } from "./packet-mac.ts";

const ROOM_OCTETS = 32_768;
const DIGEST_OCTETS = 64;

/** HMAC through OpenSSL's EVP_MAC with one context a hash, made once. What was computed over is wiped from the arena. @throws Error when OpenSSL refuses. */
export function opensslHmac(): Hmac {
  const arena = new Arena(2 * ROOM_OCTETS);
  const { bytes, address } = arena;
  const room = arena.allocate(ROOM_OCTETS);
  const digest = arena.allocate(DIGEST_OCTETS);
  const digestLength = arena.allocate(8);
  const contexts = { sha256: newContext(arena, "sha256"), sha384: newContext(arena, "sha384"), sha512: newContext(arena, "sha512") };
  return (hash, key, parts) => {
    const context = contexts[hash];
    if (key.length > ROOM_OCTETS) throw new RangeError(`a key of ${key.length} octets`);
    bytes.set(key, room);
    if (crypto.macInit(context, address + room, key.length, 0) !== 1) throw new Error(`OpenSSL refused a key for HMAC with ${hash}`);
    bytes.fill(0, room, room + key.length);
    let used = 0;
    let most = 0;
    const take = () => {
      if (used > 0) crypto.macUpdate(context, address + room, used);
      most = Math.max(most, used);
      used = 0;
    };
    for (const part of parts) {
      for (let from = 0; from < part.length; from += ROOM_OCTETS) {
        const piece = part.length > ROOM_OCTETS ? part.subarray(from, from + ROOM_OCTETS) : part;
        if (used + piece.length > ROOM_OCTETS) take();
        bytes.set(piece, room + used);
        used += piece.length;
      }
    }
    take();
    bytes.fill(0, room, room + most);
    if (crypto.macFinal(context, address + digest, address + digestLength, DIGEST_OCTETS) !== 1) throw new Error("OpenSSL could not compute an HMAC");
    const octets = arena.view.getUint32(digestLength, true);
    const out = bytes.slice(digest, digest + octets);
    bytes.fill(0, digest, digest + octets);
    return out;
  };
}

function newContext(arena: Arena, hash: HmacHash): number {
  const mac = crypto.macFetch(0, "HMAC", 0);
  const context: number = crypto.macContextNew(mac);
  crypto.macFree(mac);
  const parameters = arena.allocate(192);
  writeDigestParameter(arena, parameters, hash);
  const key = arena.allocate(64);
  // The hash is set with the first key and stays.
  if (context === 0 || crypto.macInit(context, arena.address + key, 64, arena.address + parameters) !== 1) throw new Error(`OpenSSL has no HMAC with ${hash}`);
  arena.free(parameters, 192);
  arena.free(key, 64);
  return context;
}
