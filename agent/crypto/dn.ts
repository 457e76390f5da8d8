import { CryptoError } from "./crypto-error.ts";

/** Distinguished names: RFC 4514 text to and from the DER that IKE compares (RFC 7296 §3.5, ID_DER_ASN1_DN). */

interface Attribute {
  readonly keyword: string;
  /** Content octets of the OBJECT IDENTIFIER. */
  readonly oid: readonly number[];
  /** Tag of its string when we write it: PrintableString 0x13, IA5String 0x16, UTF8String 0x0c. */
  readonly tag: number;
}

const attributes: readonly Attribute[] = [
  { keyword: "CN", oid: [0x55, 4, 3], tag: 0x0c },
  { keyword: "SN", oid: [0x55, 4, 4], tag: 0x0c },
  { keyword: "serialNumber", oid: [0x55, 4, 5], tag: 0x13 },
  { keyword: "C", oid: [0x55, 4, 6], tag: 0x13 },
  { keyword: "L", oid: [0x55, 4, 7], tag: 0x0c },
  { keyword: "ST", oid: [0x55, 4, 8], tag: 0x0c },
  { keyword: "street", oid: [0x55, 4, 9], tag: 0x0c },
  { keyword: "O", oid: [0x55, 4, 10], tag: 0x0c },
  { keyword: "OU", oid: [0x55, 4, 11], tag: 0x0c },
  { keyword: "title", oid: [0x55, 4, 12], tag: 0x0c },
  { keyword: "GN", oid: [0x55, 4, 42], tag: 0x0c },
  { keyword: "E", oid: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], tag: 0x16 },
  { keyword: "DC", oid: [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], tag: 0x16 },
  { keyword: "UID", oid: [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], tag: 0x0c },
];

/**
 * `C=NL, O=Example, CN=amsterdam`, in the order of the certificate, to DER. A backslash takes the next character as it is.
 * @throws CryptoError `badName` naming the part that cannot be read.
 */
export function parseDn(text: string): Uint8Array {
  const parts = splitUnescaped(text, ",");
  return sequence(0x30, parts.map(relativeName));
}

function relativeName(part: string): Uint8Array {
  const [keyword = "", ...rest] = splitUnescaped(part, "=");
  const value = rest.join("=").trim().replace(/\\(.)/g, "$1");
  const wanted = keyword.trim().toLowerCase();
  const attribute = attributes.find((candidate) => candidate.keyword.toLowerCase() === (wanted === "emailaddress" ? "e" : wanted));
  if (attribute === undefined || value === "")
    throw new CryptoError(
      "badName",
      `"${part.trim()}" is not a part of a distinguished name: write KEYWORD=value with one of ${attributes.map((a) => a.keyword).join(", ")}`,
    );
  const type = sequence(0x06, [Uint8Array.from(attribute.oid)]);
  const content = sequence(attribute.tag, [new TextEncoder().encode(value)]);
  return sequence(0x31, [sequence(0x30, [type, content])]);
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [""];
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? "";
    if (character === "\\") parts[parts.length - 1] += character + (text[++i] ?? "");
    else if (character === separator) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function sequence(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return new Uint8Array(Buffer.concat([Uint8Array.from(header), ...parts]));
}

/** DER to text for people: `C=NL, O=Example, CN=amsterdam`. @throws CryptoError `badName` for octets that are no name. */
export function formatDn(der: Uint8Array): string {
  return readAttributes(der)
    .map(({ keyword, value }) => `${keyword}=${value.replace(/[,\\]/g, "\\$&")}`)
    .join(", ");
}

/**
 * Whether two names are the same: attribute by attribute, the strings without regard to case, surrounding space, or which of the
 * ASN.1 string types holds them (RFC 5280 §7.1 asks no less of anyone who compares names).
 */
export function dnEqual(a: Uint8Array, b: Uint8Array): boolean {
  const left = readAttributes(a);
  const right = readAttributes(b);
  return (
    left.length === right.length &&
    left.every((item, index) => {
      const other = right[index];
      return other !== undefined && item.keyword === other.keyword && normalised(item.value) === normalised(other.value);
    })
  );
}

function normalised(value: string): string {
  return value.trim().replace(/\s+/g, " ").toLowerCase();
}

function readAttributes(der: Uint8Array): { keyword: string; value: string }[] {
  const out: { keyword: string; value: string }[] = [];
  const name = element(der, 0);
  if (name.tag !== 0x30 || name.end !== der.length) throw new CryptoError("badName", "a distinguished name is a SEQUENCE and nothing after it");
  for (let at = name.start; at < name.end; ) {
    const set = element(der, at);
    for (let inner = set.start; inner < set.end; ) {
      const pair = element(der, inner);
      const type = element(der, pair.start);
      const value = element(der, type.end);
      out.push({
        keyword: keywordOf(der.subarray(type.start, type.end)),
        value: decodeString(value.tag, der.subarray(value.start, value.end)),
      });
      inner = pair.end;
    }
    at = set.end;
  }
  return out;
}

function element(der: Uint8Array, at: number): { tag: number; start: number; end: number } {
  const tag = der[at];
  let length = der[at + 1];
  if (tag === undefined || length === undefined) throw new CryptoError("badName", "the distinguished name ends early");
  let start = at + 2;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 2) throw new CryptoError("badName", "the distinguished name has an impossible length");
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (der[start++] ?? 0);
  }
  const end = start + length;
  if (end > der.length) throw new CryptoError("badName", "the distinguished name ends early");
  return { tag, start, end };
}

function keywordOf(oid: Uint8Array): string {
  const known = attributes.find((candidate) => candidate.oid.length === oid.length && candidate.oid.every((octet, i) => octet === oid[i]));
  return known?.keyword ?? `OID.${Buffer.from(oid).toString("hex")}`;
}

function decodeString(tag: number, octets: Uint8Array): string {
  // BMPString is UTF-16; the others are ASCII, Latin-1 or UTF-8, which agree on what names hold in practice.
  if (tag === 0x1e) return new TextDecoder("utf-16be").decode(octets);
  return new TextDecoder(tag === 0x14 ? "latin1" : "utf-8").decode(octets);
}
