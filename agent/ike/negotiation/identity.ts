import { CryptoError } from "../../crypto/crypto-error.ts";
import { comparableDn, formatDn, parseDn } from "../../crypto/dn.ts";
import { formatAddress, parseAddress } from "../../wire/address.ts";
import { IdType, nameOf } from "../../wire/iana.ts";
import type { Identity } from "../endpoint-types.ts";

/** An identity as it travels in IDi and IDr (RFC 7296 §3.5). */
export interface WireIdentity {
  readonly idType: number;
  readonly data: Uint8Array;
}

/** Throws CryptoError for a distinguished name that is none, RangeError for an address that is none. */
export function toWireIdentity(identity: Identity): WireIdentity {
  switch (identity.kind) {
    case "ipv4":
      return { idType: IdType.IPV4_ADDR, data: addressOctets(identity.address) };
    case "ipv6":
      return { idType: IdType.IPV6_ADDR, data: addressOctets(identity.address) };
    case "fqdn":
      return { idType: IdType.FQDN, data: new TextEncoder().encode(identity.name) };
    case "email":
      return { idType: IdType.RFC822_ADDR, data: new TextEncoder().encode(identity.name) };
    case "dn":
      return { idType: IdType.DER_ASN1_DN, data: parseDn(identity.name) };
    default:
      return assertNever(identity);
  }
}

export function sameIdentity(a: WireIdentity, b: WireIdentity): boolean {
  return identityKey(a) === identityKey(b);
}

/**
 * The same text for identities that are the same: names of hosts and mail addresses compare without case, distinguished names by
 * RFC 5280 §7.1, everything else by octets.
 */
export function identityKey({ idType, data }: WireIdentity): string {
  if (idType === IdType.FQDN || idType === IdType.RFC822_ADDR) return `${idType}:${text(data).toLowerCase()}`;
  return `${idType}:${(idType === IdType.DER_ASN1_DN ? nameKey(data) : null) ?? data.join()}`;
}

/** Null: octets of a peer that are no name. */
function nameKey(data: Uint8Array): string | null {
  try {
    return comparableDn(data);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return null;
  }
}

/** For people: never throws, whatever a peer has sent. */
export function identityText(idType: number, data: Uint8Array): string {
  switch (idType) {
    case IdType.IPV4_ADDR:
    case IdType.IPV6_ADDR:
      return data.length === 4 || data.length === 16 ? formatAddress(data) : hex(data);
    case IdType.FQDN:
    case IdType.RFC822_ADDR:
      return printable(text(data));
    case IdType.DER_ASN1_DN:
      return dnText(data);
    default:
      return `${nameOf(IdType, idType)} ${hex(data)}`;
  }
}

export function describeIdentity(identity: WireIdentity): string {
  return identityText(identity.idType, identity.data);
}

function dnText(data: Uint8Array): string {
  try {
    return printable(formatDn(data));
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return hex(data);
  }
}

function addressOctets(address: string): Uint8Array {
  const octets = parseAddress(address);
  if (octets === null) throw new RangeError(`"${address}" is not an IP address.`);
  return octets;
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** A peer's text ends up in terminals and pages: control characters do not. */
function printable(value: string): string {
  return value.replace(/\p{Cc}/gu, "?").slice(0, 255);
}

function hex(bytes: Uint8Array): string {
  let value = "";
  for (const octet of bytes.subarray(0, 64)) value += octet.toString(16).padStart(2, "0");
  return value;
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${String(value)}`);
}
