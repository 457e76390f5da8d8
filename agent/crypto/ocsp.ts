import { createHash } from "node:crypto";
import { type Certificate, KeyUsage, readCertificate, readSingleExtensions, readTime, sameOctets, unknownCritical } from "./certificate.ts";
import { serialText } from "./crl.ts";
import { reasonText, type Revocation } from "./crl-entries.ts";
import { CryptoError } from "./crypto-error.ts";
import { type DerElement, DerTag, derChildren, derElement, derElements, oidText, wholeBits } from "./der.ts";
import { verifySigned } from "./signature.ts";
import { understoodExtensions } from "./x509.ts";

/** Online certificate status, RFC 6960, in the light form of RFC 5019: one certificate a request, no nonce, SHA-1 for the names of issuers. */
export interface StatusAnswer {
  readonly status: { readonly kind: "good" } | { readonly kind: "unknown" } | ({ readonly kind: "revoked" } & Revocation);
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | null;
}

export const longestStatusAnswer = 64 << 10;

const broken = { code: "badRevocation", what: "the OCSP answer" } as const;
const sha1Arc = Uint8Array.of(0x2b, 0x0e, 0x03, 0x02, 0x1a);

/** The request for one certificate, in DER. */
export function statusRequest(certificate: Certificate, issuer: Certificate): Uint8Array {
  const algorithm = derElement(DerTag.SEQUENCE, [derElement(DerTag.OBJECT_IDENTIFIER, [sha1Arc]), derElement(0x05, [])]);
  const id = derElement(DerTag.SEQUENCE, [
    algorithm,
    derElement(DerTag.OCTET_STRING, [digest("sha1", issuer.subject)]),
    derElement(DerTag.OCTET_STRING, [digest("sha1", keyBits(issuer))]),
    derElement(DerTag.INTEGER, [certificate.serialNumber]),
  ]);
  const wrap = (inner: Uint8Array): Uint8Array => derElement(DerTag.SEQUENCE, [inner]);
  return wrap(wrap(wrap(wrap(id))));
}

/**
 * What a responder says of this certificate. The answer must be signed by the issuer, or by a certificate that the issuer has issued
 * for it (RFC 6960 §4.2.2.2) and that is valid `at` (milliseconds since 1970). One with a critical extension that could change what it
 * says is not used (§4.4).
 * @throws CryptoError `badRevocation`, in a sentence.
 */
export function readStatusAnswer(der: Uint8Array, certificate: Certificate, issuer: Certificate, at: number): StatusAnswer {
  if (der.length > longestStatusAnswer) throw unusable(`is longer than ${longestStatusAnswer} octets`);
  const [outcome, bytes] = derChildren(der, DerTag.SEQUENCE, broken);
  if (outcome?.tag !== 0x0a || outcome.content.length !== 1) throw unusable("does not say how the request went");
  if (outcome.content[0] !== 0 || bytes === undefined) throw unusable(`is an error: ${failures[outcome.content[0]!] ?? outcome.content[0]}`);
  const [type, basic] = derChildren(bytes.content, DerTag.SEQUENCE, broken);
  if (type === undefined || oidText(type.content) !== "1.3.6.1.5.5.7.48.1.1" || basic?.tag !== DerTag.OCTET_STRING) throw unusable("is of an unknown kind");
  const [data, algorithm, signature, certificates] = derChildren(basic.content, DerTag.SEQUENCE, broken);
  if (data?.tag !== DerTag.SEQUENCE || algorithm?.tag !== DerTag.SEQUENCE || signature === undefined) throw unusable("is not built as it should be");
  const signers = [issuer, ...delegates(certificates, issuer, at)];
  if (!signers.some((signer) => verifySigned(signer.publicKey, algorithm.whole, data.whole, wholeBits(signature, broken))))
    throw unusable("is signed by nobody whom the certificate's issuer has allowed to");
  const { list, extensions } = readResponseData(data);
  refuseUnknown(extensions);
  const answers = list.filter((one) => isAbout(one, certificate, issuer));
  const [answer] = answers.map(readSingle);
  if (answer === undefined) throw unusable("is about another certificate");
  return answer;
}

const failures: Readonly<Record<number, string>> = {
  1: "malformedRequest",
  2: "internalError",
  3: "tryLater",
  5: "sigRequired",
  6: "unauthorized",
};

const maySignAnswers = "1.3.6.1.5.5.7.3.9";
const mostDelegates = 8;

function delegates(field: DerElement | undefined, issuer: Certificate, at: number): Certificate[] {
  if (field === undefined) return [];
  const list = derChildren(field.content, DerTag.SEQUENCE, broken).slice(0, mostDelegates);
  return list.flatMap(({ whole }) => {
    const one = readable(whole);
    if (one === null || one.extendedKeyUsage?.includes(maySignAnswers) !== true || !maySign(one)) return [];
    if (at < one.notBefore.getTime() || at > one.notAfter.getTime()) return [];
    if (unknownCritical(one.extensions, understoodOfDelegates) !== null) return [];
    return one.signed.checkIssued(issuer.signed) && one.signed.verify(issuer.publicKey) ? [one] : [];
  });
}

/**
 * RFC 5280 §4.2.1.12 names the key usages that go with signing answers. The issuer's own key is not asked for one: many private
 * authorities give theirs keyCertSign and cRLSign alone and sign answers with it.
 */
function maySign({ keyUsage }: Certificate): boolean {
  return keyUsage === null || keyUsage.has(KeyUsage.digitalSignature) || keyUsage.has(KeyUsage.nonRepudiation);
}

/** Also id-pkix-ocsp-nocheck: that nobody need ask about the delegate itself, which nobody does. */
const understoodOfDelegates = new Set([...understoodExtensions, "1.3.6.1.5.5.7.48.1.5"]);

function readable(der: Uint8Array): Certificate | null {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return null;
  }
}

/** ResponseData: [0] version, responder, producedAt, responses, [1] extensions. */
function readResponseData(data: DerElement): { readonly list: DerElement[]; readonly extensions: DerElement | undefined } {
  const fields = derElements(data.content, broken);
  const [, , list, extensions] = fields[0]?.tag === 0xa0 ? fields.slice(1) : fields;
  if (list?.tag !== DerTag.SEQUENCE || (extensions !== undefined && extensions.tag !== 0xa1)) throw unusable("holds no answers");
  return { list: derElements(list.content, broken), extensions };
}

/** They say something besides the status and leave it what it is: nonce, where the list is, how far back answers go, that unissued ones are revoked. */
const harmless = new Set(["2", "3", "6", "9"].map((last) => `1.3.6.1.5.5.7.48.1.${last}`));

/** `field`: extensions of the answer, or of its part about one certificate. */
function refuseUnknown(field: DerElement | undefined): void {
  const strange = field === undefined ? null : unknownCritical(readSingleExtensions(field.content, broken), harmless);
  if (strange !== null) throw unusable(`has a critical extension that is not understood here (${strange})`);
}

function isAbout(single: DerElement, certificate: Certificate, issuer: Certificate): boolean {
  const [id] = derElements(single.content, broken);
  if (id === undefined) return false;
  const [algorithm, nameHash, keyHash, serial] = derElements(id.content, broken);
  const [oid] = algorithm === undefined ? [] : derElements(algorithm.content, broken);
  const hash = oid === undefined ? undefined : hashes[oidText(oid.content)];
  if (hash === undefined || nameHash === undefined || keyHash === undefined || serial === undefined) return false;
  return (
    serialText(serial.content) === serialText(certificate.serialNumber) &&
    sameOctets(nameHash.content, digest(hash, issuer.subject)) &&
    sameOctets(keyHash.content, digest(hash, keyBits(issuer)))
  );
}

const hashes: Readonly<Record<string, "sha1" | "sha256" | "sha384" | "sha512">> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

function readSingle(single: DerElement): StatusAnswer {
  const [, status, thisUpdate, ...optional] = derElements(single.content, broken);
  if (status === undefined || thisUpdate === undefined) throw unusable("lacks the status or its date");
  refuseUnknown(optional.find((field) => field.tag === 0xa1));
  const [next] = derElements(optional.find((field) => field.tag === 0xa0)?.content ?? new Uint8Array(0), broken);
  return { status: readStatus(status), thisUpdate: readTime(thisUpdate, broken), nextUpdate: next === undefined ? null : readTime(next, broken) };
}

function readStatus({ tag, content }: DerElement): StatusAnswer["status"] {
  if (tag === 0x80) return { kind: "good" };
  if (tag === 0x82) return { kind: "unknown" };
  if (tag !== 0xa1) throw unusable("has an unknown status");
  const [date, reason] = derElements(content, broken);
  if (date === undefined) throw unusable("does not say when the certificate was revoked");
  const [code] = reason === undefined ? [] : derElements(reason.content, broken);
  return { kind: "revoked", at: readTime(date, broken), reason: reasonText(code?.content.length === 1 ? code.content[0]! : null) };
}

/** The BIT STRING of the public key without its first octet: what an issuer's key is hashed by. */
function keyBits(issuer: Certificate): Uint8Array {
  const [, bits] = derChildren(new Uint8Array(issuer.publicKey.export({ format: "der", type: "spki" })), DerTag.SEQUENCE, broken);
  if (bits === undefined) throw unusable("cannot be compared with the issuer's key");
  return wholeBits(bits, broken);
}

function digest(hash: string, octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(hash).update(octets).digest());
}

function unusable(what: string): CryptoError {
  return new CryptoError(broken.code, `${broken.what} ${what}`);
}
