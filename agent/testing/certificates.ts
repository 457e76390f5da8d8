import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** Certificates for tests, made by another library than the one that verifies signatures. */
export interface MadeCertificate {
  readonly name: string;
  readonly keys: CryptoKeyPair;
  readonly der: Uint8Array;
  readonly pem: string;
}

export interface CertificateWish {
  /** `CN=berlin, O=Example`. */
  readonly name: string;
  /** Self-signed when left out. */
  readonly issuer?: Pick<MadeCertificate, "name" | "keys">;
  /** A CA certificate, with this path length unless null. */
  readonly authority?: { readonly pathLength: number | null };
  readonly usage?: number;
  readonly purposes?: readonly string[];
  readonly alternativeNames?: readonly { readonly type: "dns" | "email" | "ip" | "url"; readonly value: string }[];
  readonly extensions?: readonly x509.Extension[];
  /** Milliseconds since 1970; valid around `noon` when left out. */
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly keys?: CryptoKeyPair;
  /** Instead of `keys.publicKey`. */
  readonly publicKey?: CryptoKey;
}

/** The instant at which tests look at certificates. */
export const noon = Date.UTC(2026, 5, 15, 12);
export const dayMs = 86_400_000;

const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

export async function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
}

export async function makeCertificate(wish: CertificateWish): Promise<MadeCertificate> {
  const keys = wish.keys ?? (await makeKeys());
  const issuer = wish.issuer ?? { name: wish.name, keys };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex"),
    subject: wish.name,
    issuer: issuer.name,
    notBefore: new Date(wish.notBefore ?? noon - dayMs),
    notAfter: new Date(wish.notAfter ?? noon + dayMs),
    signingKey: issuer.keys.privateKey,
    publicKey: wish.publicKey ?? keys.publicKey,
    signingAlgorithm,
    extensions: extensionsOf(wish),
  });
  return { name: wish.name, keys, der: new Uint8Array(certificate.rawData), pem: `${certificate.toString("pem")}\n` };
}

/** PKCS#8 in DER. */
export async function privateKeyOf(made: MadeCertificate): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", made.keys.privateKey));
}

function extensionsOf(wish: CertificateWish): x509.Extension[] {
  const out: x509.Extension[] = [...(wish.extensions ?? [])];
  if (wish.authority !== undefined) out.push(new x509.BasicConstraintsExtension(true, wish.authority.pathLength ?? undefined, true));
  if (wish.usage !== undefined) out.push(new x509.KeyUsagesExtension(wish.usage, true));
  if (wish.purposes !== undefined) out.push(new x509.ExtendedKeyUsageExtension([...wish.purposes]));
  if (wish.alternativeNames !== undefined) out.push(new x509.SubjectAlternativeNameExtension([...wish.alternativeNames]));
  return out;
}
