import type { Certificate } from "../../crypto/certificate.ts";
import type { RevocationQuery, RevocationSource } from "../../crypto/revocation.ts";
import type { CertificateVerdict } from "../../crypto/x509.ts";
import type { Instant, RevocationPolicy } from "../endpoint-types.ts";

/** Whether the certificates of a path, from the peer's own up to a trusted authority, still count (RFC 5280 §6.3, RFC 6960). */
export interface RevocationJudgement {
  readonly refusal: Extract<CertificateVerdict, { ok: false }> | null;
  /** Accepted although it could not be found out: a clause for each certificate that this is true of. */
  readonly doubts: readonly string[];
}

const FINE: RevocationJudgement = { refusal: null, doubts: [] };

export function judgeRevocation(
  path: readonly Certificate[],
  policy: RevocationPolicy,
  source: RevocationSource | undefined,
  at: Instant,
): RevocationJudgement {
  if (policy === "off" || source === undefined) return FINE;
  const doubts: string[] = [];
  for (const [certificate, issuer] of pairs(path)) {
    const status = source.status(certificate, issuer, at);
    switch (status.kind) {
      case "good":
        break;
      case "revoked": {
        const reason = status.reason === null ? "" : ` (${status.reason})`;
        const sentence = `the certificate of ${certificate.subjectText} was revoked by its authority on ${status.at.toISOString().slice(0, 10)}${reason}`;
        return { refusal: { ok: false, code: "revoked", sentence }, doubts: [] };
      }
      case "unknown":
        // An authority that revokes nothing is no reason to be told of at every handshake.
        if (status.isAskable || policy === "strict")
          doubts.push(`whether the certificate of ${certificate.subjectText} is revoked could not be found out: ${status.why}`);
        break;
      case "unsettled":
        doubts.push(`whether the certificate of ${certificate.subjectText} is revoked was not asked for in time`);
        break;
      default:
        return assertNever(status);
    }
  }
  if (policy === "soft" || doubts.length === 0) return { refusal: null, doubts };
  return { refusal: { ok: false, code: "revocationUnknown", sentence: `${doubts[0]}, and this link insists on it` }, doubts: [] };
}

/** What has to be asked before the path can be judged. */
export function openQueries(path: readonly Certificate[], source: RevocationSource, at: Instant): RevocationQuery[] {
  return pairs(path).flatMap(([certificate, issuer]) => {
    const status = source.status(certificate, issuer, at);
    return status.kind === "unsettled" ? [status.query] : [];
  });
}

/** Every certificate but the last, which is trusted as it is, with its issuer. */
function pairs(path: readonly Certificate[]): [certificate: Certificate, issuer: Certificate][] {
  return path.slice(1).map((issuer, index) => [path[index]!, issuer]);
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${JSON.stringify(value)}`);
}
