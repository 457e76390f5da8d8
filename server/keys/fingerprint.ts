import { createHash, createHmac, X509Certificate } from "node:crypto";
import { fingerprintKey } from "../secrets/store.ts";

/**
 * Names a pre-shared key without helping to guess it: an HMAC under a key made from the master key, since a plain hash of a
 * weak key could be searched for.
 */
export function pskFingerprint(secret: string): string {
  return grouped(createHmac("sha256", fingerprintKey()).update(secret).digest("hex").slice(0, 32));
}

/** SHA-256 of the certificate's DER, as other tools print it. */
export function certificateFingerprint(pem: string): string {
  return grouped(createHash("sha256").update(new X509Certificate(pem).raw).digest("hex"));
}

function grouped(hex: string): string {
  return (hex.toUpperCase().match(/../g) ?? []).join(":");
}
