import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  cryptoProvider,
} from "@peculiar/x509";
import type { Authority } from "../../generated/prisma/client.ts";
import type { AuthorityPurpose } from "../../generated/prisma/enums.ts";
import type { Transaction } from "../db/client.ts";
import { openSecret, storeSecret } from "../secrets/store.ts";
import { certificateFingerprint } from "./fingerprint.ts";

const crypto: Crypto = webcrypto as Crypto;
cryptoProvider.set(crypto);

/** Of every authority here. */
export const signatureOf = { name: "ECDSA", hash: "SHA-256" } as const;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMilliseconds = 86_400_000;
const names: Readonly<Record<AuthorityPurpose, string>> = { hub: "Culvert gateway authority", ipsec: "Culvert IPsec authority" };
/** Two processes that start at once make one authority. */
const authorityLock = 7_305_002;

/** The newest authority for `purpose`; made at first use (ECDSA P-256, ten years) with its key sealed in Postgres. */
export async function ensureAuthority(tx: Transaction, purpose: AuthorityPurpose): Promise<Authority> {
  const newest = () => tx.authority.findFirst({ where: { purpose }, orderBy: { createdAt: "desc" } });
  const known = await newest();
  if (known !== null) return known;
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${authorityLock})`;
  const existing = await newest();
  if (existing !== null) return existing;
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const notAfter = new Date(Date.now() + 3_650 * dayMilliseconds);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: newSerial(),
      name: `CN=${names[purpose]}, O=Culvert`,
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter,
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
      ],
    },
    crypto,
  );
  const certificatePem = certificate.toString("pem");
  return tx.authority.create({
    data: {
      purpose,
      name: names[purpose],
      certificatePem,
      fingerprint: certificateFingerprint(certificatePem),
      notAfter,
      privateKeyId: await storeSecret(tx, await privateKeyPem(keys.privateKey)),
    },
  });
}

export interface IssueRequest {
  /** Either a CSR in PEM, whose signature is checked, or a public key. */
  readonly csrPem?: string;
  readonly publicKey?: CryptoKey;
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly usage: "server" | "client" | "ipsec";
  readonly days: number;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly serial: string;
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const usages = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
  // id-kp-ipsecIKE (RFC 4945 §5.1.3.12)
  ipsec: "1.3.6.1.5.5.7.3.17",
} as const;

/** Signs an end-entity certificate with `authority`. Only the request's public key is taken from a CSR, never its names. */
export async function issueCertificate(tx: Transaction, authority: Authority, request: IssueRequest): Promise<IssuedCertificate> {
  const issuer = new X509Certificate(authority.certificatePem);
  const signingKey = await signingKeyOf(tx, authority);
  const publicKey = request.publicKey ?? (await publicKeyOf(request.csrPem ?? ""));
  const notBefore = new Date(Date.now() - 300_000);
  const notAfter = new Date(Math.min(Date.now() + request.days * dayMilliseconds, authority.notAfter.getTime()));
  const alternatives = [
    ...(request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(request.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  const serial = newSerial();
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: serial,
      subject: `CN=${request.commonName.replaceAll(/[,+"\\<>;=#]/g, " ")}, O=Culvert`,
      issuer: issuer.subject,
      notBefore,
      notAfter,
      signingAlgorithm: algorithm,
      publicKey,
      signingKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([usages[request.usage]]),
        ...(alternatives.length > 0 ? [new SubjectAlternativeNameExtension(alternatives)] : []),
        await SubjectKeyIdentifierExtension.create(publicKey, false, crypto),
        await AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export(crypto), false, crypto),
      ],
    },
    crypto,
  );
  const certificatePem = certificate.toString("pem");
  return { certificatePem, serial, fingerprint: certificateFingerprint(certificatePem), notBefore, notAfter };
}

/** In clear in this process's memory alone. */
export async function signingKeyOf(tx: Transaction, authority: Authority): Promise<CryptoKey> {
  return importPrivateKey(await openSecret(tx, authority.privateKeyId));
}

/** A fresh P-256 key pair: the public half to certify, the private half as PKCS#8 PEM. */
export async function newKeyPair(): Promise<{ publicKey: CryptoKey; privateKeyPem: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return { publicKey: keys.publicKey, privateKeyPem: await privateKeyPem(keys.privateKey) };
}

async function publicKeyOf(csrPem: string): Promise<CryptoKey> {
  const request = new Pkcs10CertificateRequest(csrPem);
  if (!(await request.verify(crypto))) throw new Error("The certificate request is not signed by its own key.");
  return request.publicKey.export(crypto);
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

async function importPrivateKey(pem: string): Promise<CryptoKey> {
  const [der] = PemConverter.decode(pem);
  if (der === undefined) throw new Error("The authority's private key is not PEM.");
  return crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

/** 127 random bits, positive: unique without a counter (RFC 5280 §4.1.2.2). */
function newSerial(): string {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return octets.toString("hex");
}
