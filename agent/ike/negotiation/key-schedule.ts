import { findCipher } from "../../crypto/encr.ts";
import { findInteg } from "../../crypto/integ.ts";
import { computePrf, findPrf, type PrfSpec, prfPlus } from "../../crypto/prf.ts";
import { SkProtection } from "../../crypto/sk-protection.ts";
import type { SaKeys } from "../../crypto/sa-keys.ts";
import { Integ } from "../../wire/iana.ts";
import { concatOctets, writeU64 } from "../../wire/octets.ts";
import type { RandomSource } from "../endpoint-types.ts";
import type { EspSuite, IkeSuite } from "./choose-proposal.ts";

/** Keys of an IKE SA (RFC 7296 §2.14), ready for use by the side that made them. */
export interface IkeKeys {
  readonly prf: PrfSpec;
  readonly skD: Uint8Array;
  /** For AUTH alone: empty once that is done, and after a rekey. */
  readonly skPi: Uint8Array;
  readonly skPr: Uint8Array;
  readonly fromInitiator: SkProtection;
  readonly fromResponder: SkProtection;
}

export interface ExchangeFacts {
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly spiI: bigint;
  readonly spiR: bigint;
}

/*
 * What keys are made of is erased as soon as they are made: the shared secrets that the functions here are given, SKEYSEED, and the
 * outputs of prf+. (Private keys of a key exchange are OpenSSL's objects, which clears them when they are collected.)
 */

/** SKEYSEED = prf(Ni | Nr, g^ir) and what follows from it. */
export function deriveIkeKeys(suite: IkeSuite, facts: ExchangeFacts, sharedSecret: Uint8Array, random: RandomSource): IkeKeys {
  const prf = prfOf(suite);
  const skeyseed = computePrf(prf, concatOctets([facts.nonceI, facts.nonceR]), sharedSecret);
  erase(sharedSecret);
  return expand(suite, facts, skeyseed, random);
}

/** After an additional key exchange: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr) (RFC 9370 §2.2.2). `facts` of IKE_SA_INIT. */
export function deriveUpdatedIkeKeys(suite: IkeSuite, current: IkeKeys, facts: ExchangeFacts, sharedSecret: Uint8Array, random: RandomSource): IkeKeys {
  const skeyseed = computePrf(current.prf, current.skD, sharedSecret, facts.nonceI, facts.nonceR);
  erase(sharedSecret);
  return expand(suite, facts, skeyseed, random);
}

/**
 * Rekeying: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr) with the OLD SA's prf, the rest with the new one's (RFC 7296 §2.18);
 * the secrets of additional key exchanges follow the nonces (RFC 9370 §2.2.4).
 */
export function deriveRekeyedIkeKeys(
  suite: IkeSuite,
  old: { readonly prf: PrfSpec; readonly skD: Uint8Array },
  facts: ExchangeFacts,
  sharedSecret: Uint8Array,
  additionalSecrets: readonly Uint8Array[],
  random: RandomSource,
): IkeKeys {
  const skeyseed = computePrf(old.prf, old.skD, sharedSecret, facts.nonceI, facts.nonceR, ...additionalSecrets);
  erase(sharedSecret, ...additionalSecrets);
  return withoutAuthKeys(expand(suite, facts, skeyseed, random));
}

/** Once the peer is authenticated: what AUTH was made with is erased and not kept (RFC 7296 §2.15). */
export function withoutAuthKeys(keys: IkeKeys): IkeKeys {
  erase(keys.skPi, keys.skPr);
  return { ...keys, skPi: NO_KEY, skPr: NO_KEY };
}

const NO_KEY = new Uint8Array(0);

/**
 * KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr), the initiator's direction first, in each encryption before integrity (RFC 7296 §2.17).
 * `sharedSecret` is null without PFS; the secrets of additional key exchanges follow the nonces (RFC 9370 §2.2.4). Initiator is who
 * sent the request of this exchange.
 */
export function deriveChildKeys(
  suite: EspSuite,
  ike: { readonly prf: PrfSpec; readonly skD: Uint8Array },
  nonces: { readonly nonceI: Uint8Array; readonly nonceR: Uint8Array },
  sharedSecret: Uint8Array | null,
  additionalSecrets: readonly Uint8Array[],
): { readonly fromInitiator: SaKeys; readonly fromResponder: SaKeys } {
  const { cipher, integ } = suite.protocol === "ah" ? { cipher: NO_CIPHER, integ: findInteg(suite.integ) } : algorithmsOf(suite);
  const integrityOctets = integ?.keyOctets ?? 0;
  const each = cipher.keyOctets + cipher.saltOctets + integrityOctets;
  const seed = concatOctets([sharedSecret ?? new Uint8Array(0), nonces.nonceI, nonces.nonceR, ...additionalSecrets]);
  const keymat = prfPlus(ike.prf, ike.skD, seed, 2 * each);
  const cut = (at: number): SaKeys => ({
    encr: suite.encr,
    encryptionKey: keymat.slice(at, at + cipher.keyOctets),
    salt: keymat.slice(at + cipher.keyOctets, at + cipher.keyOctets + cipher.saltOctets),
    integ: integ === undefined ? Integ.NONE : suite.integ,
    integrityKey: keymat.slice(at + cipher.keyOctets + cipher.saltOctets, at + each),
  });
  const keys = { fromInitiator: cut(0), fromResponder: cut(each) };
  erase(seed, keymat, ...additionalSecrets);
  if (sharedSecret !== null) erase(sharedSecret);
  return keys;
}

/** AH takes keys for integrity alone (RFC 7296 §2.17). */
const NO_CIPHER = { keyOctets: 0, saltOctets: 0 } as const;

function expand(suite: IkeSuite, facts: ExchangeFacts, skeyseed: Uint8Array, random: RandomSource): IkeKeys {
  const prf = prfOf(suite);
  const { cipher, integ } = algorithmsOf(suite);
  const integrityOctets = integ?.keyOctets ?? 0;
  const encryptionOctets = cipher.keyOctets + cipher.saltOctets;
  const spis = new Uint8Array(16);
  writeU64(spis, 0, facts.spiI);
  writeU64(spis, 8, facts.spiR);
  const seed = concatOctets([facts.nonceI, facts.nonceR, spis]);
  const stream = prfPlus(prf, skeyseed, seed, 3 * prf.octets + 2 * integrityOctets + 2 * encryptionOctets);
  let at = 0;
  const take = (octets: number): Uint8Array => {
    at += octets;
    return stream.slice(at - octets, at);
  };
  // {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr}
  const skD = take(prf.octets);
  const skAi = take(integrityOctets);
  const skAr = take(integrityOctets);
  const skEi = take(encryptionOctets);
  const skEr = take(encryptionOctets);
  // What lasts as long as the SA lies in one piece: each array of its own would take 350 octets beside its content.
  const each = encryptionOctets + integrityOctets;
  const kept = new Uint8Array(prf.octets + 2 * each);
  kept.set(skD);
  const [ofInitiator, ofResponder] = [kept.subarray(prf.octets, prf.octets + each), kept.subarray(prf.octets + each)];
  const keys = {
    prf,
    skD: kept.subarray(0, prf.octets),
    skPi: take(prf.octets),
    skPr: take(prf.octets),
    fromInitiator: new SkProtection(cipher, integ, skEi, skAi, random, ofInitiator),
    fromResponder: new SkProtection(cipher, integ, skEr, skAr, random, ofResponder),
  };
  erase(skeyseed, stream, skD, skAi, skAr, skEi, skEr);
  return keys;
}

function erase(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}

function prfOf(suite: IkeSuite): PrfSpec {
  const prf = findPrf(suite.prf);
  if (prf === undefined) throw new TypeError(`PRF ${suite.prf} was chosen and does not exist.`);
  return prf;
}

function algorithmsOf(suite: IkeSuite | EspSuite): { cipher: NonNullable<ReturnType<typeof findCipher>>; integ: ReturnType<typeof findInteg> } {
  const cipher = findCipher(suite.encr, suite.keyLengthBits ?? undefined);
  if (cipher === undefined) throw new TypeError(`Cipher ${suite.encr} of ${suite.keyLengthBits} bits was chosen and does not exist.`);
  return { cipher, integ: cipher.icvOctets === 0 ? findInteg(suite.integ) : undefined };
}
