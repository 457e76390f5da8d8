import { withDefiniteLengths } from "./ber.ts";
import { CryptoError } from "./crypto-error.ts";
import { type DerElement, DerTag, derChildren, derElements, oidText } from "./der.ts";
import { broken, checkMac, decryptByPassword, octetsOf, PasswordUse } from "./pkcs12-protection.ts";

/** What lies in a PKCS #12 file, in DER and in the order of the file: nothing of it is checked yet. */
export interface Pkcs12Content {
  readonly certificates: readonly Uint8Array[];
  /** PKCS #8 in clear. */
  readonly privateKeys: readonly Uint8Array[];
}

/**
 * Reads a PKCS #12 file (RFC 7292): AES and triple DES, with a MAC of SHA-1 or SHA-2, in DER or BER.
 * @throws CryptoError `wrongPassword`, `weakContainer` (RC2, RC4), `unsupported` or `badContainer`; no message holds a part of the file.
 */
export function readPkcs12(octets: Uint8Array, password: string): Pkcs12Content {
  const [version, content, macData] = derChildren(withDefiniteLengths(octets, broken), DerTag.SEQUENCE, broken);
  if (version?.tag !== DerTag.INTEGER || version.content.length !== 1 || version.content[0] !== 3) throw notBuilt();
  const { oid, value } = readContentInfo(content);
  if (oid === oids.signedData) throw new CryptoError("unsupported", "it is signed with a key instead of protected by a password");
  if (oid !== oids.data) throw notBuilt();
  const authenticated = octetsOf(value);
  const use = new PasswordUse(password);
  if (macData !== undefined) checkMac(macData, authenticated, use);
  const found: Found = { certificates: [], privateKeys: [] };
  for (const safe of children(authenticated)) readBags(openSafe(safe, use), use, found, 0);
  return found;
}

interface Found {
  readonly certificates: Uint8Array[];
  readonly privateKeys: Uint8Array[];
}

/** The SafeContents of one ContentInfo. */
function openSafe(safe: DerElement, password: PasswordUse): Uint8Array {
  const { oid, value } = readContentInfo(safe);
  if (oid === oids.data) return octetsOf(value);
  if (oid !== oids.encryptedData) throw new CryptoError("unsupported", "a part of it is encrypted for a key instead of a password");
  const [, info] = derChildren(wholeOf(value), DerTag.SEQUENCE, broken);
  const [, algorithm, ciphertext] = derChildren(wholeOf(info), DerTag.SEQUENCE, broken);
  return decryptByPassword(algorithm, implicitOctets(ciphertext), password);
}

/** [0] IMPLICIT OCTET STRING: in BER it may come in pieces. */
function implicitOctets(element: DerElement | undefined): Uint8Array {
  if (element?.tag === 0x80) return element.content;
  if (element?.tag !== 0xa0) throw notBuilt();
  return Buffer.concat(derElements(element.content, broken).map(octetsOf));
}

function readBags(safeContents: Uint8Array, password: PasswordUse, found: Found, depth: number): void {
  for (const bag of children(safeContents)) {
    const { oid, value } = readContentInfo(bag);
    switch (oid) {
      case oids.keyBag:
        found.privateKeys.push(wholeOf(value));
        break;
      case oids.shroudedKeyBag: {
        const [algorithm, ciphertext] = derChildren(wholeOf(value), DerTag.SEQUENCE, broken);
        found.privateKeys.push(decryptByPassword(algorithm, octetsOf(ciphertext), password));
        break;
      }
      case oids.certificateBag: {
        const { oid: kind, value: certificate } = readContentInfo(value);
        if (kind === oids.x509Certificate) found.certificates.push(octetsOf(certificate));
        break;
      }
      case oids.safeContentsBag:
        if (depth > 4) throw notBuilt();
        readBags(wholeOf(value), password, found, depth + 1);
        break;
      // Lists of revoked certificates and secrets of other kinds are of no use here.
      default:
    }
  }
}

/** An OID and what stands under [0]: ContentInfo, SafeBag and CertBag are built alike. */
function readContentInfo(element: DerElement | undefined): { oid: string; value: DerElement | undefined } {
  const [oid, explicit] = derChildren(wholeOf(element), DerTag.SEQUENCE, broken);
  if (oid?.tag !== DerTag.OBJECT_IDENTIFIER) throw notBuilt();
  return { oid: oidText(oid.content), value: explicit === undefined ? undefined : derElements(explicit.content, broken)[0] };
}

/** What decryption and octet strings give is BER of its own. */
function children(octets: Uint8Array): DerElement[] {
  return derChildren(withDefiniteLengths(octets, broken), DerTag.SEQUENCE, broken);
}

function wholeOf(element: DerElement | undefined): Uint8Array {
  if (element === undefined) throw notBuilt();
  return element.whole;
}

function notBuilt(): CryptoError {
  return new CryptoError("badContainer", "the PKCS #12 file is not built as it should be");
}

const oids = {
  data: "1.2.840.113549.1.7.1",
  signedData: "1.2.840.113549.1.7.2",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.1",
  shroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
  certificateBag: "1.2.840.113549.1.12.10.1.3",
  safeContentsBag: "1.2.840.113549.1.12.10.1.6",
  x509Certificate: "1.2.840.113549.1.9.22.1",
} as const;
