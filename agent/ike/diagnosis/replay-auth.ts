import { sameOctets } from "../../crypto/certificate.ts";
import { CryptoError } from "../../crypto/crypto-error.ts";
import { verifyPeerCertificate } from "../../crypto/x509.ts";
import { AuthMethod, CertEncoding, NotifyType } from "../../wire/iana.ts";
import type { Payload, PayloadOf } from "../../wire/ikev2/message-types.ts";
import type { Instant, LinkConfig } from "../endpoint-types.ts";
import { findError, findPayload } from "../messaging.ts";
import { describeIdentity, sameIdentity, toWireIdentity, type WireIdentity } from "../negotiation/identity.ts";
import { authenticationRefused, certificateRefused, wrongMethod, wrongOwnIdentity, wrongPeerIdentity } from "./identities.ts";
import { refusedByNotify } from "./refusal.ts";
import { replayChildAnswer, replayChildOffer } from "./replay-child.ts";
import { type Conclusion, concluded, failed, type ReplayContext } from "./replay-steps.ts";

/* IKE_AUTH once more: v2/ike-auth.ts and negotiation/authentication.ts decide the same, and check what needs keys. */

export function* replayAuthRequest(context: ReplayContext, payloads: readonly Payload[], at: Instant): Generator<Conclusion> {
  const { config } = context;
  const idi = findPayload(payloads, "idi");
  if (idi === null) return;
  const idr = findPayload(payloads, "idr");
  const [peer, own] = [toWireIdentity(config.remoteIdentity), toWireIdentity(config.localIdentity)];
  if (!sameIdentity(peer, idi)) return yield failed(wrongPeerIdentity(describeIdentity(idi), describeIdentity(peer)));
  if (idr !== null && !sameIdentity(own, idr)) return yield failed(wrongOwnIdentity(describeIdentity(idr), describeIdentity(own)));
  yield concluded(`The peer says it is ${describeIdentity(idi)}, as this side expects.`);
  const proof = replayProof(config, idi, payloads, at);
  yield proof;
  if (proof.failure === null && findPayload(payloads, "sa") !== null) yield* replayChildOffer(context, payloads, { withKex: false, atRekey: false });
}

export function* replayAuthResponse(context: ReplayContext, asked: readonly Payload[], payloads: readonly Payload[], at: Instant): Generator<Conclusion> {
  const { config } = context;
  const idr = findPayload(payloads, "idr");
  const error = findError(payloads);
  if (idr === null || findPayload(payloads, "auth") === null) {
    if (error === null) return;
    const isRefusal = error.type === NotifyType.AUTHENTICATION_FAILED;
    return yield failed(isRefusal ? authenticationRefused(config, shownCredential(config, asked), at) : refusedByNotify("IKE_AUTH", error));
  }
  const expected = toWireIdentity(config.remoteIdentity);
  if (!sameIdentity(idr, expected)) return yield failed(wrongPeerIdentity(describeIdentity(idr), describeIdentity(expected)));
  yield concluded(`The peer says it is ${describeIdentity(idr)}, as this side expects.`);
  const proof = replayProof(config, idr, payloads, at);
  yield proof;
  if (proof.failure === null) yield* replayChildAnswer(context, asked, payloads, "IKE_AUTH");
}

/** Which of several certificates was shown stands in the request. */
function shownCredential({ credentials }: LinkConfig, request: readonly Payload[]): string {
  const shown = findPayload(request, "cert");
  if (credentials.method === "psk" || shown === null) return credentials.use;
  return credentials.certificates.find((one) => one.chain[0] !== undefined && sameOctets(one.chain[0], shown.data))?.id ?? credentials.use;
}

/** All of the peer's proof but its cryptography, which needs the session's keys. */
function replayProof({ credentials }: LinkConfig, identity: WireIdentity, payloads: readonly Payload[], at: Instant): Conclusion {
  const auth = findPayload(payloads, "auth");
  if (auth === null) return concluded("The peer sent no AUTH.");
  const isKey = auth.method === AuthMethod.SHARED_KEY_MIC;
  if (credentials.method === "psk")
    return isKey ? concluded("It proves a pre-shared key; which one cannot be computed again.") : failed(wrongMethod(auth.method, "psk"));
  if (isKey) return failed(wrongMethod(auth.method, "certificate"));
  const isX509 = (one: Payload): one is PayloadOf<"cert"> => one.kind === "cert" && one.encoding === CertEncoding.X509_SIGNATURE;
  const chain = payloads.filter(isX509).map((one) => one.data);
  try {
    const verdict = verifyPeerCertificate({ chain, trustedAuthorities: credentials.trustedAuthorities, at, identity });
    return verdict.ok
      ? concluded("Its certificate leads to an authority that this link trusts; its signature cannot be computed again.")
      : failed(certificateRefused(describeIdentity(identity), verdict));
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return concluded(`Its certificate cannot be looked at: ${error.message}.`);
  }
}
