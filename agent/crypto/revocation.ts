import { type Certificate, sameOctets } from "./certificate.ts";
import {
  covers,
  isSignedBy,
  isSignedByAside,
  listAddresses,
  readRevocationList,
  readRevocationListAside,
  responderAddresses,
  type RevocationList,
  serialText,
} from "./crl.ts";
import type { Revocation } from "./crl-entries.ts";
import { CryptoError } from "./crypto-error.ts";
import { readStatusAnswer, type StatusAnswer } from "./ocsp.ts";

/*
 * What is known of certificates that their authorities have taken back. Filled from outside with lists and OCSP answers, asked by whoever
 * verifies a path; it reads no clock and opens no connection.
 */

export type RevocationStatus =
  | { readonly kind: "good" }
  | ({ readonly kind: "revoked" } & Revocation)
  /** It has been tried in vain, or there is nobody to ask; `why` is a clause that says which. */
  | { readonly kind: "unknown"; readonly isAskable: boolean; readonly why: string }
  /** Somebody can be asked and has not been, or not lately. */
  | { readonly kind: "unsettled"; readonly query: RevocationQuery };

/** Whom to ask about one certificate. Addresses are of the web and stand in a certificate whose path leads to a trusted authority. */
export interface RevocationQuery {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
  readonly responders: readonly string[];
  readonly lists: readonly string[];
}

export interface RevocationSource {
  /** `at`: milliseconds since 1970. */
  status(certificate: Certificate, issuer: Certificate, at: number): RevocationStatus;
}

/** How far clocks may differ from ours. */
const SKEW_MS = 300_000;
/** How long what says nothing of its end is believed. */
const LIST_MS = 86_400_000;
const ANSWER_MS = 3_600_000;
/** How long a failure is believed before it is tried again. */
const FAILURE_MS = 60_000;
const MOST_LISTS = 64;
const MOST_ANSWERS = 20_000;
/** An authority has few certificates at a time. */
const MOST_VERIFIED = 8;

interface Failed {
  readonly at: number;
  readonly why: string;
}

export class RevocationStore implements RevocationSource {
  /** By the issuer's name. */
  readonly #lists = new Map<string, RevocationList[]>();
  readonly #answers = new Map<string, StatusAnswer>();
  readonly #failures = new Map<string, Failed>();
  /** Whose signature a list has: each is verified once, however often a handshake reads the authority's certificate anew. */
  readonly #verified = new WeakMap<RevocationList, Verified[]>();

  status(certificate: Certificate, issuer: Certificate, at: number): RevocationStatus {
    const points = listAddresses(certificate);
    const lists = (this.#lists.get(keyOf(issuer.subject)) ?? []).filter((list) => isCurrent(list, LIST_MS, at) && covers(list, certificate, points));
    const signed = lists.filter((list) => this.#isSignedBy(list, issuer));
    for (const list of signed) {
      const revocation = list.revoked.find(certificate.serialNumber);
      if (revocation !== null) return { kind: "revoked", ...revocation };
    }
    const answer = this.#answers.get(idOf(certificate));
    const current = answer !== undefined && isCurrent(answer, ANSWER_MS, at) ? answer.status : null;
    if (current?.kind === "revoked") return current;
    if (signed.length > 0 || current?.kind === "good") return { kind: "good" };
    const responders = responderAddresses(certificate);
    if (responders.length + points.length === 0)
      return { kind: "unknown", isAskable: false, why: "its authority has no list here, and the certificate names no place to ask" };
    const failure = this.#failures.get(idOf(certificate));
    if (failure !== undefined && at - failure.at < FAILURE_MS) return { kind: "unknown", isAskable: true, why: failure.why };
    return { kind: "unsettled", query: { certificate, issuer, responders, lists: points } };
  }

  /**
   * Keeps a list in DER that one of these authorities has signed, in place of an older one of the same authority and scope. The
   * milliseconds since 1970 until which it is good. @throws CryptoError `badRevocation` for a list that cannot be used: then the former stays.
   */
  addList(der: Uint8Array, authorities: readonly Certificate[], at: number): number {
    const list = readRevocationList(der);
    return this.#keepList(
      list,
      authorities.some((authority) => this.#isSignedBy(list, authority)),
      at,
    );
  }

  /** The same without holding anybody up: the list is read in short steps with a `pause` after each, its signature verified on another thread. */
  async addListAside(der: Uint8Array, authorities: readonly Certificate[], at: number, pause: () => Promise<void>): Promise<number> {
    const list = await readRevocationListAside(der, pause);
    const verified = await Promise.all(authorities.map(async (authority) => ({ authority, isSigner: await isSignedByAside(list, authority) })));
    this.#verified.set(list, verified);
    return this.#keepList(
      list,
      verified.some((one) => one.isSigner),
      at,
    );
  }

  #keepList(list: RevocationList, isSigned: boolean, at: number): number {
    if (!isSigned) throw new CryptoError("badRevocation", "the revocation list is not signed by the certificate's authority");
    if (!isCurrent(list, LIST_MS, at))
      throw new CryptoError(
        "badRevocation",
        `the revocation list is not for now (${day(list.thisUpdate)} to ${list.nextUpdate === null ? "?" : day(list.nextUpdate)})`,
      );
    const key = keyOf(list.issuer);
    const others = (this.#lists.get(key) ?? []).filter((other) => !isReplaced(other, list));
    this.#lists.delete(key);
    this.#lists.set(key, [...others, list].slice(-MOST_LISTS));
    forgetOldest(this.#lists, MOST_LISTS);
    return endOf(list, LIST_MS);
  }

  /** Keeps an OCSP answer in DER about this certificate; until when it is good. @throws CryptoError `badRevocation` for one that cannot be used. */
  addAnswer(der: Uint8Array, { certificate, issuer }: Pick<RevocationQuery, "certificate" | "issuer">, at: number): number {
    const answer = readStatusAnswer(der, certificate, issuer, at);
    if (!isCurrent(answer, ANSWER_MS, at)) throw new CryptoError("badRevocation", "the OCSP answer is not for now");
    if (answer.status.kind === "unknown") throw new CryptoError("badRevocation", "the OCSP responder does not know the certificate");
    this.#answers.delete(idOf(certificate));
    this.#answers.set(idOf(certificate), answer);
    forgetOldest(this.#answers, MOST_ANSWERS);
    return endOf(answer, ANSWER_MS);
  }

  /** Nobody could be asked; `why` is a clause. */
  noteFailure(certificate: Certificate, why: string, at: number): void {
    this.#failures.delete(idOf(certificate));
    this.#failures.set(idOf(certificate), { at, why });
    forgetOldest(this.#failures, MOST_ANSWERS);
  }

  #isSignedBy(list: RevocationList, authority: Certificate): boolean {
    const known = this.#verified.get(list) ?? [];
    const same = known.find((one) => one.authority === authority || sameOctets(one.authority.der, authority.der));
    if (same !== undefined) return same.isSigner;
    const isSigner = isSignedBy(list, authority);
    this.#verified.set(list, [...known, { authority, isSigner }].slice(-MOST_VERIFIED));
    return isSigner;
  }
}

interface Verified {
  readonly authority: Certificate;
  readonly isSigner: boolean;
}

interface Dated {
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | null;
}

function isCurrent(dated: Dated, lifetimeMs: number, at: number): boolean {
  return dated.thisUpdate.getTime() - SKEW_MS <= at && at <= endOf(dated, lifetimeMs);
}

function endOf({ thisUpdate, nextUpdate }: Dated, lifetimeMs: number): number {
  return nextUpdate === null ? thisUpdate.getTime() + lifetimeMs : nextUpdate.getTime();
}

/** By a newer list of the same scope. An authority's new key has another signature and the same name: both are kept until the old one ends. */
function isReplaced(old: RevocationList, list: RevocationList): boolean {
  const scope = (one: RevocationList): string => JSON.stringify(one.scope);
  return scope(old) === scope(list) && sameOctets(old.signature.algorithm, list.signature.algorithm) && old.thisUpdate <= list.thisUpdate;
}

function keyOf(name: Uint8Array): string {
  return Buffer.from(name).toString("latin1");
}

function idOf(certificate: Certificate): string {
  return `${keyOf(certificate.issuer)}\0${serialText(certificate.serialNumber)}`;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 16).replace("T", " ");
}

function forgetOldest(map: Map<string, unknown>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
