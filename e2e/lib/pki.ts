import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";

/** A certificate and its private key (PKCS #8), both PEM. */
export interface KeyPair {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface TestAuthority {
  readonly certificatePem: string;
  /** A certificate for the domain name, in both the subject's CN and the subject alternative name. */
  issue(domainName: string): Promise<KeyPair>;
  /** An authority below this one. */
  authorize(name: string): Promise<TestAuthority>;
}

export type KeyKind = keyof typeof keyParameters;

/** What `openssl genpkey -algorithm` is told. */
const keyParameters = {
  "rsa-2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  "rsa-4096": ["RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
  "ecdsa-p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  "ecdsa-p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
  "ecdsa-p521": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
  ed25519: ["Ed25519"],
} as const;

/**
 * An authority for one test, with keys of one kind throughout. It is made with the `openssl` program on purpose: an
 * implementation that shares nothing with ours or with the peer's.
 */
export async function makeAuthority(kind: KeyKind, name = "Culvert test authority"): Promise<TestAuthority> {
  const authority = await inScratch(async (directory) => {
    const paths = { key: join(directory, "ca.key"), certificate: join(directory, "ca.pem") };
    await runCommand(["openssl", ...newKey(kind, paths.key)]);
    const extensions = ["basicConstraints=critical,CA:TRUE,pathlen:1", "keyUsage=critical,keyCertSign,cRLSign"];
    const request = ["req", "-x509", "-new", "-key", paths.key, "-subj", `/CN=${name}`, "-days", "2"];
    await runCommand(["openssl", ...request, ...extensions.flatMap((text) => ["-addext", text]), "-out", paths.certificate]);
    return { certificatePem: readFileSync(paths.certificate, "utf8"), privateKeyPem: readFileSync(paths.key, "utf8") };
  });
  return authorityOf(kind, authority);
}

function authorityOf(kind: KeyKind, authority: KeyPair): TestAuthority {
  return {
    certificatePem: authority.certificatePem,
    issue: (domainName) => sign(kind, authority, domainName, [...ownUse, `subjectAltName=DNS:${domainName}`]),
    authorize: async (name) => authorityOf(kind, await sign(kind, authority, name, authorityUse)),
  };
}

const ownUse = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"];
const authorityUse = ["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"];

function sign(kind: KeyKind, authority: KeyPair, name: string, extensions: readonly string[]): Promise<KeyPair> {
  return inScratch(async (directory) => {
    const path = (name: string) => join(directory, name);
    writeFileSync(path("ca.pem"), authority.certificatePem);
    writeFileSync(path("ca.key"), authority.privateKeyPem, { mode: 0o600 });
    writeFileSync(path("extensions"), [...extensions, "authorityKeyIdentifier=keyid", ""].join("\n"));
    await runCommand(["openssl", ...newKey(kind, path("own.key"))]);
    await runCommand(["openssl", "req", "-new", "-key", path("own.key"), "-subj", `/CN=${name}`, "-out", path("own.csr")]);
    const request = ["x509", "-req", "-in", path("own.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-days", "1"];
    await runCommand(["openssl", ...request, "-extfile", path("extensions"), "-out", path("own.pem")]);
    return { certificatePem: readFileSync(path("own.pem"), "utf8"), privateKeyPem: readFileSync(path("own.key"), "utf8") };
  });
}

function newKey(kind: KeyKind, file: string): string[] {
  return ["genpkey", "-algorithm", ...keyParameters[kind], "-out", file];
}

async function inScratch<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "cvi-pki-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
