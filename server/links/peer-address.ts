import { z } from "zod";

const address = z.union([z.ipv4(), z.ipv6()]);
/** RFC 1123 §2.1: labels of letters, digits and inner hyphens; the last is not a number, or it would be an address mistyped. */
const hostName = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** What is wrong with where a third-party peer is reached, as a sentence; null: an address or a host name. Runs in the browser too. */
export function peerAddressProblem(text: string): string | null {
  if (text === "") return "An address or a host name, so that the gateway can start.";
  if (address.safeParse(text).success || hostName.test(text)) return null;
  if (text.includes("/")) return `“${text}” is a network or a URL. Write the address alone, such as 203.0.113.7.`;
  if (/^[^:]*:\d+$/.test(text)) return `“${text}” has a port. IKE always uses UDP 500 and 4500: write the address alone.`;
  return `“${text}” is neither an address nor a host name. Write one such as 203.0.113.7 or vpn.example.com.`;
}
