import { type KeyObject, X509Certificate } from "node:crypto";
import { formatAddress } from "../wire/address.ts";
import { CryptoError } from "./crypto-error.ts";
import { formatDn } from "./dn.ts";
import { type DerElement, type DerSubject, DerTag, derChildren, derElements, oidText } from "./der.ts";

/** One certificate: its key and signature as OpenSSL reads them, its names, dates and extensions as they stand in its octets. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly publicKey: KeyObject;
  /** Signatures and who issued whom. */
  readonly signed: X509Certificate;
  /** Content octets of the INTEGER. */
  readonly serialNumber: Uint8Array;
  /** Names in DER, as they go into an ID payload of type DER_ASN1_DN. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  /** The same for people. */
  readonly subjectText: string;
  readonly issuerText: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly CertificateExtension[];
  /** Null where the certificate has no such extension; then it is not limited by it. */
  readonly basicConstraints: { readonly isAuthority: boolean; readonly pathLength: number | null } | null;
  /** Bit n as in RFC 5280 §4.2.1.3, so 0 is digitalSignature. */
  readonly keyUsage: ReadonlySet<number> | null;
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[] | null;
  readonly alternativeNames: readonly AlternativeName[];
}

export interface CertificateExtension {
  readonly oid: string;
  readonly critical: boolean;
  /** DER of the value inside the OCTET STRING. */
  readonly value: Uint8Array;
}

export interface AlternativeName {
  readonly type: "email" | "dns" | "url" | "ip";
  readonly value: string;
}

export const KeyUsage = { digitalSignature: 0, nonRepudiation: 1, keyCertSign: 5, cRLSign: 6 } as const;

/**
 * Reads one certificate in DER and nothing else. node:crypto also looks for PEM, even in the middle of DER: octets that are a
 * certificate of one name to it and of another name to us would let their sender borrow the signature of the first for the names
 * of the second. So both must have read exactly these octets.
 * @throws CryptoError `badCertificate`.
 */
export function readCertificate(der: Uint8Array): Certificate {
  const key = Buffer.from(der.buffer, der.byteOffset, der.length).toString("latin1");
  const known = recent.get(key) ?? parse(der.slice());
  // The end of the map is what was asked for last: an authority, which every handshake needs, stays.
  recent.delete(key);
  recent.set(key, known);
  if (recent.size > MOST_RECENT) forgetOldest();
  return known;
}

/** One handshake asks for the same few certificates several times, and their signatures are remembered with them. */
const MOST_RECENT = 64;
const recent = new Map<string, Certificate>();

function forgetOldest(): void {
  for (const oldest of recent.keys()) return void recent.delete(oldest);
}

const broken = { code: "badCertificate", what: "the certificate" } as const;

function parse(der: Uint8Array): Certificate {
  const signed = openSslReads(der);
  if (!sameOctets(signed.raw, der)) throw new CryptoError("badCertificate", "there is more than one certificate in the octets of one");
  return { der, publicKey: signed.publicKey, signed, ...readFields(der) };
}

function openSslReads(der: Uint8Array): X509Certificate & { publicKey: KeyObject } {
  try {
    const signed = new X509Certificate(der);
    // Its key is only read when it is asked for.
    void signed.publicKey;
    return signed;
  } catch (error) {
    throw new CryptoError("badCertificate", "this is not an X.509 certificate", { cause: error });
  }
}

/** TBSCertificate of RFC 5280 §4.1. */
function readFields(der: Uint8Array) {
  const [tbs] = derChildren(der, DerTag.SEQUENCE, broken);
  const fields = tbs === undefined ? [] : derChildren(tbs.whole, DerTag.SEQUENCE, broken);
  // Version 1 leaves its number out.
  const [serial, , issuer, validity, subject, , ...optional] = fields[0]?.tag === explicit(0) ? fields.slice(1) : fields;
  if (serial?.tag !== DerTag.INTEGER || issuer?.tag !== DerTag.SEQUENCE || subject?.tag !== DerTag.SEQUENCE)
    throw new CryptoError("badCertificate", "the certificate lacks its serial number or its names");
  const [notBefore, notAfter] = validity?.tag === DerTag.SEQUENCE ? derElements(validity.content, broken).map((field) => readTime(field)) : [];
  if (notBefore === undefined || notAfter === undefined) throw new CryptoError("badCertificate", "the certificate lacks its dates");
  const own = optional.find((field) => field.tag === explicit(3));
  const extensions = own === undefined ? [] : readSingleExtensions(own.content, broken);
  const value = (oid: string): Uint8Array | null => extensions.find((extension) => extension.oid === oid)?.value ?? null;
  return {
    serialNumber: serial.content,
    issuer: issuer.whole,
    subject: subject.whole,
    issuerText: nameText(issuer.whole),
    subjectText: nameText(subject.whole),
    notBefore,
    notAfter,
    extensions,
    basicConstraints: readBasicConstraints(value("2.5.29.19")),
    keyUsage: readKeyUsage(value("2.5.29.15")),
    extendedKeyUsage: readExtendedKeyUsage(value("2.5.29.37")),
    alternativeNames: readAlternativeNames(value("2.5.29.17")),
  };
}

/**
 * In the two forms that RFC 5280 §4.1.2.5 allows and no other: for a date that it cannot read node:crypto gives an arbitrary one, and
 * that could lie centuries ahead. @throws CryptoError `subject.code`
 */
export function readTime({ tag, content }: DerElement, subject: DerSubject = broken): Date {
  const text = Buffer.from(content).toString("latin1");
  const [, year = "", month, day, hour, minute, second] =
    (tag === DerTag.UTC_TIME ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text) ?? [];
  const whole = tag === DerTag.UTC_TIME ? `${Number(year) < 50 ? "20" : "19"}${year}` : year;
  const date = new Date(`${whole}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if ((tag !== DerTag.UTC_TIME && tag !== DerTag.GENERALIZED_TIME) || Number.isNaN(date.getTime()))
    throw new CryptoError(subject.code, `${subject.what} has a date that cannot be read`);
  return date;
}

/** Names end up in sentences and comparisons: one that cannot be read must not fail there. */
function nameText(name: Uint8Array): string {
  try {
    return formatDn(name);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new CryptoError("badCertificate", `a name in the certificate cannot be read: ${error.message}`);
  }
}

function explicit(number: number): number {
  return 0xa0 | number;
}

/** Extensions in DER, as certificates and lists of revoked ones have them. @throws CryptoError `subject.code` */
function readExtensions(octets: Uint8Array, subject: DerSubject): CertificateExtension[] {
  return derChildren(octets, DerTag.SEQUENCE, subject).map(({ whole }): CertificateExtension => {
    const parts = derChildren(whole, DerTag.SEQUENCE, subject);
    const [oid, flag, value] = parts.length === 2 ? [parts[0], undefined, parts[1]] : parts;
    const isBuilt = oid?.tag === DerTag.OBJECT_IDENTIFIER && value?.tag === DerTag.OCTET_STRING && parts.length <= 3;
    if (!isBuilt || (flag !== undefined && flag.tag !== DerTag.BOOLEAN)) throw new CryptoError(subject.code, `${subject.what} has a broken extension`);
    return { oid: oidText(oid.content), critical: isTrue(flag), value: value.content };
  });
}

/** The first critical extension that is not one of these: what it is in must not be used then (RFC 5280 §4.2, §5.2; RFC 6960 §4.4). Null: there is none. */
export function unknownCritical(extensions: readonly CertificateExtension[], understood: ReadonlySet<string>): string | null {
  return extensions.find((extension) => extension.critical && !understood.has(extension.oid))?.oid ?? null;
}

/** Extensions of which none may come twice: the first could hide what the second says. @throws CryptoError `subject.code` */
export function readSingleExtensions(octets: Uint8Array, subject: DerSubject): CertificateExtension[] {
  const extensions = readExtensions(octets, subject);
  if (new Set(extensions.map((extension) => extension.oid)).size !== extensions.length)
    throw new CryptoError(subject.code, `${subject.what} has an extension twice (RFC 5280 §4.2)`);
  return extensions;
}

export function isTrue(flag: DerElement | undefined): boolean {
  return flag?.content.some((octet) => octet !== 0) ?? false;
}

function readBasicConstraints(value: Uint8Array | null): Certificate["basicConstraints"] {
  if (value === null) return null;
  const parts = derChildren(value, DerTag.SEQUENCE, broken);
  const length = parts.find((part) => part.tag === DerTag.INTEGER);
  return { isAuthority: isTrue(parts.find((part) => part.tag === DerTag.BOOLEAN)), pathLength: length === undefined ? null : smallNumber(length.content) };
}

/** A negative one allows no more than nought, one of many octets no less than the longest path. */
function smallNumber(content: Uint8Array): number {
  if (content[0] === undefined || content[0] >= 0x80) return 0;
  return content.reduce((sum, octet) => Math.min(sum * 256 + octet, 0xffff), 0);
}

function readKeyUsage(value: Uint8Array | null): ReadonlySet<number> | null {
  if (value === null) return null;
  const [bits, ...rest] = derElements(value, broken);
  const [unused, ...octets] = bits?.content ?? [];
  if (bits?.tag !== DerTag.BIT_STRING || unused === undefined || unused > 7 || rest.length > 0)
    throw new CryptoError("badCertificate", "the certificate's key usage is broken");
  const set = new Set<number>();
  for (let bit = 0; bit < 8 * octets.length - unused; bit++) if ((octets[bit >> 3]! & (0x80 >> (bit & 7))) !== 0) set.add(bit);
  return set;
}

function readExtendedKeyUsage(value: Uint8Array | null): readonly string[] | null {
  if (value === null) return null;
  const purposes = derChildren(value, DerTag.SEQUENCE, broken);
  if (purposes.some((purpose) => purpose.tag !== DerTag.OBJECT_IDENTIFIER))
    throw new CryptoError("badCertificate", "the certificate's extended key usage is broken");
  return purposes.map((purpose) => oidText(purpose.content));
}

/** GeneralName of RFC 5280 §4.2.1.6: the kinds that speak for an identity of IKE, and addresses of pages for the sentence. */
function readAlternativeNames(value: Uint8Array | null): readonly AlternativeName[] {
  if (value === null) return [];
  return derChildren(value, DerTag.SEQUENCE, broken).flatMap(({ tag, content }): AlternativeName[] => {
    const type = generalNames[tag];
    if (type === undefined) return [];
    if (type !== "ip") return [{ type, value: Buffer.from(content).toString("latin1") }];
    return content.length === 4 || content.length === 16 ? [{ type, value: formatAddress(content) }] : [];
  });
}

const generalNames: Readonly<Record<number, AlternativeName["type"]>> = { 129: "email", 130: "dns", 134: "url", 135: "ip" };

export function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
