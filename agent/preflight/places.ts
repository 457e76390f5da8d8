import { parseAddress } from "../wire/address.ts";
import type { Draft } from "./draft.ts";

/** Where an end would be on a network: what it calls itself, and what the other sees. They differ behind a NAT. */
export interface Place {
  readonly inside: string;
  readonly outside: string;
}

/**
 * The addresses of both ends as their drafts give them. What neither says is made up from the ranges for documentation (RFC 5737,
 * RFC 3849); a host name is not looked up and stands for wherever the other end is.
 */
export function placesOf(a: Draft, b: Draft): { readonly a: Place; readonly b: Place } {
  const isSix = [a.link.local.address, a.link.remote.address, b.link.local.address, b.link.remote.address].some(
    (text = "") => text.includes(":") && isLiteral(text),
  );
  const [spareA, spareB] = isSix ? ["2001:db8::1", "2001:db8::2"] : ["192.0.2.1", "192.0.2.2"];
  return { a: placeOf(a, b, spareA!), b: placeOf(b, a, spareB!) };
}

/** Whether the text is an address and no host name. */
export function isLiteral(text: string): boolean {
  return parseAddress(text) !== null;
}

function placeOf(own: Draft, other: Draft, spare: string): Place {
  const { address } = own.link.local;
  const seen = other.link.remote.address;
  const called = seen !== undefined && isLiteral(seen) ? seen : null;
  if (address === undefined) return { inside: called ?? spare, outside: called ?? spare };
  // A private address that is called by another one is behind a NAT; a public one that is called by another is a mistake.
  return { inside: address, outside: called !== null && isPrivate(address) ? called : address };
}

/** RFC 1918, RFC 6598, RFC 4193 and what is only valid on the link. */
function isPrivate(text: string): boolean {
  const octets = parseAddress(text);
  if (octets === null) return false;
  const [first = 0, second = 0] = octets;
  if (octets.length === 16) return (first & 0xfe) === 0xfc || (first === 0xfe && (second & 0xc0) === 0x80);
  if (first === 10 || (first === 192 && second === 168) || (first === 169 && second === 254)) return true;
  return (first === 172 && second >= 16 && second < 32) || (first === 100 && second >= 64 && second < 128);
}
