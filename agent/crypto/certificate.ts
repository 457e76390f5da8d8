import "reflect-metadata";
import { type KeyObject, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { CryptoError } from "./crypto-error.ts";

/** One certificate as both parsers read it. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly publicKey: KeyObject;
  /** Signatures and who issued whom. */
  readonly signed: X509Certificate;
  /** Names, dates, extensions and their criticality, which node:crypto does not show. */
  readonly fields: x509.X509Certificate;
}

/**
 * Reads one certificate in DER and nothing else. Both parsers also look for PEM, node:crypto even in the middle of DER: octets
 * that are a certificate of one name to one of them and of another name to the other would let their sender borrow the signature
 * of the first for the names of the second. So each must have read exactly these octets.
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

/** Reading costs more than verifying a signature, and one handshake asks for the same few certificates several times. */
const MOST_RECENT = 64;
const recent = new Map<string, Certificate>();

function forgetOldest(): void {
  for (const oldest of recent.keys()) return void recent.delete(oldest);
}

function parse(der: Uint8Array): Certificate {
  try {
    const signed = new X509Certificate(der);
    const fields = new x509.X509Certificate(new Uint8Array(der));
    if (!sameOctets(signed.raw, der) || !sameOctets(new Uint8Array(fields.rawData), der))
      throw new CryptoError("badCertificate", "there is more than one certificate in the octets of one");
    if (Number.isNaN(fields.notBefore.getTime()) || Number.isNaN(fields.notAfter.getTime()))
      throw new CryptoError("badCertificate", "the certificate's dates cannot be read");
    return { der, publicKey: signed.publicKey, signed, fields };
  } catch (error) {
    if (error instanceof CryptoError) throw error;
    throw new CryptoError("badCertificate", "this is not an X.509 certificate", { cause: error });
  }
}

/** The subject's name in DER, as it goes into an ID payload of type DER_ASN1_DN. */
export function subjectOf(certificate: Certificate): Uint8Array {
  return new Uint8Array(certificate.fields.subjectName.toArrayBuffer());
}

export function issuerOf(certificate: Certificate): Uint8Array {
  return new Uint8Array(certificate.fields.issuerName.toArrayBuffer());
}

export function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
