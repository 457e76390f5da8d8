import { nextAdditional } from "../negotiation/intermediate-auth.ts";
import { authorityKeyHash } from "../../crypto/x509.ts";
import { AuthMethod, CertEncoding, ExchangeType, NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { concatOctets } from "../../wire/octets.ts";
import { softDeadline, hardDeadline } from "../child-sa.ts";
import { type Failure, recordFailure, traceFinding } from "../diagnosis/failure.ts";
import type { Instant } from "../endpoint-types.ts";
import { authenticationRefused, wrongOwnIdentity, wrongPeerIdentity } from "../diagnosis/identities.ts";
import { refusedByNotify } from "../diagnosis/refusal.ts";
import {
  childrenOf,
  establishedPhase,
  type EstablishedPhase,
  type IkeSa,
  type InitTranscript,
  isEnding,
  type Link,
  localIdentityOf,
  remoteIdentityOf,
} from "../ike-sa.ts";
import { findError, findNotify, findPayload, notify, sendRequest } from "../messaging.ts";
import type { Candidates } from "../link-index.ts";
import { type PeerProof, proveOwn, verifyPeer } from "../negotiation/authentication.ts";
import { describeSpecs, formatIkeSuite, isPostQuantum, offersPostQuantum } from "../negotiation/choose-proposal.ts";
import { beforeExpiry, expiryCheckAt } from "../negotiation/peer-expiry.ts";
import { describeIdentity, sameIdentity, type WireIdentity } from "../negotiation/identity.ts";
import { certificateToShow, requestedAuthorities } from "../negotiation/own-certificate.ts";
import { leaveHalfOpen, removeIkeSa } from "../sa-removal.ts";
import { afterAuth, type Session } from "../session.ts";
import { type ActiveTask, queueDeleteIke } from "../task.ts";
import { traceChoice } from "../trace.ts";
import { emitEvent, ikeSasOf, touchIkeSa, type Turn } from "../turn.ts";
import { answerChild, childRequestPayloads, installChild, readChildAnswer, refuseChild, requestChild } from "./child-negotiation.ts";
import { lowerNonce } from "./exchange-values.ts";
import { childRefusal } from "../diagnosis/child-refusal.ts";
import { obstacleToAh, refusesMode } from "./child-mode.ts";

/* IKE_AUTH (RFC 7296 §1.2, §2.15): SK {IDi, [CERT+,] [CERTREQ,] [IDr,] AUTH, SAi2, TSi, TSr}  -->  <--  SK {IDr, [CERT+,] AUTH, SAr2, TSi, TSr} */

/** Initiator: proves itself and asks for the first child of the link. */
export function sendAuthRequest(turn: Turn, sa: IkeSa, link: Link, session: Session, transcript: InitTranscript): void {
  const { config } = link;
  const identity = localIdentityOf(link);
  const own = proveOwn(session, transcript, "initiator", identity, config.credentials, credentialToShow(turn, link, session.requestedAuthorities));
  if (!own.ok) {
    recordFailure(turn, config.id, "IKE_AUTH", own.failure);
    return removeIkeSa(turn, sa);
  }
  const { proof } = own;
  const obstacle = obstacleToAh(link, session);
  if (obstacle !== null) {
    recordFailure(turn, config.id, "IKE_SA_INIT", obstacle);
    return removeIkeSa(turn, sa);
  }
  const first = config.childless === true && session.childless ? undefined : config.children[0];
  const child = first === undefined ? null : requestChild(turn, sa, link, first, null);
  const isFirst = isFirstContact(turn, sa, link);
  const payloads: Payload[] = [
    { kind: "idi", ...identity },
    ...proof.certificates,
    ...certificateRequest([link]),
    // The only active IKE SA between the two: the peer may forget what an earlier life of ours has left there (RFC 7296 §2.4), or what
    // we have ended and could not tell it yet; not one that is to end and is sent over until then.
    ...(isFirst ? [notify(NotifyType.INITIAL_CONTACT)] : []),
    { kind: "idr", ...remoteIdentityOf(link) },
    proof.auth,
    ...(child === null ? [] : childRequestPayloads(child, "auth")),
  ];
  sa.phase = { kind: "authSent", session, transcript };
  sendRequest(turn, sa, ExchangeType.IKE_AUTH, payloads, { kind: "ikeAuth", child, credentialId: proof.credentialId, isFirst });
}

function isFirstContact(turn: Turn, sa: IkeSa, link: Link): boolean {
  const isSentOver = (other: IkeSa): boolean => other !== sa && [...childrenOf(other).values()].some((child) => child.outbound !== null);
  return othersOf(turn, sa, link).length === 0 && !ikeSasOf(turn, link.config.id).some(isSentOver);
}

function othersOf(turn: Turn, sa: IkeSa, link: Link): IkeSa[] {
  return ikeSasOf(turn, link.config.id).filter((other) => other !== sa && establishedPhase(other) !== null && !isEnding(other));
}

/** A key: the one in use. A certificate: the one in use, or another that the peer asks for. */
function credentialToShow(turn: Turn, { config }: Link, requested: Uint8Array | null): string {
  const { credentials } = config;
  if (credentials.method === "psk") return credentials.use;
  const shown = certificateToShow(credentials, requested);
  if (shown !== credentials.use) {
    const why = `The peer asks for a certificate of another authority than that of "${credentials.use}": "${shown}" is shown.`;
    traceChoice(turn, config.id, "IKE_AUTH", why);
  }
  return shown;
}

/** Initiator: the peer has to prove itself before anything else in its answer counts. */
export function onAuthResponse(turn: Turn, sa: IkeSa, link: Link, task: Extract<ActiveTask, { kind: "ikeAuth" }>, payloads: readonly Payload[]): void {
  if (sa.phase.kind !== "authSent") throw new TypeError("An answer to IKE_AUTH needs its request.");
  const { session, transcript } = sa.phase;
  const { config } = link;
  const idr = findPayload(payloads, "idr");
  if (idr === null || findPayload(payloads, "auth") === null) {
    const error = findError(payloads);
    if (error === null) throw invalidSyntax("The answer to IKE_AUTH lacks IDr or AUTH.");
    recordFailure(
      turn,
      config.id,
      "IKE_AUTH",
      error.type === NotifyType.AUTHENTICATION_FAILED ? authenticationRefused(config, task.credentialId, turn.wallNow) : refusedByNotify("IKE_AUTH", error),
    );
    return removeIkeSa(turn, sa);
  }
  const expected = remoteIdentityOf(link);
  if (!sameIdentity(idr, expected)) {
    return rejectPeer(turn, sa, link, wrongPeerIdentity(describeIdentity(idr), describeIdentity(expected)));
  }
  const verdict = verifyPeer(session, transcript, "responder", idr, payloads, config.credentials, turn.wallNow, turn.engine.options.revocation);
  if (!verdict.ok) return rejectPeer(turn, sa, link, verdict.failure);
  establish(turn, sa, link, session, transcript, idr, task.credentialId, verdict).toConfirm = !task.isFirst;
  // There was none to replace, so this is what was asked for; else it is when the other is gone.
  if (othersOf(turn, sa, link).length === 0) link.replaceWantedAt = null;
  if (task.child === null) {
    // The attempt has succeeded: the link's children need not wait for the next.
    link.retryAt = null;
    return;
  }
  const error = findError(payloads);
  if (error !== null && findPayload(payloads, "sa") === null) {
    // RFC 7296 §1.2: the IKE SA stands although its first child does not.
    recordFailure(turn, config.id, "IKE_AUTH", childRefusal(task.child, error, "IKE_AUTH"));
    return endReplacement(turn, sa, link);
  }
  const agreed = readChildAnswer(sa, link, task.child, payloads, transcript);
  if (refusesMode(turn, link, agreed, "IKE_AUTH")) {
    refuseChild(turn, sa, link, agreed);
    return endReplacement(turn, sa, link);
  }
  const child = installChild(turn, sa, link, agreed, [], "initiator", "now");
  // The attempt has succeeded: the link's other children need not wait for the next.
  link.retryAt = null;
  emitEvent(turn, { kind: "childSaEstablished", linkId: config.id, childSaId: child.id });
}

/** What was to replace another IKE SA and got no child is of no use: the other one goes on, and a further attempt comes later. */
function endReplacement(turn: Turn, sa: IkeSa, link: Link): void {
  if (sa.replaces === null || othersOf(turn, sa, link).length === 0) return;
  traceChoice(turn, link.config.id, "REPLACE", "The new IKE SA was refused its Child SA: it is deleted, and the old one goes on.");
  queueDeleteIke(sa);
}

/** Responder: finds the link by who the peer is, checks its proof, answers with ours. The answer; null: the SA is gone after it. */
export function onAuthRequest(
  turn: Turn,
  sa: IkeSa,
  candidates: Candidates,
  payloads: readonly Payload[],
): { readonly payloads: Payload[]; readonly keep: boolean } {
  if (sa.phase.kind !== "initAnswered") throw invalidSyntax("IKE_AUTH comes once, after IKE_SA_INIT.");
  const { session, transcript } = sa.phase;
  if (nextAdditional(session.suite, transcript.intermediate) !== null) {
    throw invalidSyntax("IKE_AUTH came before the additional key exchanges that were agreed on.");
  }
  const idi = findPayload(payloads, "idi");
  if (idi === null) throw invalidSyntax("IKE_AUTH needs IDi.");
  const verifyAs = ({ config: { credentials } }: Link) =>
    verifyPeer(session, transcript, "initiator", idi, payloads, credentials, turn.wallNow, turn.engine.options.revocation);
  const link = findLink(turn, candidates, session, idi, payloads, verifyAs);
  leaveHalfOpen(turn, sa.phase);
  if (link === null) return REFUSED;
  const { config } = link;
  turn.engine.ikeSas.join(sa, config.id);
  touchIkeSa(turn, sa);
  const verdict = verifyAs(link);
  if (!verdict.ok) {
    recordFailure(turn, config.id, "IKE_AUTH", verdict.failure);
    return REFUSED;
  }
  const identity = localIdentityOf(link);
  const credentialId = config.credentials.method === "psk" ? verdict.credentialId : credentialToShow(turn, link, requestedAuthorities(payloads));
  const own = proveOwn(session, transcript, "responder", identity, config.credentials, credentialId);
  if (!own.ok) {
    recordFailure(turn, config.id, "IKE_AUTH", own.failure);
    return REFUSED;
  }
  const { proof } = own;
  establish(turn, sa, link, session, transcript, idi, credentialId, verdict);
  const answer: Payload[] = [{ kind: "idr", ...identity }, ...proof.certificates, proof.auth];
  if (findPayload(payloads, "sa") !== null) answer.push(...answerFirstChild(turn, sa, link, payloads, transcript));
  if (findNotify(payloads, NotifyType.INITIAL_CONTACT) !== null) forgetEarlierSas(turn, sa, link);
  return { payloads: answer, keep: true };
}

function answerFirstChild(turn: Turn, sa: IkeSa, link: Link, payloads: readonly Payload[], transcript: InitTranscript): Payload[] {
  const answer = answerChild(turn, sa, link, payloads, transcript, null);
  if (answer.ok) {
    const child = installChild(turn, sa, link, answer.agreed, [], "responder", "whenPeerDoes");
    emitEvent(turn, { kind: "childSaEstablished", linkId: link.config.id, childSaId: child.id });
  } else if (answer.failure !== null) recordFailure(turn, link.config.id, "IKE_AUTH", answer.failure);
  return answer.payloads;
}

/**
 * RFC 7296 §2.4: what the peer had before is gone. Only SAs that were up before this one began count: the peer knew those when it
 * said so, while one that came up meanwhile (both ends began at once) is as alive as this one.
 */
function forgetEarlierSas(turn: Turn, sa: IkeSa, link: Link): void {
  for (const other of ikeSasOf(turn, link.config.id)) {
    const phase = establishedPhase(other);
    if (other === sa || phase === null || phase.authentication.doneAt > sa.createdAt) continue;
    traceChoice(turn, link.config.id, "IKE_AUTH", "INITIAL_CONTACT: the peer has started anew, so the SAs from before are removed.");
    removeIkeSa(turn, other);
  }
}

/**
 * RFC 7296 §3.5, §4: links of the same addresses are told apart by IDi, then IDr, then by the suite that was agreed on, and those of the same two identities, as two links
 * between the same sites are, by what the peer proves: the method, and of keys the one that it has.
 */
function findLink(
  turn: Turn,
  candidates: Candidates,
  session: Session,
  idi: WireIdentity,
  payloads: readonly Payload[],
  verifyAs: (link: Link) => { readonly ok: boolean },
): Link | null {
  const idr = findPayload(payloads, "idr");
  const byPeer = candidates.byPeer(idi);
  const fitting = byPeer.filter((link) => idr === null || sameIdentity(localIdentityOf(link), idr));
  const suited = fitting.filter((link) =>
    link.ike.some(
      (spec) =>
        spec.encr.some((cipher) => cipher.id === session.suite.encr && cipher.keyLengthBits === session.suite.keyLengthBits) &&
        spec.kex.includes(session.suite.kex),
    ),
  );
  const [first] = suited;
  if (first !== undefined) return suited.length === 1 ? first : (suited.find((link) => provesAs(link, payloads, verifyAs)) ?? first);
  const linkId = candidates.only?.config.id ?? byPeer[0]?.config.id ?? null;
  recordFailure(turn, linkId, "IKE_AUTH", mismatch(candidates, byPeer, fitting, session, idi, idr));
  return null;
}

function provesAs(link: Link, payloads: readonly Payload[], verifyAs: (link: Link) => { readonly ok: boolean }): boolean {
  const hasKeys = link.config.credentials.method === "psk";
  if ((findPayload(payloads, "auth")?.method === AuthMethod.SHARED_KEY_MIC) !== hasKeys) return false;
  // A certificate is looked at once: that may take an answer from elsewhere.
  return !hasKeys || verifyAs(link).ok;
}

/** A sentence is read by people. */
const MOST_NAMED = 8;

function mismatch(
  candidates: Candidates,
  byPeer: readonly Link[],
  fitting: readonly Link[],
  session: Session,
  idi: WireIdentity,
  idr: WireIdentity | null,
): Failure {
  const list = (links: readonly Link[], identityOf: (link: Link) => WireIdentity): string =>
    links.map((link) => describeIdentity(identityOf(link))).join(" or ") || "nobody";
  if (byPeer.length === 0) {
    const named = candidates.some(MOST_NAMED);
    const others = candidates.size > named.length ? ` or one of ${candidates.size - named.length} others` : "";
    return wrongPeerIdentity(describeIdentity(idi), `${list(named, remoteIdentityOf)}${others}`);
  }
  if (fitting.length === 0) return wrongOwnIdentity(idr === null ? "anyone" : describeIdentity(idr), list(byPeer.slice(0, MOST_NAMED), localIdentityOf));
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: `The IKE suite ${formatIkeSuite(session.suite)} is allowed for the address and not for this peer (${describeSpecs(fitting[0]!.ike)}).`,
  };
}

const REFUSED = { payloads: [notify(NotifyType.AUTHENTICATION_FAILED)], keep: false } as const satisfies { payloads: Payload[]; keep: boolean };

function establish(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  session: Session,
  transcript: InitTranscript,
  peer: WireIdentity,
  credentialId: string,
  { path, doubts }: PeerProof,
): EstablishedPhase {
  const { config } = link;
  const isInitiator = sa.role === "initiator";
  const phase: EstablishedPhase = {
    kind: "established",
    session: afterAuth(session),
    authentication: {
      begunAt: sa.createdAt,
      doneAt: turn.now,
      lowestNonce: lowerNonce(transcript.nonceI, transcript.nonceR),
      path,
    },
    begunAs: sa.role,
    establishedAt: turn.now,
    rekeyAt: softDeadline(turn, config.ikeRekeyMs),
    expiresAt: hardDeadline(turn, config.ikeRekeyMs),
    // The initiator does it: it knows the peer's address, and one is enough.
    reauthenticateAt: isInitiator ? earlier(softDeadline(turn, config.reauthenticateMs), beforeExpiry(path, turn)) : null,
    expiryCheckAt: expiryCheckAt(path, turn),
    remoteIdentity: describeIdentity(peer),
    credentialId,
    children: new Map(),
    leftToPeer: false,
    toConfirm: false,
    successor: null,
    pending: [],
    abandonAt: null,
  };
  sa.phase = phase;
  link.furtherLimits = null;
  traceChoice(
    turn,
    config.id,
    "IKE_AUTH",
    `${describeIdentity(peer)} is authenticated with ${config.credentials.method === "psk" ? "the pre-shared key" : "a certificate; ours is"} "${credentialId}".`,
  );
  for (const doubt of doubts) traceFinding(turn, config.id, "IKE_AUTH", unchecked(doubt));
  if (offersPostQuantum(link.ike) && !isPostQuantum(session.suite)) traceFinding(turn, config.id, "IKE_AUTH", CLASSICAL);
  emitEvent(turn, { kind: "ikeSaEstablished", linkId: config.id, ikeSaId: sa.id });
  return phase;
}

function earlier(a: Instant | null, b: Instant | null): Instant | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

function unchecked(doubt: string): Failure {
  return { code: "REVOCATION_UNKNOWN", sentence: `The peer is let in, but ${doubt}.` };
}

const CLASSICAL: Failure = {
  code: "CLASSICAL",
  sentence:
    "The link is classical: this side would add ML-KEM to the key exchange and the peer does not, so a quantum computer could one day open what is recorded now.",
};

/** The peer did not prove itself: it is told so under the keys of IKE_SA_INIT, and the SA goes (RFC 7296 §2.21.2). */
function rejectPeer(turn: Turn, sa: IkeSa, link: Link, failure: Failure): void {
  recordFailure(turn, link.config.id, "IKE_AUTH", failure);
  sendRequest(turn, sa, ExchangeType.INFORMATIONAL, [notify(NotifyType.AUTHENTICATION_FAILED)], { kind: "deleteIke" });
  removeIkeSa(turn, sa);
}

/** CERTREQ names the authorities we trust by the SHA-1 of their public keys (RFC 7296 §3.7). */
export function certificateRequest(links: readonly Link[]): Payload[] {
  const authorities = links.flatMap(({ config }) => (config.credentials.method === "certificate" ? config.credentials.trustedAuthorities : []));
  if (authorities.length === 0) return [];
  return [{ kind: "certreq", encoding: CertEncoding.X509_SIGNATURE, authorities: concatOctets(authorities.map(authorityKeyHash)) }];
}
