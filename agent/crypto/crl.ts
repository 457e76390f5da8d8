import { type Certificate, type CertificateExtension, isTrue, KeyUsage, readSingleExtensions, readTime, sameOctets, unknownCritical } from "./certificate.ts";
import { entriesInSlices, type RevokedEntries } from "./crl-entries.ts";
import { CryptoError } from "./crypto-error.ts";
import { type DerElement, DerTag, derChildren, derElements, oidText, wholeBits } from "./der.ts";
import { verifySigned, verifySignedAside } from "./signature.ts";

/** Certificate revocation lists, RFC 5280 §5: whole ones that an authority signs for its own certificates. Delta and indirect lists are not used. */
export interface RevocationList {
  /** The authority's name in DER. */
  readonly issuer: Uint8Array;
  readonly thisUpdate: Date;
  /** Null: the authority does not say when the next one comes. */
  readonly nextUpdate: Date | null;
  readonly revoked: RevokedEntries;
  /** Which certificates it speaks of: those of this kind, and of these distribution points unless the list is empty. */
  readonly scope: { readonly kind: "all" | "endEntities" | "authorities"; readonly points: readonly string[] };
  readonly signature: Signature;
}

interface Signature {
  readonly algorithm: Uint8Array;
  readonly signed: Uint8Array;
  readonly value: Uint8Array;
}

export const longestList = 4 << 20;

const broken = { code: "badRevocation", what: "the revocation list" } as const;

/** @throws CryptoError `badRevocation` for octets that are no list, or one of a kind that cannot be used. */
export function readRevocationList(der: Uint8Array): RevocationList {
  const reading = listInSlices(der);
  for (;;) {
    const step = reading.next();
    if (step.done === true) return step.value;
  }
}

/** The same in many short steps; in each `pause` the process does other things. A list of 4 MB takes some 25 ms in all. */
export async function readRevocationListAside(der: Uint8Array, pause: () => Promise<void>): Promise<RevocationList> {
  const reading = listInSlices(der);
  for (;;) {
    const step = reading.next();
    if (step.done === true) return step.value;
    await pause();
  }
}

function* listInSlices(der: Uint8Array): Generator<undefined, RevocationList> {
  if (der.length > longestList) throw unusable(`is longer than ${longestList} octets`);
  const [tbs, algorithm, value] = derChildren(der, DerTag.SEQUENCE, broken);
  if (tbs?.tag !== DerTag.SEQUENCE || algorithm?.tag !== DerTag.SEQUENCE || value === undefined) throw unusable("is not built as it should be");
  const fields = derElements(tbs.content, broken);
  // Version 1 leaves its number out.
  const [inner, issuer, thisUpdate, ...rest] = fields[0]?.tag === DerTag.INTEGER ? fields.slice(1) : fields;
  if (inner === undefined || !sameOctets(inner.whole, algorithm.whole)) throw unusable("names two signature algorithms");
  if (issuer?.tag !== DerTag.SEQUENCE || thisUpdate === undefined) throw unusable("lacks its issuer or its date");
  const next = rest[0] !== undefined && isTime(rest[0]) ? rest.shift() : undefined;
  const entries = rest[0]?.tag === DerTag.SEQUENCE ? rest.shift() : undefined;
  const own = rest.find((field) => field.tag === 0xa0);
  return {
    issuer: issuer.whole,
    thisUpdate: readTime(thisUpdate, broken),
    nextUpdate: next === undefined ? null : readTime(next, broken),
    revoked: yield* entriesInSlices(entries?.content ?? new Uint8Array(0), broken),
    scope: readScope(own === undefined ? [] : readSingleExtensions(own.content, broken)),
    signature: { algorithm: algorithm.whole, signed: tbs.whole, value: wholeBits(value, broken) },
  };
}

/** Whether this authority signed the list. */
export function isSignedBy(list: RevocationList, authority: Certificate): boolean {
  const { algorithm, signed, value } = list.signature;
  return maySign(list, authority) && verifySigned(authority.publicKey, algorithm, signed, value);
}

/** The same, found out on another thread: hashing a list of megabytes takes as long as some handshakes. */
export async function isSignedByAside(list: RevocationList, authority: Certificate): Promise<boolean> {
  const { algorithm, signed, value } = list.signature;
  return maySign(list, authority) && (await verifySignedAside(authority.publicKey, algorithm, signed, value));
}

function maySign(list: RevocationList, authority: Certificate): boolean {
  return sameOctets(list.issuer, authority.subject) && (authority.keyUsage === null || authority.keyUsage.has(KeyUsage.cRLSign));
}

/** Whether the list says anything about this certificate. `points`: where the certificate says its lists are. */
export function covers({ scope }: RevocationList, certificate: Certificate, points: readonly string[]): boolean {
  const isAuthority = certificate.basicConstraints?.isAuthority === true;
  if (scope.kind === (isAuthority ? "endEntities" : "authorities")) return false;
  return scope.points.length === 0 || scope.points.some((point) => points.includes(point));
}

export function serialText(serialNumber: Uint8Array): string {
  return Buffer.from(serialNumber)
    .toString("hex")
    .replace(/^(00)+(?=.)/, "");
}

/** The number of the list, the key of its authority, and the distribution point that it is for (below). */
const understoodInLists = new Set(["2.5.29.20", "2.5.29.35", "2.5.29.28"]);

/** IssuingDistributionPoint, RFC 5280 §5.2.5. */
function readScope(extensions: readonly CertificateExtension[]): RevocationList["scope"] {
  if (extensions.some((extension) => extension.oid === "2.5.29.27")) throw unusable("is a delta list");
  const strange = unknownCritical(extensions, understoodInLists);
  if (strange !== null) throw unusable(`has a critical extension that is not understood here (${strange})`);
  const point = extensions.find((extension) => extension.oid === "2.5.29.28");
  if (point === undefined) return { kind: "all", points: [] };
  const parts = derChildren(point.value, DerTag.SEQUENCE, broken);
  const isSet = (number: number): boolean => isTrue(parts.find((part) => part.tag === (0x80 | number)));
  if (parts.some((part) => part.tag === 0x83) || isSet(4) || isSet(5)) throw unusable("is an indirect list, or one for some reasons only");
  const name = parts.find((part) => part.tag === 0xa0);
  const points = name === undefined ? [] : distributionNames(name.content);
  if (name !== undefined && points.length === 0) throw unusable("is for a distribution point that has no address");
  return { kind: isSet(1) ? "endEntities" : isSet(2) ? "authorities" : "all", points };
}

/** The URIs of a DistributionPointName in DER. */
function distributionNames(octets: Uint8Array): string[] {
  return derElements(octets, broken)
    .filter((choice) => choice.tag === 0xa0)
    .flatMap((fullName) => uris(derElements(fullName.content, broken)));
}

function uris(names: readonly DerElement[]): string[] {
  return names.filter((name) => name.tag === 0x86).map((name) => Buffer.from(name.content).toString("latin1"));
}

/** Where a certificate says that its lists are: the http and https addresses of its CRLDistributionPoints (RFC 5280 §4.2.1.13). */
export function listAddresses(certificate: Certificate): string[] {
  const value = certificate.extensions.find((extension) => extension.oid === "2.5.29.31")?.value;
  if (value === undefined) return [];
  return lenient(() =>
    derChildren(value, DerTag.SEQUENCE, broken).flatMap((point) => {
      const parts = derElements(point.content, broken);
      // A point with reasons or another issuer belongs to lists that are not used here.
      if (parts.some((part) => part.tag === 0x81 || part.tag === 0xa2)) return [];
      return parts.filter((part) => part.tag === 0xa0).flatMap((name) => distributionNames(name.content));
    }),
  );
}

/** Where a certificate says that OCSP answers: AuthorityInfoAccess, RFC 5280 §4.2.2.1. */
export function responderAddresses(certificate: Certificate): string[] {
  const value = certificate.extensions.find((extension) => extension.oid === "1.3.6.1.5.5.7.1.1")?.value;
  if (value === undefined) return [];
  return lenient(() =>
    derChildren(value, DerTag.SEQUENCE, broken).flatMap((access) => {
      const [method, ...location] = derElements(access.content, broken);
      return method !== undefined && oidText(method.content) === "1.3.6.1.5.5.7.48.1" ? uris(location) : [];
    }),
  );
}

/** Addresses on the web only; an extension that cannot be read names none. */
function lenient(read: () => string[]): string[] {
  try {
    return read().filter((address) => /^https?:\/\//i.test(address));
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return [];
  }
}

function isTime({ tag }: DerElement): boolean {
  return tag === DerTag.UTC_TIME || tag === DerTag.GENERALIZED_TIME;
}

function unusable(what: string): CryptoError {
  return new CryptoError(broken.code, `${broken.what} ${what}`);
}
