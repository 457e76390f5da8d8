import type { Certificate } from "../../crypto/certificate.ts";
import type { RevocationSource } from "../../crypto/revocation.ts";
import { CryptoError } from "../../crypto/crypto-error.ts";
import { computePrf } from "../../crypto/prf.ts";
import { sameSecret } from "../../crypto/same-secret.ts";
import { signAuth, verifyAuth } from "../../crypto/signature.ts";
import { verifyPeerCertificate } from "../../crypto/x509.ts";
import { AuthMethod, CertEncoding } from "../../wire/iana.ts";
import { serializeIdentification } from "../../wire/ikev2/identification.ts";
import type { Payload, PayloadOf } from "../../wire/ikev2/message-types.ts";
import { concatOctets } from "../../wire/octets.ts";
import type { Failure } from "../diagnosis/failure.ts";
import { certificateRefused, ownCredentialUnusable, preSharedKeysDiffer, signatureRefused, wrongMethod } from "../diagnosis/identities.ts";
import type { Credentials, Instant } from "../endpoint-types.ts";
import type { InitTranscript, Role } from "../ike-sa.ts";
import type { Session } from "../session.ts";
import { intermediateAuth } from "./intermediate-auth.ts";
import { describeIdentity, type WireIdentity } from "./identity.ts";
import { judgeRevocation } from "./peer-revocation.ts";

/* Authentication of the IKE SA (RFC 7296 §2.15, RFC 7427). */

const KEY_PAD = new TextEncoder().encode("Key Pad for IKEv2");
/** What a peer may send as certificates: chains are short, and each one is parsed. */
const MOST_CERTIFICATES = 8;

/** What we put into IKE_AUTH to prove who we are: CERT payloads in front, then AUTH. */
export interface OwnProof {
  readonly credentialId: string;
  readonly certificates: readonly Payload[];
  readonly auth: PayloadOf<"auth">;
}

/** Our AUTH with the credential `credentialId`, or why our own key or certificate cannot make one. */
export function proveOwn(
  ...facts: Parameters<typeof makeProof>
): { readonly ok: true; readonly proof: OwnProof } | { readonly ok: false; readonly failure: Failure } {
  try {
    return { ok: true, proof: makeProof(...facts) };
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return { ok: false, failure: ownCredentialUnusable(error.message) };
  }
}

function makeProof(session: Session, transcript: InitTranscript, role: Role, identity: WireIdentity, credentials: Credentials, credentialId: string): OwnProof {
  const octets = signedOctets(session, transcript, role, identity);
  if (credentials.method === "psk") {
    const key = credentials.keys.find((one) => one.id === credentialId);
    if (key === undefined) throw new CryptoError("badKey", `The pre-shared key "${credentialId}" is not in the list.`);
    return { credentialId, certificates: [], auth: { kind: "auth", method: AuthMethod.SHARED_KEY_MIC, data: pskMac(session, key.secret, octets) } };
  }
  const own = credentials.certificates.find((one) => one.id === credentialId);
  const leaf = own?.chain[0];
  if (own === undefined || leaf === undefined) throw new CryptoError("badCertificate", `The certificate "${credentialId}" is not in the list.`);
  const { method, data } = signAuth(own.privateKey, session.peerHashes, octets);
  const certificates = own.chain.map((der): Payload => ({ kind: "cert", encoding: CertEncoding.X509_SIGNATURE, data: der }));
  return { credentialId, certificates, auth: { kind: "auth", method, data } };
}

/** The credential of ours that it agrees with, and for a certificate its path and what could not be found out about it. */
export interface PeerProof {
  readonly ok: true;
  readonly credentialId: string;
  readonly path: readonly Certificate[];
  readonly doubts: readonly string[];
}

/** Which of our credentials the peer's AUTH agrees with (for a certificate: the one in use), or why none does. */
export function verifyPeer(
  session: Session,
  transcript: InitTranscript,
  peerRole: Role,
  identity: WireIdentity,
  payloads: readonly Payload[],
  credentials: Credentials,
  now: Instant,
  revocation: RevocationSource | undefined,
): PeerProof | { readonly ok: false; readonly failure: Failure } {
  const auth = payloads.find((payload) => payload.kind === "auth");
  if (auth === undefined) return failed("AUTHENTICATION_FAILED", "The peer wants EAP, which this link does not use.");
  const octets = signedOctets(session, transcript, peerRole, identity);
  if (credentials.method === "psk") return verifyPsk(session, auth, octets, identity, credentials);
  return verifyCertificate(session, auth, octets, identity, payloads, credentials, now, revocation);
}

function verifyPsk(
  session: Session,
  auth: PayloadOf<"auth">,
  octets: Uint8Array,
  identity: WireIdentity,
  credentials: Extract<Credentials, { method: "psk" }>,
) {
  if (auth.method !== AuthMethod.SHARED_KEY_MIC) {
    return { ok: false as const, failure: wrongMethod(auth.method, "psk") };
  }
  // The key in use first; the others are staged or about to retire, so that a rotation never locks the peer out.
  const ordered = [...credentials.keys].sort((a, b) => Number(b.id === credentials.use) - Number(a.id === credentials.use));
  for (const key of ordered) {
    if (sameSecret(auth.data, pskMac(session, key.secret, octets))) return { ok: true as const, credentialId: key.id, path: [], doubts: [] };
  }
  const tried = ordered.map((key) => key.id);
  return { ok: false as const, failure: preSharedKeysDiffer(describeIdentity(identity), tried) };
}

function verifyCertificate(
  session: Session,
  auth: PayloadOf<"auth">,
  octets: Uint8Array,
  identity: WireIdentity,
  payloads: readonly Payload[],
  credentials: Extract<Credentials, { method: "certificate" }>,
  now: Instant,
  revocation: RevocationSource | undefined,
) {
  if (auth.method === AuthMethod.SHARED_KEY_MIC) {
    return { ok: false as const, failure: wrongMethod(auth.method, "certificate") };
  }
  const chain = chainOf(payloads);
  const leaf = chain[0];
  if (leaf === undefined) return failed("AUTHENTICATION_FAILED", `${describeIdentity(identity)} sent no certificate.`);
  if (chain.length > MOST_CERTIFICATES)
    return failed("AUTHENTICATION_FAILED", `The peer sent ${chain.length} certificates; at most ${MOST_CERTIFICATES} are looked at.`);
  try {
    const verdict = verifyPeerCertificate({ chain, trustedAuthorities: credentials.trustedAuthorities, at: now, identity });
    if (!verdict.ok) return { ok: false as const, failure: certificateRefused(describeIdentity(identity), verdict) };
    verifyAuth(auth.method, auth.data, leaf, octets, session.peerHashes);
    const { refusal, doubts } = judgeRevocation(verdict.path, credentials.revocation ?? "off", revocation, now);
    if (refusal !== null) return { ok: false as const, failure: certificateRefused(describeIdentity(identity), refusal) };
    return { ok: true as const, credentialId: credentials.use, path: verdict.path, doubts };
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return { ok: false as const, failure: signatureRefused(describeIdentity(identity), error.message) };
  }
}

function chainOf(payloads: readonly Payload[]): Uint8Array[] {
  return payloads.filter((one): one is PayloadOf<"cert"> => one.kind === "cert" && one.encoding === CertEncoding.X509_SIGNATURE).map((one) => one.data);
}

/** The way from the certificate that a peer of this identity sent to a trusted one; null: there is none, or something else is wrong with it. */
export function peerPath(
  { trustedAuthorities }: Extract<Credentials, { method: "certificate" }>,
  identity: WireIdentity,
  payloads: readonly Payload[],
  now: Instant,
): readonly Certificate[] | null {
  const chain = chainOf(payloads);
  if (chain.length === 0 || chain.length > MOST_CERTIFICATES) return null;
  const verdict = verifyPeerCertificate({ chain, trustedAuthorities, at: now, identity });
  return verdict.ok ? verdict.path : null;
}

/** The sender's first message, the other side's nonce, prf(SK_p, RestOfID) (RFC 7296 §2.15), and IntAuth (RFC 9242 §3.3.2). */
function signedOctets(session: Session, transcript: InitTranscript, role: Role, identity: WireIdentity): Uint8Array {
  const { keys } = session;
  const rest = serializeIdentification(identity);
  const intAuth = intermediateAuth(transcript.intermediate);
  return role === "initiator"
    ? concatOctets([transcript.request, transcript.nonceR, computePrf(keys.prf, keys.skPi, rest), intAuth])
    : concatOctets([transcript.response, transcript.nonceI, computePrf(keys.prf, keys.skPr, rest), intAuth]);
}

function pskMac(session: Session, secret: Uint8Array, octets: Uint8Array): Uint8Array {
  const { prf } = session.keys;
  return computePrf(prf, computePrf(prf, secret, KEY_PAD), octets);
}

function failed(code: string, sentence: string): { readonly ok: false; readonly failure: Failure } {
  return { ok: false, failure: { code, sentence } };
}
