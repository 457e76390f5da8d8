import type { RevocationSource, RevocationStatus } from "../crypto/revocation.ts";
import type { Credentials } from "../ike/endpoint-types.ts";
import { dayMs, makeCertificate, privateKeyOf } from "./certificates.ts";
import type { Pair, Side } from "./pair.ts";

/* Both ends of a pair with certificates that have to be asked about before each handshake, and somebody who answers after a while. */

/** Where the pair's clock begins. */
const START = 1_800_000_000_000;
/** How long an answer is believed: shorter than most pauses between two handshakes. */
const BELIEVED_MS = 2_000;

const dates = { notBefore: START - dayMs, notAfter: START + 90 * dayMs };
const authority = await makeCertificate({ name: "CN=Authority", authority: { pathLength: null }, ...dates });

async function credentialsOf(name: string): Promise<Credentials> {
  const own = await makeCertificate({ name: `CN=${name}`, issuer: authority, alternativeNames: [{ type: "dns", value: name }], ...dates });
  const certificate = { id: name, chain: [own.der], privateKey: await privateKeyOf(own) };
  return { method: "certificate", certificates: [certificate], use: name, trustedAuthorities: [authority.der], revocation: "strict" };
}

/** Of `a.example` and `b.example`: each insists on word that the other's certificate has not been revoked. */
export const revocablePeers: Readonly<Record<"a" | "b", Credentials>> = { a: await credentialsOf("a.example"), b: await credentialsOf("b.example") };

/** Knows nothing until it is told, and forgets it soon. */
export class SlowWord implements RevocationSource {
  #believedUntil = 0;

  status(certificate: Parameters<RevocationSource["status"]>[0], issuer: typeof certificate, at: number): RevocationStatus {
    if (at < this.#believedUntil) return { kind: "good" };
    return { kind: "unsettled", query: { certificate, issuer, responders: ["http://ocsp.example/"], lists: [] } };
  }

  /** Has every question of this side answered after so long: its certificates are good. */
  answer(pair: Pair, side: Side, afterMs: number): void {
    let isAsking = false;
    side.onQuestion = () => {
      if (isAsking) return;
      isAsking = true;
      const at = pair.clock.now() + afterMs;
      pair.schedule(at, () => {
        isAsking = false;
        this.#believedUntil = at + BELIEVED_MS;
        pair.give(side, { kind: "revocationChanged" });
      });
    };
  }
}
