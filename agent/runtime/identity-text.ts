import type { Identity } from "../ike/endpoint-types.ts";
import { formatAddress, parseAddress } from "../wire/address.ts";

/**
 * The IKE identity that a text stands for (RFC 7296 §3.5), by strongSwan's rules: an address, `CN=…` a distinguished name,
 * `user@host` an e-mail address, `@name` or anything else a domain name.
 */
export function parseIdentity(text: string): Identity {
  const octets = parseAddress(text);
  if (octets !== null) return { kind: octets.length === 4 ? "ipv4" : "ipv6", address: formatAddress(octets) };
  if (/^[A-Za-z0-9.]+\s*=/.test(text)) return { kind: "dn", name: text };
  if (text.startsWith("@")) return { kind: "fqdn", name: text.slice(1) };
  return text.includes("@") ? { kind: "email", name: text } : { kind: "fqdn", name: text };
}
