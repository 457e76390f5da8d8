import { computePrf, findPrf } from "../../crypto/prf.ts";
import { sameSecret } from "../../crypto/same-secret.ts";
import { Prf } from "../../wire/iana.ts";
import { concatOctets, writeU64 } from "../../wire/octets.ts";
import type { Instant, RandomSource } from "../endpoint-types.ts";

/*
 * Stateless cookies (RFC 7296 §2.6): Cookie = version | HMAC(secret, Ni | IPi | port | SPIi). The secret changes every minute and
 * the one before it stays good, so that a cookie lives one to two minutes; the version octet says which one was used.
 */
const SECRET_LIFETIME_MS = 60_000;
const SECRET_OCTETS = 32;

interface Secret {
  readonly version: number;
  readonly octets: Uint8Array;
  readonly madeAt: Instant;
}

/** What a cookie binds: an answer that returns it comes from where the question was sent to. */
export interface CookieFacts {
  readonly spiI: bigint;
  readonly nonceI: Uint8Array;
  readonly remote: { readonly address: string; readonly port: number };
}

/** The secrets of this endpoint; made on first use. */
export class CookieJar {
  readonly #random: RandomSource;
  #current: Secret | null = null;
  #previous: Secret | null = null;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  bake(facts: CookieFacts, now: Instant): Uint8Array {
    return cookieOf(this.#currentSecret(now), facts);
  }

  isValid(cookie: Uint8Array, facts: CookieFacts, now: Instant): boolean {
    const current = this.#currentSecret(now);
    const secret = [current, this.#previous].find((one) => one !== null && one.version === cookie[0]);
    return secret !== undefined && secret !== null && sameSecret(cookie, cookieOf(secret, facts));
  }

  #currentSecret(now: Instant): Secret {
    const current = this.#current;
    if (current !== null && now - current.madeAt < SECRET_LIFETIME_MS) return current;
    const isRecent = current !== null && now - current.madeAt < 2 * SECRET_LIFETIME_MS;
    this.#previous = isRecent ? current : null;
    const fresh = { version: ((current?.version ?? 0) + 1) & 0xff, octets: this.#random.bytes(SECRET_OCTETS), madeAt: now };
    this.#current = fresh;
    return fresh;
  }
}

function cookieOf(secret: Secret, facts: CookieFacts): Uint8Array {
  const spi = new Uint8Array(8);
  writeU64(spi, 0, facts.spiI);
  const source = new TextEncoder().encode(`${facts.remote.address}|${facts.remote.port}`);
  const mac = computePrf(findPrf(Prf.HMAC_SHA2_256)!, secret.octets, facts.nonceI, source, spi);
  return concatOctets([Uint8Array.of(secret.version), mac]);
}
