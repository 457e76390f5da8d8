import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

export interface TestCertificate {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly keyPem: string;
  readonly keys: CryptoKeyPair;
}

/** A console's CA as the tests need it. */
export async function createAuthority(): Promise<TestCertificate> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Test CA",
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  return { certificate, pem: `${certificate.toString("pem")}\n`, keyPem: await keyPemOf(keys), keys };
}

export interface IssueOptions {
  readonly name: string;
  readonly dnsNames?: readonly string[];
  readonly usage: "server" | "client";
  /** Milliseconds before and after now. */
  readonly validFromMs?: number;
  readonly validForMs?: number;
}

export async function issue(authority: TestCertificate, options: IssueOptions): Promise<TestCertificate> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await sign(authority, keys.publicKey, options);
  return { certificate, pem: `${certificate.toString("pem")}\n`, keyPem: await keyPemOf(keys), keys };
}

/** The certificate for a request, as a hub issues it; throws when the request is not signed by its own key. */
export async function issueForRequest(authority: TestCertificate, csrPem: string, options: IssueOptions): Promise<string> {
  const request = new Pkcs10CertificateRequest(csrPem);
  if (!(await request.verify())) throw new Error("the request's signature is wrong");
  const certificate = await sign(authority, await request.publicKey.export(), options);
  return `${certificate.toString("pem")}\n`;
}

function sign(authority: TestCertificate, publicKey: CryptoKey, options: IssueOptions): Promise<X509Certificate> {
  const extensions: Extension[] = [new ExtendedKeyUsageExtension([options.usage === "server" ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth])];
  if (options.dnsNames !== undefined) extensions.push(new SubjectAlternativeNameExtension(options.dnsNames.map((value) => ({ type: "dns" as const, value }))));
  return X509CertificateGenerator.create({
    serialNumber: crypto.getRandomValues(new Uint8Array(8)).reduce((text, octet) => text + octet.toString(16).padStart(2, "0"), "0a"),
    subject: `CN=${options.name}`,
    issuer: authority.certificate.subject,
    notBefore: new Date(Date.now() - (options.validFromMs ?? DAY_MS)),
    notAfter: new Date(Date.now() + (options.validForMs ?? DAY_MS)),
    signingKey: authority.keys.privateKey,
    publicKey,
    signingAlgorithm: algorithm,
    extensions,
  });
}

async function keyPemOf(keys: CryptoKeyPair): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)?.join("\n") ?? ""}\n-----END PRIVATE KEY-----\n`;
}
