import { readCertificate } from "../../crypto/certificate.ts";
import { CryptoError } from "../../crypto/crypto-error.ts";
import type { CertificateVerdict } from "../../crypto/x509.ts";
import { AuthMethod, nameOf } from "../../wire/iana.ts";
import type { Credentials, Instant, LinkConfig } from "../endpoint-types.ts";
import { describeIdentity, toWireIdentity } from "../negotiation/identity.ts";
import type { Failure } from "./failure.ts";

/* AUTHENTICATION_FAILED in plain words: names, keys, certificates and clocks. Never a secret; a key is named by its id. */

const CODE = "AUTHENTICATION_FAILED";

export function wrongPeerIdentity(claimed: string, expected: string): Failure {
  return { code: CODE, sentence: `The peer says it is ${claimed}; this side expects ${expected}.`, facts: { cause: "peerIdentity", claimed, expected } };
}

export function wrongOwnIdentity(wanted: string, own: string): Failure {
  return { code: CODE, sentence: `The peer wants to reach ${wanted}; this side is ${own}.`, facts: { cause: "ownIdentity", wanted, own } };
}

/** `tried`: the ids of this side's keys, none of which the peer has proved. */
export function preSharedKeysDiffer(peer: string, tried: readonly string[]): Failure {
  const many = tried.length === 1 ? "" : ` (${tried.length} keys of this side were tried)`;
  return {
    code: CODE,
    sentence: `The pre-shared keys differ: ${peer} does not prove a key that this side holds${many}.`,
    facts: { cause: "preSharedKeys", peer, tried },
  };
}

export function wrongMethod(theirs: number, ours: "psk" | "certificate"): Failure {
  const [their, our] = [
    theirs === AuthMethod.SHARED_KEY_MIC ? "a pre-shared key" : nameOf(AuthMethod, theirs),
    ours === "psk" ? "a pre-shared key" : "a certificate",
  ];
  return {
    code: CODE,
    sentence: `The peer authenticates with ${their}, this side expects ${our}.`,
    facts: { cause: "authenticationMethod", theirs: their, ours: our },
  };
}

/** This side refuses the peer's certificate. */
export function certificateRefused(peer: string, verdict: Extract<CertificateVerdict, { ok: false }>): Failure {
  return {
    code: CODE,
    sentence: `${peer} is refused: ${verdict.sentence}.`,
    facts: { cause: "certificate", problem: verdict.code, peer, reason: verdict.sentence },
  };
}

export function signatureRefused(peer: string, reason: string): Failure {
  return { code: CODE, sentence: `The signature of ${peer} was refused: ${reason}.`, facts: { cause: "certificate", problem: "signature", peer, reason } };
}

export function ownCredentialUnusable(reason: string): Failure {
  return { code: "OWN_CREDENTIAL", sentence: `This side cannot prove who it is: ${reason}.`, facts: { cause: "ownCredential", reason } };
}

/** The peer refuses this side's proof and does not say why. The likely reasons, with what this side can say of its own credential. */
export function authenticationRefused(config: LinkConfig, credentialId: string, now: Instant): Failure {
  const local = describeIdentity(toWireIdentity(config.localIdentity));
  const remote = describeIdentity(toWireIdentity(config.remoteIdentity));
  const { credentials } = config;
  const why =
    credentials.method === "psk"
      ? `the pre-shared keys differ (the peer does not hold this side's key "${credentialId}"), or it expects other identities`
      : `it does not accept the certificate "${credentialId}"${validity(credentials, credentialId, now)}, or it expects other identities`;
  return {
    code: CODE,
    sentence: `The peer refused to authenticate ${local} to ${remote}: ${why}.`,
    facts: { cause: "authenticationRefused", local, remote, method: credentials.method, credentialId },
  };
}

/** The dates beside this side's clock: a peer whose clock is wrong refuses a certificate that is good here. */
function validity(credentials: Extract<Credentials, { method: "certificate" }>, credentialId: string, now: Instant): string {
  const leaf = credentials.certificates.find((one) => one.id === credentialId)?.chain[0];
  if (leaf === undefined) return "";
  try {
    const { notBefore, notAfter } = readCertificate(leaf);
    return ` (valid from ${day(notBefore)} to ${day(notAfter)}; it is ${day(new Date(now))} here)`;
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return " (which cannot be read)";
  }
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
