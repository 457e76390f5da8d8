import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

export interface CertificateRequest {
  /** PKCS#8; it never leaves this machine. */
  readonly privateKeyPem: string;
  readonly csrPem: string;
}

/** A new P-256 key and a request (RFC 2986) for it. The issuer decides the subject: the name here is a hint. */
export async function createCertificateRequest(commonName: string): Promise<CertificateRequest> {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return { privateKeyPem: toPem("PRIVATE KEY", pkcs8), csrPem: csr.toString("pem") };
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
