import { CryptoError } from "./crypto-error.ts";
import { derElement, derElements } from "./der.ts";

/** Distinguished names: text to and from the DER that IKE carries (RFC 7296 §3.5, ID_DER_ASN1_DN). */

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
 * `C=NL, O=Example, CN=amsterdam`, in the order of the certificate (RFC 4514 has it reversed), to DER. A backslash takes the next
 * character as it is, or two hexadecimal digits as an octet; `+` joins the parts of one relative name.
 * @throws CryptoError `badName` naming the part that cannot be read.
 */
export function parseDn(text: string): Uint8Array {
  return derElement(0x30, splitUnescaped(text, ",").map(relativeName));
}

function relativeName(part: string): Uint8Array {
  const pairs: string[] = [];
  // Organisations have a plus in their names: only one with KEYWORD= behind it begins a part.
  for (const piece of splitUnescaped(part, "+")) {
    const previous = pairs[pairs.length - 1];
    if (previous !== undefined && !/^\s*[A-Za-z]+\s*=/.test(piece)) pairs[pairs.length - 1] = `${previous}+${piece}`;
    else pairs.push(piece);
  }
  // DER sorts the members of a SET.
  return derElement(0x31, pairs.map(attributeValue).sort(Buffer.compare));
}

function attributeValue(text: string): Uint8Array {
  const [keyword = "", ...rest] = splitUnescaped(text, "=");
  const value = valueOctets(rest.join("="));
  const wanted = keyword.trim().toLowerCase();
  const attribute = attributes.find((candidate) => candidate.keyword.toLowerCase() === (wanted === "emailaddress" ? "e" : wanted));
  if (attribute === undefined || value.length === 0 || decodeString(0x0c, value) === null) {
    const keywords = attributes.map((one) => one.keyword).join(", ");
    throw new CryptoError("badName", `"${text.trim()}" is not a part of a distinguished name: write KEYWORD=value with one of ${keywords}`);
  }
  const tag = holds(attribute.tag, value) ? attribute.tag : 0x0c;
  return derElement(0x30, [derElement(0x06, [Uint8Array.from(attribute.oid)]), derElement(tag, [value])]);
}

/** UTF-8 of the value, without the spaces around it that no backslash protects. */
function valueOctets(text: string): Uint8Array {
  const out: number[] = [];
  let end = 0;
  for (const [token] of text.trimStart().matchAll(/\\[0-9a-fA-F]{2}|\\.|[^]/gsu)) {
    const pair = /^\\([0-9a-fA-F]{2})$/.exec(token)?.[1];
    if (pair !== undefined) out.push(Number.parseInt(pair, 16));
    else out.push(...new TextEncoder().encode(token.length > 1 && token.startsWith("\\") ? token.slice(1) : token));
    if (token.trim() !== "") end = out.length;
  }
  return Uint8Array.from(out.slice(0, end));
}

/** Whether a string of this type may hold these characters. */
function holds(tag: number, value: Uint8Array): boolean {
  const ascii = value.every((octet) => octet < 0x80);
  return tag === 0x0c || (ascii && (tag !== 0x13 || /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(new TextDecoder().decode(value))));
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

/**
 * DER to text for people, `C=NL, O=Example, CN=amsterdam`, that `parseDn` reads back. Characters that would act on a terminal are
 * escaped. @throws CryptoError `badName` for octets that are no name.
 */
export function formatDn(der: Uint8Array): string {
  return readName(der)
    .map((pairs) => pairs.map(({ type, value }) => `${keywordOf(type)}=${value.text === null ? `#${value.hex}` : escapeValue(value.text)}`).join("+"))
    .join(", ");
}

function escapeValue(text: string): string {
  return text.replace(/[,+\\]|^[ #]| $/g, "\\$&").replace(/[\p{Cc}\p{Cf}]/gu, (character) => Buffer.from(character).toString("hex").replace(/../g, "\\$&"));
}

/**
 * Whether two names are the same: attribute by attribute, the strings without regard to case, surrounding space, or which of the
 * ASN.1 string types holds them (RFC 5280 §7.1 asks no less of anyone who compares names).
 * @throws CryptoError `badName` for octets that are no name.
 */
export function dnEqual(a: Uint8Array, b: Uint8Array): boolean {
  return comparableDn(a) === comparableDn(b);
}

/** The same text for names that `dnEqual` takes for the same. @throws CryptoError `badName` for octets that are no name. */
export function comparableDn(der: Uint8Array): string {
  const name = readName(der).map((pairs) => pairs.map(({ type, value }) => [type, value.text === null ? [value.hex] : normalised(value.text)]));
  return JSON.stringify(name);
}

function normalised(value: string): string {
  return value.trim().replace(/\s+/g, " ").toLowerCase();
}

interface Pair {
  /** Content octets of the OBJECT IDENTIFIER in hexadecimal. */
  readonly type: string;
  /** `text` is null for a value that is no string, or none in its own encoding. `hex` is the element. */
  readonly value: { readonly text: string | null; readonly hex: string };
}

const broken = { code: "badName", what: "the distinguished name" } as const;

/** A list of relative names, each with one pair or more. */
function readName(der: Uint8Array): Pair[][] {
  const [name, ...rest] = derElements(der, broken);
  if (name?.tag !== 0x30 || rest.length > 0) throw new CryptoError("badName", "a distinguished name is a SEQUENCE and nothing after it");
  return derElements(name.content, broken).map((set) => {
    const pairs = derElements(set.content, broken).map((pair) => {
      const [type, value, ...more] = derElements(pair.content, broken);
      if (set.tag !== 0x31 || pair.tag !== 0x30 || type?.tag !== 0x06 || value === undefined || more.length > 0)
        throw new CryptoError("badName", "a part of the distinguished name is not a type and a value");
      return { type: hex(type.content), value: { text: decodeString(value.tag, value.content), hex: hex(value.whole) } };
    });
    if (pairs.length === 0) throw new CryptoError("badName", "a part of the distinguished name is empty");
    return pairs;
  });
}

function keywordOf(type: string): string {
  return attributes.find((candidate) => hex(Uint8Array.from(candidate.oid)) === type)?.keyword ?? `OID.${type}`;
}

/** Text of a string type, or null when the octets are not in its encoding or it is none. */
function decodeString(tag: number, octets: Uint8Array): string | null {
  const decoder = decoders[tag];
  if (decoder === undefined) return null;
  try {
    return decoder.decode(octets);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function strict(encoding: string): TextDecoder {
  return new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
}

/** UTF8String, PrintableString, IA5String; TeletexString, which holds Latin-1 in practice; BMPString. */
const decoders: Readonly<Record<number, TextDecoder>> = {
  12: strict("utf-8"),
  19: strict("utf-8"),
  22: strict("utf-8"),
  20: strict("latin1"),
  30: strict("utf-16be"),
};

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}
