import type { UdpEndpoint } from "../ipsec/security-association.ts";
import { ExchangeType, NotifyType, PayloadType } from "../wire/iana.ts";
import { readU16, readU32, readU64, writeU16, writeU32 } from "../wire/octets.ts";
import type { Instant } from "./endpoint-types.ts";
import type { EngineState } from "./turn.ts";
import { FLOOD_REPORT_MS, halfOpenKey } from "./v2/init-strangers.ts";

/*
 * Under a flood of IKE_SA_INIT most requests are answered with a cookie and leave nothing behind (RFC 7296 §2.6). Those are answered
 * here from their octets: decoding them, a turn of the engine and a place in its queue cost four times as much, and what they cost
 * decides how large a flood an honest peer still gets through. Whatever is not plainly such a request goes the usual way.
 */

const HEADER_OCTETS = 28;
const ANSWER_OCTETS = HEADER_OCTETS + 4 + 4 + 33;
const INITIATOR_ONLY = 0x08;
const CRITICAL = 0x80;

/** The answer to a request that is only to be given a cookie; null for every other datagram, and once a second for the trace's sake. */
export function statelessCookie(engine: EngineState, datagram: Uint8Array, remote: UdpEndpoint, now: Instant): Uint8Array | null {
  const { options, halfOpen, cookies } = engine;
  if (halfOpen.size < Math.min(options.cookieThreshold, options.halfOpenLimit) || now - engine.floodReportedAt >= FLOOD_REPORT_MS) return null;
  const nonceI = nonceOfBareRequest(datagram);
  if (nonceI === null) return null;
  const spiI = readU64(datagram, 0);
  // A retransmission of one that has been let in gets the answer of before.
  if (spiI === 0n || halfOpen.has(halfOpenKey(remote, spiI))) return null;
  return answerTo(datagram, cookies.bake({ spiI, nonceI, remote }, now));
}

/** Ni of a whole IKE_SA_INIT request with SA and KE, without a cookie or anything critical; else null. */
function nonceOfBareRequest(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length < HEADER_OCTETS || bytes[18] !== ExchangeType.IKE_SA_INIT || bytes[19] !== INITIATOR_ONLY || bytes[17] !== 0x20) return null;
  if (readU32(bytes, 8) !== 0 || readU32(bytes, 12) !== 0 || readU32(bytes, 20) !== 0 || readU32(bytes, 24) !== bytes.length) return null;
  let type = bytes[16]!;
  let at = HEADER_OCTETS;
  let nonce: Uint8Array | null = null;
  let hasSa = false;
  let hasKe = false;
  while (type !== PayloadType.NONE) {
    if (at + 4 > bytes.length) return null;
    const length = readU16(bytes, at + 2);
    if (length < 4 || at + length > bytes.length || (bytes[at + 1]! & CRITICAL) !== 0) return null;
    if (type === PayloadType.SA) {
      if (hasSa) return null;
      hasSa = true;
    } else if (type === PayloadType.KE) {
      if (hasKe) return null;
      hasKe = true;
    } else if (type === PayloadType.NONCE) {
      if (nonce !== null || length < 4 + 16 || length > 4 + 256) return null;
      nonce = bytes.subarray(at + 4, at + length);
    } else if (type === PayloadType.NOTIFY) {
      if (length < 8 || readU16(bytes, at + 6) === NotifyType.COOKIE) return null;
    } else if (type !== PayloadType.VENDOR && type !== PayloadType.CERTREQ) return null;
    type = bytes[at]!;
    at += length;
  }
  return at === bytes.length && hasSa && hasKe ? nonce : null;
}

function answerTo(request: Uint8Array, cookie: Uint8Array): Uint8Array {
  const answer = new Uint8Array(ANSWER_OCTETS);
  answer.set(request.subarray(0, 8), 0);
  answer[16] = PayloadType.NOTIFY;
  answer[17] = 0x20;
  answer[18] = ExchangeType.IKE_SA_INIT;
  answer[19] = 0x20;
  writeU32(answer, 24, ANSWER_OCTETS);
  writeU16(answer, HEADER_OCTETS + 2, ANSWER_OCTETS - HEADER_OCTETS);
  writeU16(answer, HEADER_OCTETS + 6, NotifyType.COOKIE);
  answer.set(cookie, HEADER_OCTETS + 8);
  return answer;
}
